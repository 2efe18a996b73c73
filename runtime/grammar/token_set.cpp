#include "runtime/grammar/token_set.hpp"

#include "runtime/grammar/limits.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

result<std::shared_ptr<const token_set>> token_set::build(std::span<const std::string_view> tokens,
                                                          std::span<const token_id> ends,
                                                          const std::function<bool(token_id)>& is_control) {
  if (tokens.empty()) return make_error(errc::invalid_argument, "The vocabulary has no tokens.");
  auto made = std::make_shared<token_set>();
  for (const token_id id : ends) {
    if (id < 0 || static_cast<std::size_t>(id) >= tokens.size())
      return make_error(errc::invalid_argument, "The end token " + std::to_string(id) +
                                                    " is outside the vocabulary of " + std::to_string(tokens.size()) +
                                                    " tokens.");
    made->ends_.push_back(id);
  }
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<token_id>(i);
    const bool is_text = !tokens[i].empty() && tokens[i].size() <= grammar::max_token_bytes && !is_control(id);
    made->kinds_.push_back(is_text ? kind::text : kind::never);
    made->bytes_ += tokens[i];
    made->starts_.push_back(made->bytes_.size());
  }
  for (const token_id id : made->ends_)
    made->kinds_[static_cast<std::size_t>(id)] = kind::end;
  made->build_trie();
  return std::shared_ptr<const token_set>(std::move(made));
}

void token_set::build_trie() {
  for (std::size_t i = 0; i < size(); ++i)
    if (const auto id = static_cast<token_id>(i); is_text(id)) sorted_.push_back(id);
  std::ranges::sort(sorted_, [&](token_id a, token_id b) {
    const int order = bytes(a).compare(bytes(b));
    return order != 0 ? order < 0 : a < b;
  });
  std::vector<std::uint32_t> path;  // nodes of the token before, one for each byte
  std::string_view before;
  const auto close = [&](std::size_t depth, std::size_t n_tokens) {
    for (; path.size() > depth; path.pop_back()) {
      node& last = nodes_[path.back()];
      last.end = static_cast<std::uint32_t>(nodes_.size());
      last.subtree_tokens = static_cast<std::uint32_t>(n_tokens) - last.first_token;
    }
  };
  for (std::size_t i = 0; i < sorted_.size(); ++i) {
    const std::string_view text = bytes(sorted_[i]);
    const auto common = static_cast<std::size_t>(std::ranges::mismatch(before, text).in1 - before.begin());
    close(common, i);
    while (path.size() < text.size()) {
      path.push_back(static_cast<std::uint32_t>(nodes_.size()));
      nodes_.push_back({.end = 0,
                        .first_token = static_cast<std::uint32_t>(i),
                        .subtree_tokens = 0,
                        .n_tokens = 0,
                        .depth = static_cast<std::uint16_t>(path.size()),
                        .byte = static_cast<std::uint8_t>(text[path.size() - 1])});
    }
    if (nodes_[path.back()].n_tokens < 0xFFFF) ++nodes_[path.back()].n_tokens;
    max_bytes_ = std::max(max_bytes_, text.size());
    before = text;
  }
  close(0, sorted_.size());
}

}  // namespace troupe
