// The merges of a byte-pair vocabulary: which two adjacent tokens join, into which, and how early. Read from
// tokenizer.ggml.merges, whose order is their rank ("Ġ t" joins before "Ġ a"). One flat hash of 16-byte entries, at
// most half full, so that a look-up is mostly one cache line.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "runtime/gguf/gguf_strings.hpp"
#include "runtime/tokenizer/seeded_mix.hpp"
#include "runtime/tokenizer/vocabulary.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe {

class merge_table {
 public:
  static constexpr std::uint32_t no_rank = 0xFFFFFFFF;

  struct merge {
    std::uint32_t rank = no_rank;  // lower joins first
    token_id token = vocabulary::no_token;
  };

  /// Errors name the merge at fault. The same pair twice keeps its first rank.
  static result<merge_table> read(const gguf_strings& merges, const vocabulary& words);

  /// The merge of two tokens; its rank is no_rank where they do not join.
  merge find(token_id left, token_id right) const {
    const std::uint64_t key = key_of(left, right);
    for (std::size_t at = slot_of(key);; at = (at + 1) & mask_) {
      const slot& s = slots_[at];
      if (s.key == key) return s.value;
      if (s.key == free_key) return {};
    }
  }

 private:
  static constexpr std::uint64_t free_key = ~std::uint64_t{0};  // no pair of valid ids has it

  struct slot {
    std::uint64_t key = free_key;
    merge value;
  };

  explicit merge_table(std::size_t capacity);
  void insert(token_id left, token_id right, merge value);

  static std::uint64_t key_of(token_id left, token_id right) {
    return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right);
  }
  std::size_t slot_of(std::uint64_t key) const { return seeded_mix(key, seed_) & mask_; }

  std::vector<slot> slots_;
  std::size_t mask_;
  std::uint64_t seed_;
};

}  // namespace troupe
