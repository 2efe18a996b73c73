// The tokens of a model as a trie over their bytes, so that tokens with the same beginning are tried together. Built
// once for a model (some 30 ms for 49,152 tokens) and shared by all its sequences; immutable.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

class token_set {
 public:
  /// A node is the byte that leads to it. Nodes stand in depth-first order: the first child of node i, if it has one,
  /// is i + 1, and the subtree of i ends before `end`.
  struct node {
    std::uint32_t end;
    std::uint32_t first_token;     // in sorted order; those that end here are up to first_token + n_tokens
    std::uint32_t subtree_tokens;  // of the node and all below it, from first_token on
    std::uint16_t n_tokens;
    std::uint16_t depth;  // from 1
    std::uint8_t byte;
  };

  /// tokens: the bytes of each id, from 0; they are copied. ends: ids that end the text, allowed only where it may
  /// end. is_control: ids that are never allowed, such as <|im_start|>; ends need not be among them. Tokens of no
  /// bytes, and of more than 4,096, are never allowed either. Fails with invalid_argument on ids outside the
  /// vocabulary, or without any token.
  static result<std::shared_ptr<const token_set>> build(std::span<const std::string_view> tokens,
                                                        std::span<const token_id> ends,
                                                        const std::function<bool(token_id)>& is_control);

  std::size_t size() const { return starts_.size() - 1; }
  /// 64-bit words of a mask: one bit for each id, the lowest first.
  std::size_t mask_words() const { return (size() + 63) / 64; }
  bool is_end(token_id id) const { return kinds_[static_cast<std::size_t>(id)] == kind::end; }
  /// Neither an end nor a control token nor without bytes.
  bool is_text(token_id id) const { return kinds_[static_cast<std::size_t>(id)] == kind::text; }
  bool contains(token_id id) const { return id >= 0 && static_cast<std::size_t>(id) < size(); }
  std::string_view bytes(token_id id) const {
    const auto i = static_cast<std::size_t>(id);
    return std::string_view(bytes_).substr(starts_[i], starts_[i + 1] - starts_[i]);
  }
  std::span<const token_id> ends() const { return ends_; }
  /// Text tokens by their bytes, ascending.
  std::span<const token_id> sorted() const { return sorted_; }
  std::span<const node> nodes() const { return nodes_; }
  std::size_t max_bytes() const { return max_bytes_; }

 private:
  enum class kind : std::uint8_t { text, end, never };

  void build_trie();

  std::string bytes_;
  std::vector<std::size_t> starts_{0};
  std::vector<kind> kinds_;
  std::vector<token_id> ends_;
  std::vector<token_id> sorted_;
  std::vector<node> nodes_;
  std::size_t max_bytes_ = 0;
};

}  // namespace troupe
