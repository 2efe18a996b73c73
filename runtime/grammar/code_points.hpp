// Sets of code points, and the UTF-8 byte sequences of a range of them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace troupe::grammar {

inline constexpr std::uint32_t max_code_point = 0x10FFFF;

struct code_range {
  std::uint32_t first;
  std::uint32_t last;  // inclusive
  friend bool operator==(const code_range&, const code_range&) = default;
};

/// Ascending, neither overlapping nor adjacent; no surrogates, since no UTF-8 text holds one.
using code_set = std::vector<code_range>;

/// Whatever was given, in the form of a code_set.
code_set normalized(std::vector<code_range> ranges);
/// All code points but these.
code_set complement(const code_set& set);
/// Those of `set` that are not in `other`.
code_set difference(const code_set& set, const code_set& other);
bool contains(const code_set& set, std::uint32_t code_point);

/// One to four ranges of bytes, one after another: any choice of a byte from each is the UTF-8 of one code point.
struct byte_sequence {
  struct range {
    std::uint8_t first;
    std::uint8_t last;
  };
  std::array<range, 4> bytes{};
  std::size_t length = 0;
};

/// The fewest sequences that together are the set, as in Russ Cox's RE2: each range is cut where the length of its
/// UTF-8 changes and where continuation bytes do not run over their whole range.
std::vector<byte_sequence> utf8_sequences(const code_set& set);

}  // namespace troupe::grammar
