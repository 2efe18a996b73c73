#include "runtime/tokenizer/word_merger.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>

namespace troupe {
namespace {

constexpr std::size_t short_word_bytes = 64;
constexpr std::uint32_t nowhere = 0xFFFFFFFF;

}  // namespace

void word_merger::merge(std::string_view word, std::vector<token_id>& out) {
  TROUPE_ASSERT(word.size() < nowhere, "positions in a word are 32 bits");
  if (word.size() <= short_word_bytes) {
    merge_short(word, out);
  } else {
    merge_long(word, out);
  }
}

void word_merger::merge_short(std::string_view word, std::vector<token_id>& out) const {
  std::array<token_id, short_word_bytes> tokens;
  std::array<merge_table::merge, short_word_bytes> merges;  // of each token with the one behind it
  std::size_t n = 0;
  for (const char byte : word) {
    const token_id token = words_.byte_token(static_cast<std::uint8_t>(byte));
    if (token != vocabulary::no_token) tokens[n++] = token;
  }
  if (n == 0) return;
  for (std::size_t i = 0; i + 1 < n; ++i)
    merges[i] = merges_.find(tokens[i], tokens[i + 1]);
  merges[n - 1] = {};

  while (true) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < n; ++i)
      if (merges[i].rank < merges[best].rank) best = i;
    if (merges[best].rank == merge_table::no_rank) break;
    tokens[best] = merges[best].token;
    std::copy(tokens.begin() + best + 2, tokens.begin() + n, tokens.begin() + best + 1);
    std::copy(merges.begin() + best + 1, merges.begin() + n, merges.begin() + best);
    --n;
    if (best + 1 < n) merges[best] = merges_.find(tokens[best], tokens[best + 1]);
    if (best > 0) merges[best - 1] = merges_.find(tokens[best - 1], tokens[best]);
  }
  out.insert(out.end(), tokens.begin(), tokens.begin() + n);
}

void word_merger::merge_long(std::string_view word, std::vector<token_id>& out) {
  link_symbols(word);
  while (!heap_.empty()) {
    std::ranges::pop_heap(heap_, std::greater{});
    const std::uint64_t top = heap_.back();
    heap_.pop_back();
    const auto position = static_cast<std::uint32_t>(top);
    const symbol& left = symbols_[position];
    if (left.token == vocabulary::no_token || left.next == nowhere) continue;
    // Since it was offered, either side may have changed: a rank names one pair, so an equal rank is the same pair.
    const auto merge = merges_.find(left.token, symbols_[left.next].token);
    if (merge.rank == top >> 32) join(position, merge.token);
  }
  for (const symbol& s : symbols_)
    if (s.token != vocabulary::no_token) out.push_back(s.token);
}

void word_merger::link_symbols(std::string_view word) {
  symbols_.clear();
  heap_.clear();
  for (const char byte : word) {
    const token_id token = words_.byte_token(static_cast<std::uint8_t>(byte));
    if (token == vocabulary::no_token) continue;
    const auto i = static_cast<std::uint32_t>(symbols_.size());
    if (i > 0) symbols_.back().next = i;
    symbols_.push_back({token, i == 0 ? nowhere : i - 1, nowhere});
  }
  for (std::uint32_t i = 0; i < symbols_.size(); ++i)
    offer(i);
}

void word_merger::offer(std::uint32_t position) {
  const symbol& left = symbols_[position];
  if (left.next == nowhere) return;
  const std::uint64_t rank = merges_.find(left.token, symbols_[left.next].token).rank;
  if (rank == merge_table::no_rank) return;
  heap_.push_back(rank << 32 | position);
  std::ranges::push_heap(heap_, std::greater{});
}

void word_merger::join(std::uint32_t position, token_id joined) {
  symbol& left = symbols_[position];
  symbol& right = symbols_[left.next];
  left.token = joined;
  left.next = right.next;
  right.token = vocabulary::no_token;
  if (left.next != nowhere) symbols_[left.next].previous = position;
  if (left.previous != nowhere) offer(left.previous);
  offer(position);
}

}  // namespace troupe
