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

void prompt_lookup::reserve(std::size_t n_tokens) {
  for (auto& ends : ends_)
    ends.assign(std::bit_ceil(2 * std::max<std::size_t>(n_tokens, 8)), 0);
}

// The n-gram at the very end is left for the next call: found again at once it would only find itself.
void prompt_lookup::update(std::span<const token_id> tokens) {
  for (; n_seen_ < tokens.size(); ++n_seen_)
    for (std::size_t i = 0; i < lengths.size(); ++i)
      if (n_seen_ >= lengths[i])
        ends_[i][slot_of(tokens.subspan(n_seen_ - lengths[i], lengths[i]), ends_[i].size())] =
            static_cast<std::uint32_t>(n_seen_);
}

std::span<const token_id> prompt_lookup::guess(std::span<const token_id> tokens, std::size_t most) const {
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const std::size_t n = lengths[i];
    if (tokens.size() < n) continue;
    const auto last = tokens.last(n);
    const std::size_t at = ends_[i][slot_of(last, ends_[i].size())];
    if (at < n || at >= tokens.size()) continue;
    if (!std::ranges::equal(tokens.subspan(at - n, n), last)) continue;  // another with the same hash
    return tokens.subspan(at, std::min(most, tokens.size() - at));
  }
  return {};
}

}  // namespace troupe
