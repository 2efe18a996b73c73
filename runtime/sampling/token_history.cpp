#include "runtime/sampling/token_history.hpp"

#include <algorithm>
#include <bit>

namespace troupe {
namespace {

std::size_t hash_of(token_id token) {
  return static_cast<std::uint32_t>(token) * std::size_t{0x9e3779b97f4a7c15} >> 32;
}

}  // namespace

void token_history::reserve(std::size_t n_tokens) {
  distinct_.reserve(n_tokens);
  const std::size_t n_slots = std::bit_ceil(std::max<std::size_t>(16, n_tokens * 2));
  if (n_slots > slots_.size()) rebuild(n_slots);
}

void token_history::add_prompt(std::span<const token_id> tokens) {
  for (const token_id token : tokens)
    find_or_add(token);
}

void token_history::add_output(token_id token) {
  ++find_or_add(token).in_output;
}

void token_history::clear() {
  distinct_.clear();
  std::ranges::fill(slots_, 0u);
}

token_history::occurrences& token_history::find_or_add(token_id token) {
  if ((distinct_.size() + 1) * 2 > slots_.size()) rebuild(std::max<std::size_t>(16, slots_.size() * 2));
  std::size_t slot = hash_of(token) & (slots_.size() - 1);
  for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1))
    if (occurrences& known = distinct_[slots_[slot] - 1]; known.token == token) return known;
  distinct_.push_back({.token = token, .in_output = 0});
  slots_[slot] = static_cast<std::uint32_t>(distinct_.size());
  return distinct_.back();
}

void token_history::rebuild(std::size_t n_slots) {
  slots_.assign(n_slots, 0);
  for (std::uint32_t i = 0; i < distinct_.size(); ++i) {
    std::size_t slot = hash_of(distinct_[i].token) & (n_slots - 1);
    while (slots_[slot] != 0)
      slot = (slot + 1) & (n_slots - 1);
    slots_[slot] = i + 1;
  }
}

}  // namespace troupe
