// Finds the texts of special tokens in a text: the leftmost, and of those that begin there the longest. A trie over the
// texts; a byte that begins none of them costs one look-up in a table of 256.
#pragma once

#include "runtime/tokenizer/tokenizer.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace troupe {

class special_token_finder {
 public:
  special_token_finder() { roots_.fill(none); }

  /// The text is not empty.
  void add(std::string_view text, token_id token);
  bool empty() const { return nodes_.empty(); }
  std::optional<token_place> find_first(std::string_view text) const;

 private:
  static constexpr std::int32_t none = -1;

  struct node {
    std::uint8_t byte;
    token_id token = none;        // of the text that ends here
    std::int32_t child = none;    // the first of those one byte further
    std::int32_t sibling = none;  // the next with the same bytes before this one
  };

  std::int32_t add_node(std::uint8_t byte);
  std::int32_t find_child(std::int32_t parent, std::uint8_t byte) const;
  std::optional<token_place> longest_at(std::string_view text, std::size_t position) const;

  std::array<std::int32_t, 256> roots_;
  std::vector<node> nodes_;
};

}  // namespace troupe
