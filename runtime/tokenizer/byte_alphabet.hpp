// GPT-2's byte alphabet: how a vocabulary file writes arbitrary bytes as printable characters. Printable ASCII and
// Latin-1 stand for themselves; the other 68 bytes are, in order, U+0100, U+0101, … So a space is "Ġ" (U+0120).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe {

/// The character that stands for a byte: U+0021 to U+0143.
char32_t alphabet_character(std::uint8_t byte);

/// Appends the bytes that the text stands for. False, with `out` in an unspecified state, if the text is not UTF-8 or
/// has a character outside the alphabet.
bool append_alphabet_bytes(std::string& out, std::string_view text);

}  // namespace troupe
