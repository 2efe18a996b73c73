#include "runtime/grammar/code_points.hpp"

#include "base/utf8.hpp"

#include <algorithm>
#include <string>

namespace troupe::grammar {
namespace {

constexpr code_range surrogates{0xD800, 0xDFFF};

void append_without_surrogates(std::vector<code_range>& out, code_range range) {
  range.last = std::min(range.last, max_code_point);
  if (range.first < surrogates.first && range.first <= range.last)
    out.push_back({range.first, std::min(range.last, surrogates.first - 1)});
  if (range.last > surrogates.last && range.first <= range.last)
    out.push_back({std::max(range.first, surrogates.last + 1), range.last});
}

void append_sequences(std::vector<byte_sequence>& out, code_range range) {
  for (const std::uint32_t end : {0x7Fu, 0x7FFu, 0xFFFFu}) {
    if (range.first <= end && end < range.last) {
      append_sequences(out, {range.first, end});
      append_sequences(out, {end + 1, range.last});
      return;
    }
  }
  if (range.last > 0x7F) {
    for (std::uint32_t bits = 6; bits <= 18; bits += 6) {
      const std::uint32_t low = (1u << bits) - 1;  // what the last bits/6 bytes carry
      if ((range.first & ~low) == (range.last & ~low)) continue;
      if ((range.first & low) != 0) {
        append_sequences(out, {range.first, range.first | low});
        append_sequences(out, {(range.first | low) + 1, range.last});
        return;
      }
      if ((range.last & low) != low) {
        append_sequences(out, {range.first, (range.last & ~low) - 1});
        append_sequences(out, {range.last & ~low, range.last});
        return;
      }
    }
  }
  std::string first, last;
  append_utf8(first, static_cast<char32_t>(range.first));
  append_utf8(last, static_cast<char32_t>(range.last));
  byte_sequence sequence;
  sequence.length = first.size();
  for (std::size_t i = 0; i < first.size(); ++i)
    sequence.bytes[i] = {static_cast<std::uint8_t>(first[i]), static_cast<std::uint8_t>(last[i])};
  out.push_back(sequence);
}

}  // namespace

code_set normalized(std::vector<code_range> ranges) {
  std::vector<code_range> parts;
  for (const auto& range : ranges)
    append_without_surrogates(parts, range);
  std::ranges::sort(parts, {}, &code_range::first);
  code_set set;
  for (const auto& part : parts) {
    if (!set.empty() && part.first <= set.back().last + 1) {
      set.back().last = std::max(set.back().last, part.last);
    } else {
      set.push_back(part);
    }
  }
  return set;
}

code_set complement(const code_set& set) {
  std::vector<code_range> gaps;
  std::uint32_t next = 0;
  for (const auto& range : set) {
    if (range.first > next) gaps.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= max_code_point) gaps.push_back({next, max_code_point});
  return normalized(std::move(gaps));
}

code_set difference(const code_set& set, const code_set& other) {
  code_set outside = complement(set);
  outside.insert(outside.end(), other.begin(), other.end());
  return complement(normalized(std::move(outside)));
}

bool contains(const code_set& set, std::uint32_t code_point) {
  return std::ranges::any_of(set, [&](const code_range& r) { return r.first <= code_point && code_point <= r.last; });
}

std::vector<byte_sequence> utf8_sequences(const code_set& set) {
  std::vector<byte_sequence> sequences;
  for (const auto& range : set)
    append_sequences(sequences, range);
  return sequences;
}

}  // namespace troupe::grammar
