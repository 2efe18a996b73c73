#include "runtime/grammar/mask_builder.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

namespace troupe::grammar {
namespace {

// Walks the whole trie from one state. As long as states are plain a step is one look-up in the table; a stack is only
// kept from the first call or return on.
class state_walk {
 public:
  state_walk(const automaton& a, const token_set& tokens, std::span<const std::uint32_t> keys, state_id start)
      : a_(a), tokens_(tokens), keys_(keys), steps_(tokens.max_bytes() + 1) {
    made_.allowed.resize(tokens.mask_words());
    steps_[0] = {start, false};
  }

  state_mask run(std::size_t& work, std::size_t max_work) {
    const auto nodes = tokens_.nodes();
    for (std::uint32_t i = 0; i < nodes.size() && work <= max_work;) {
      const auto& node = nodes[i];
      ++work;
      const bool lives = steps_[node.depth - 1].plain != no_state ? step_plain(node) : step_machine(node);
      if (machine_) {
        work += machine_->work() - machine_work_;
        machine_work_ = machine_->work();
      }
      if (lives) {
        allow(node);
        ++i;
      } else {
        if (steps_[node.depth - 1].has_escaped) depend(node.first_token, node.first_token + node.subtree_tokens);
        i = node.end;
      }
    }
    return std::move(made_);
  }

 private:
  struct step {
    state_id plain = no_state;  // no_state: the machine knows
    bool has_escaped = false;   // here or before
  };

  bool step_plain(const token_set::node& node) {
    const state_id from = steps_[node.depth - 1].plain;
    const state_id to = a_.next(from, node.byte);
    if (to == no_state) return false;
    if (a_.is_plain(to)) {
      made_.deepest = std::max(made_.deepest, a_.need[to]);
      steps_[node.depth] = {to, false};
      return true;
    }
    machine_ = stack_machine::inside(a_, keys_, from);
    machine_work_ = 0;
    machine_base_ = node.depth - 1u;
    return push(node);
  }

  bool step_machine(const token_set::node& node) {
    while (machine_base_ + machine_->n_levels() > node.depth)
      machine_->pop();
    return push(node);
  }

  bool push(const token_set::node& node) {
    const bool lives = machine_->push(node.byte);
    made_.deepest = std::max(made_.deepest, machine_->deepest());
    if (lives) steps_[node.depth] = {no_state, steps_[node.depth - 1].has_escaped || machine_->has_escaped()};
    return lives;
  }

  void allow(const token_set::node& node) {
    for (std::uint32_t t = node.first_token; t < node.first_token + node.n_tokens; ++t)
      set_bit(made_.allowed, tokens_.sorted()[t]);
  }

  void depend(std::uint32_t first, std::uint32_t last) {
    if (!made_.dependent.empty() && made_.dependent.back().second == first) {
      made_.dependent.back().second = last;
    } else {
      made_.dependent.emplace_back(first, last);
    }
  }

  const automaton& a_;
  const token_set& tokens_;
  std::span<const std::uint32_t> keys_;
  std::vector<step> steps_;  // (depth)
  std::optional<stack_machine> machine_;
  std::size_t machine_work_ = 0;
  std::size_t machine_base_ = 0;  // its first level stands at this depth
  state_mask made_;
};

}  // namespace

state_mask mask_builder::build_state_mask(state_id state) {
  return state_walk(automaton_, tokens_, keys_, state).run(work_, max_work_);
}

void mask_builder::try_tokens(stack_machine& machine, std::span<const std::pair<std::uint32_t, std::uint32_t>> ranges,
                              std::span<std::uint64_t> bits) {
  const std::size_t base = machine.n_levels();
  std::string_view read;                         // what the machine has read, or tried to
  std::size_t dead_at = std::string_view::npos;  // the byte of `read` that led nowhere
  std::size_t machine_work = machine.work();
  std::uint32_t next = 0;
  for (auto [first, last] : ranges) {
    for (std::uint32_t t = std::max(first, next); t < last && work_ <= max_work_; ++t) {
      const token_id id = tokens_.sorted()[t];
      if (has_bit(bits, id)) continue;
      const std::string_view text = tokens_.bytes(id);
      const auto common = static_cast<std::size_t>(std::ranges::mismatch(read, text).in1 - read.begin());
      ++work_;
      if (common > dead_at) continue;  // it shares the dead byte
      dead_at = std::string_view::npos;
      while (machine.n_levels() > base + common)
        machine.pop();
      read = text;
      for (std::size_t i = common; i < text.size() && dead_at == std::string_view::npos; ++i)
        if (!machine.push(static_cast<std::uint8_t>(text[i]))) dead_at = i;
      if (dead_at == std::string_view::npos) set_bit(bits, id);
      work_ += machine.work() - machine_work;
      machine_work = machine.work();
    }
    next = std::max(next, last);
  }
  while (machine.n_levels() > base)
    machine.pop();
}

}  // namespace troupe::grammar
