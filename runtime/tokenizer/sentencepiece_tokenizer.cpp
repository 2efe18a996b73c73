#include "runtime/tokenizer/sentencepiece_tokenizer.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

namespace troupe {
namespace {

constexpr std::uint32_t nowhere = 0xFFFFFFFF;

/// Bytes of the character that begins with this one, as its first bits claim: text that is not UTF-8 is cut alike by
/// whoever goes by them.
std::size_t claimed_length(char first) {
  const auto bits = static_cast<unsigned char>(first) >> 4;
  return bits < 12 ? 1 : bits < 14 ? 2 : bits == 14 ? 3 : 4;
}

/// Merges one text after another, keeping its memory.
class piece_merger {
 public:
  piece_merger(const vocabulary& words, const std::vector<float>& scores) : words_(words), scores_(scores) {}

  void merge(std::string_view text, std::vector<token_id>& out) {
    TROUPE_ASSERT(text.size() < nowhere, "positions in a text are 32 bits");
    text_ = text;
    cut_characters();
    for (std::uint32_t i = 0; i + 1 < pieces_.size(); ++i)
      offer(i);
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end());
      const offered top = heap_.back();
      heap_.pop_back();
      // Since it was offered, either side may have grown or gone.
      const piece& left = pieces_[top.left];
      if (left.size == 0 || left.next == nowhere || left.size + pieces_[left.next].size != top.size) continue;
      join(top);
    }
    for (std::uint32_t i = 0; i < pieces_.size(); i = pieces_[i].next)
      append(pieces_[i], out);
  }

 private:
  /// size 0: joined to the one before.
  struct piece {
    std::uint32_t begin, size;
    std::uint32_t previous, next;
    token_id token;
  };
  struct offered {
    float score;
    std::uint32_t left;
    std::uint32_t size;  // of both together
    token_id token;

    friend bool operator<(const offered& a, const offered& b) {
      return a.score < b.score || (a.score == b.score && a.left > b.left);
    }
  };

  std::string_view bytes(std::uint32_t begin, std::uint32_t size) const { return text_.substr(begin, size); }
  token_id token_of(std::string_view text) const { return words_.find_word(text).value_or(vocabulary::no_token); }

  void cut_characters() {
    pieces_.clear();
    heap_.clear();
    for (std::size_t at = 0; at < text_.size();) {
      const auto size = static_cast<std::uint32_t>(std::min(claimed_length(text_[at]), text_.size() - at));
      const auto i = static_cast<std::uint32_t>(pieces_.size());
      const auto begin = static_cast<std::uint32_t>(at);
      pieces_.push_back({begin, size, i - 1, i + 1, token_of(bytes(begin, size))});
      at += size;
    }
    if (pieces_.empty()) return;
    pieces_.front().previous = nowhere;
    pieces_.back().next = nowhere;
  }

  void offer(std::uint32_t left) {
    const std::uint32_t right = pieces_[left].next;
    if (right == nowhere) return;
    const std::uint32_t size = pieces_[left].size + pieces_[right].size;
    const token_id token = token_of(bytes(pieces_[left].begin, size));
    if (token == vocabulary::no_token) return;
    heap_.push_back({scores_[static_cast<std::size_t>(token)], left, size, token});
    std::push_heap(heap_.begin(), heap_.end());
  }

  void join(const offered& pair) {
    piece& left = pieces_[pair.left];
    piece& right = pieces_[left.next];
    left.size = pair.size;
    left.token = pair.token;
    left.next = right.next;
    right.size = 0;
    if (left.next != nowhere) pieces_[left.next].previous = pair.left;
    if (left.previous != nowhere) offer(left.previous);
    offer(pair.left);
  }

  void append(const piece& p, std::vector<token_id>& out) const {
    if (p.token != vocabulary::no_token) {
      out.push_back(p.token);
      return;
    }
    for (const char byte : bytes(p.begin, p.size)) {
      const token_id token = words_.byte_token(static_cast<std::uint8_t>(byte));
      if (token != vocabulary::no_token) out.push_back(token);
    }
  }

  const vocabulary& words_;
  const std::vector<float>& scores_;
  std::string_view text_;
  std::vector<piece> pieces_;
  std::vector<offered> heap_;
};

}  // namespace

sentencepiece_tokenizer::sentencepiece_tokenizer(vocabulary vocabulary, std::vector<float> scores, token_roles roles,
                                                 bool adds_space)
    : vocabulary_tokenizer(std::move(vocabulary), std::move(roles)),
      scores_(std::move(scores)),
      adds_space_(adds_space) {
  TROUPE_ASSERT(scores_.size() == words().size(), "every token has its score");
}

std::vector<token_id> sentencepiece_tokenizer::encode(std::string_view text, special_tokens mode) const {
  std::vector<token_id> out;
  out.reserve(text.size() / 3);
  piece_merger merger(words(), scores_);
  std::string plain;
  const auto encode_plain = [&](std::string_view part) {
    if (part.empty()) return;
    plain.assign(adds_space_ ? " " : "");
    append_spaces(plain, part);
    merger.merge(plain, out);
  };
  const auto& names = names_for(mode);
  while (const auto special = names.find_first(text)) {
    encode_plain(text.substr(0, special->position));
    out.push_back(special->token);
    text.remove_prefix(special->position + special->length);
  }
  encode_plain(text);
  return out;
}

}  // namespace troupe
