#include "runtime/grammar/grammar_matcher.hpp"

#include "base/assert.hpp"
#include "runtime/grammar/limits.hpp"
#include "runtime/grammar/state_classes.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

using grammar::mask_builder;
using grammar::stack_machine;
using grammar::state_mask;

grammar_matcher::grammar_matcher(std::shared_ptr<const compiled_grammar> compiled,
                                 std::shared_ptr<const token_set> tokens, std::size_t max_cache_bytes)
    : compiled_(std::move(compiled)),
      tokens_(std::move(tokens)),
      classes_(grammar::find_state_classes(compiled_->automaton(), tokens_->max_bytes() + 1)),
      state_masks_(max_cache_bytes / 2),
      masks_(max_cache_bytes / 2) {}

result<> grammar_matcher::find_mask(const stack_machine& machine, std::span<std::uint64_t> bits) {
  const std::uint64_t key = machine.key();
  if (const auto found = masks_.find(key)) {
    std::ranges::copy(*found, bits.begin());
    return {};
  }
  if (const auto made = make_mask(machine, bits); !made) return made.error();
  masks_.insert(key, std::make_shared<const mask_bits>(bits.begin(), bits.end()), bits.size_bytes());
  return {};
}

result<> grammar_matcher::make_mask(const stack_machine& machine, std::span<std::uint64_t> bits) {
  std::ranges::fill(bits, 0);
  const std::size_t max_work = grammar::mask_work_per_node * (tokens_->nodes().size() + 64);
  mask_builder builder(compiled_->automaton(), *tokens_, classes_, max_work);
  std::vector<std::pair<std::uint32_t, std::uint32_t>> dependent;
  for (const auto& c : machine.configurations()) {
    const auto found = mask_of_state(c.state, builder);
    if (builder.has_overflowed()) break;
    if (machine.depth_of(c) + found->deepest > grammar::max_depth) {  // what the state knows holds for less depth
      dependent = {{0, static_cast<std::uint32_t>(tokens_->sorted().size())}};
      std::ranges::fill(bits, 0);
      break;
    }
    for (std::size_t i = 0; i < bits.size(); ++i)
      bits[i] |= found->allowed[i];
    dependent.insert(dependent.end(), found->dependent.begin(), found->dependent.end());
  }
  if (!dependent.empty() && !builder.has_overflowed()) {
    std::ranges::sort(dependent);
    stack_machine trial = machine;
    builder.try_tokens(trial, dependent, bits);
  }
  if (builder.has_overflowed())
    return make_error(errc::too_large, "The grammar is too ambiguous here: finding the next tokens takes too long.");
  if (machine.may_end())
    for (const token_id id : tokens_->ends())
      grammar::set_bit(bits, id);
  return {};
}

std::shared_ptr<const state_mask> grammar_matcher::mask_of_state(grammar::state_id state, mask_builder& builder) {
  const std::uint64_t key = classes_[state];
  if (auto found = state_masks_.find(key)) return found;
  auto made = std::make_shared<const state_mask>(builder.build_state_mask(state));
  if (!builder.has_overflowed()) state_masks_.insert(key, made, made->bytes());
  return made;
}

grammar_state::grammar_state(std::shared_ptr<grammar_matcher> matcher)
    : matcher_(std::move(matcher)), machine_(matcher_->compiled().automaton(), matcher_->classes_) {}

result<> grammar_state::mask(std::span<std::uint64_t> bits) const {
  TROUPE_ASSERT(bits.size() == matcher_->tokens().mask_words(), "one bit for each token of the vocabulary");
  if (!has_ended_) return matcher_->find_mask(machine_, bits);
  std::ranges::fill(bits, 0);
  return {};
}

bool grammar_state::accept(token_id token) {
  const token_set& tokens = matcher_->tokens();
  if (has_ended_ || !tokens.contains(token)) return false;
  if (tokens.is_end(token)) {
    if (!may_end()) return false;
    has_ended_ = true;
    machine_.clear();
    return true;
  }
  if (!tokens.is_text(token)) return false;
  const std::size_t base = machine_.n_levels();
  for (const char byte : tokens.bytes(token)) {
    if (machine_.push(static_cast<std::uint8_t>(byte))) continue;
    while (machine_.n_levels() > base)
      machine_.pop();
    return false;
  }
  machine_.collapse();
  return true;
}

}  // namespace troupe
