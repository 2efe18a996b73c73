#include "runtime/tokenizer/byte_alphabet.hpp"

#include "base/utf8.hpp"

#include <array>

namespace troupe {
namespace {

struct alphabet {
  std::array<char32_t, 256> characters{};
  std::array<std::int16_t, 0x144> bytes{};  // by code point; -1: not in the alphabet
};

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

constexpr alphabet gpt2 = [] {
  alphabet a;
  for (auto& byte : a.bytes)
    byte = -1;
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char32_t character = stands_for_itself(byte) ? byte : next++;
    a.characters[byte] = character;
    a.bytes[character] = static_cast<std::int16_t>(byte);
  }
  return a;
}();

}  // namespace

char32_t alphabet_character(std::uint8_t byte) {
  return gpt2.characters[byte];
}

bool append_alphabet_bytes(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const auto first = static_cast<std::uint8_t>(text[0]);
    const auto c = first < 0x80 ? decoded_character{first, 1, true} : decode_utf8(text);
    if (!c.valid || c.code_point >= gpt2.bytes.size() || gpt2.bytes[c.code_point] < 0) return false;
    out.push_back(static_cast<char>(gpt2.bytes[c.code_point]));
    text.remove_prefix(c.length);
  }
  return true;
}

}  // namespace troupe
