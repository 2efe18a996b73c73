#include "runtime/engine/prompt_lookup.hpp"

#include <algorithm>
#include <bit>

namespace troupe {
namespace {

std::size_t slot_of(std::span<const token_id> gram, std::size_t n_slots) {
  std::uint64_t hash = 0x9e3779b97f4a7c15u;
  for (const token_id token : gram)
    hash = (hash ^ static_cast<std::uint32_t>(token)) * 0xff51afd7ed558ccdu;
  return static_cast<std::size_t>(hash >> 32) & (n_slots - 1);
}

}  // namespace

void prompt_lookup::table::reserve(std::size_t n_tokens) {
  ends.assign(std::bit_ceil(2 * std::max<std::size_t>(n_tokens, 8)), 0);
}

std::uint32_t& prompt_lookup::table::at(std::span<const token_id> gram) {
  return ends[slot_of(gram, ends.size())];
}

std::uint32_t prompt_lookup::table::find(std::span<const token_id> gram) const {
  return ends[slot_of(gram, ends.size())];
}

void prompt_lookup::reserve(std::size_t n_tokens) {
  three_.reserve(n_tokens);
  two_.reserve(n_tokens);
}

// The n-gram at the very end is left for the next call: found again at once it would only find itself.
void prompt_lookup::update(std::span<const token_id> tokens) {
  for (; n_seen_ < tokens.size(); ++n_seen_) {
    const std::size_t end = n_seen_;  // one past the last token of the n-gram
    if (end >= 2) two_.at(tokens.subspan(end - 2, 2)) = static_cast<std::uint32_t>(end);
    if (end >= 3) three_.at(tokens.subspan(end - 3, 3)) = static_cast<std::uint32_t>(end);
  }
}

std::span<const token_id> prompt_lookup::guess(std::span<const token_id> tokens, std::size_t most) const {
  const auto after = [&](const table& grams, std::size_t n) -> std::span<const token_id> {
    if (tokens.size() < n) return {};
    const auto end = tokens.last(n);
    const std::size_t at = grams.find(end);
    if (at < n || at >= tokens.size()) return {};
    if (!std::ranges::equal(tokens.subspan(at - n, n), end)) return {};  // another with the same hash
    return tokens.subspan(at, std::min(most, tokens.size() - at));
  };
  const auto best = after(three_, 3);
  return best.empty() ? after(two_, 2) : best;
}

}  // namespace troupe
