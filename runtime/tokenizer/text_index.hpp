// From a token's bytes to its id: an open-addressing hash, at most half full, over texts that somebody else keeps.
// Texts of up to eight bytes, which most words are, lie in the slot itself, so that finding one touches one cache line.
// The hash is seeded at start, so that no file can choose texts that all collide; what is found never depends on the
// seed.
#pragma once

#include "base/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace troupe {

class text_index {
 public:
  /// For at most this many texts.
  explicit text_index(std::size_t capacity);

  /// False, and nothing changes, if the text is there already. It is not empty, and its bytes must stay where they are.
  bool insert(std::string_view text, token_id id);
  std::optional<token_id> find(std::string_view text) const;

 private:
  struct slot {
    std::uint64_t key = 0;     // a short text itself, the hash of a long one
    std::uint32_t length = 0;  // 0: free
    token_id id = 0;
  };
  std::uint64_t key_of(std::string_view text) const;
  std::size_t slot_of(std::string_view text,
                      std::uint64_t key) const;  // that holds it, or the free one where it belongs

  std::vector<slot> slots_;              // a power of two of them
  std::vector<const char*> long_texts_;  // by slot
  std::size_t size_ = 0;
  std::uint64_t seed_;
};

}  // namespace troupe
