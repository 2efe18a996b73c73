#include "runtime/tokenizer/special_token_finder.hpp"

#include "base/assert.hpp"

namespace troupe {

void special_token_finder::add(std::string_view text, token_id token) {
  TROUPE_ASSERT(!text.empty(), "an empty special token is everywhere");
  std::int32_t& root = roots_[static_cast<std::uint8_t>(text[0])];
  if (root == none) root = add_node(static_cast<std::uint8_t>(text[0]));
  std::int32_t at = root;
  for (const char c : text.substr(1)) {
    const auto byte = static_cast<std::uint8_t>(c);
    std::int32_t child = find_child(at, byte);
    if (child == none) {
      child = add_node(byte);
      nodes_[child].sibling = nodes_[at].child;
      nodes_[at].child = child;
    }
    at = child;
  }
  nodes_[at].token = token;
}

std::int32_t special_token_finder::add_node(std::uint8_t byte) {
  nodes_.push_back({byte});
  return static_cast<std::int32_t>(nodes_.size() - 1);
}

std::int32_t special_token_finder::find_child(std::int32_t parent, std::uint8_t byte) const {
  std::int32_t child = nodes_[parent].child;
  while (child != none && nodes_[child].byte != byte)
    child = nodes_[child].sibling;
  return child;
}

std::optional<token_place> special_token_finder::find_first(std::string_view text) const {
  if (empty()) return std::nullopt;
  for (std::size_t position = 0; position < text.size(); ++position) {
    if (roots_[static_cast<std::uint8_t>(text[position])] == none) continue;
    if (const auto found = longest_at(text, position)) return found;
  }
  return std::nullopt;
}

std::optional<token_place> special_token_finder::longest_at(std::string_view text, std::size_t position) const {
  std::optional<token_place> longest;
  std::int32_t at = roots_[static_cast<std::uint8_t>(text[position])];
  for (std::size_t end = position + 1; at != none; ++end) {
    if (nodes_[at].token != none) longest = {position, end - position, nodes_[at].token};
    if (end == text.size()) break;
    at = find_child(at, static_cast<std::uint8_t>(text[end]));
  }
  return longest;
}

}  // namespace troupe
