#include "runtime/grammar/stack_machine.hpp"

#include "base/assert.hpp"
#include "base/random.hpp"
#include "runtime/grammar/limits.hpp"
#include "runtime/grammar/shortest_ways.hpp"

#include <algorithm>

namespace troupe::grammar {
namespace {

std::uint32_t add_distances(std::uint32_t a, std::uint32_t b) {
  constexpr std::uint32_t most = 1u << 30;
  return std::min(most, std::min(a, most) + std::min(b, most));
}

}  // namespace

stack_machine::stack_machine(const automaton& a, std::span<const std::uint32_t> keys, inside_tag)
    : automaton_(&a), keys_(keys) {}

stack_machine::stack_machine(const automaton& a, std::span<const std::uint32_t> keys)
    : stack_machine(a, keys, inside_tag{}) {
  frames_.push_back({.key = ends, .first_return = 0, .n_returns = 0, .distance = 0, .depth = 0, .flags = ends});
  levels_.push_back({0, 1, 0, a.root_is_nullable ? ends : std::uint8_t{0}});
  const state_id entry = a.rules[0].entry;
  entered_.push_back({entry, 0});  // an entry does not return: that the root is nullable is said above
  call_from(entry, 0);
  make_calls();
  commit();
}

stack_machine stack_machine::inside(const automaton& a, std::span<const std::uint32_t> keys, state_id state) {
  stack_machine made(a, keys, inside_tag{});
  made.frames_.push_back(
      {.key = escapes, .first_return = 0, .n_returns = 0, .distance = 0, .depth = 0, .flags = escapes});
  made.levels_.push_back({0, 1, 0, 0});
  made.configurations_.push_back({state, 0});
  return made;
}

std::span<const stack_machine::configuration> stack_machine::configurations() const {
  return std::span(configurations_).subspan(levels_.back().first_configuration);
}

bool stack_machine::push(std::uint8_t byte) {
  const std::size_t begin = levels_.back().first_configuration, end = configurations_.size();
  levels_.push_back({static_cast<std::uint32_t>(end), static_cast<std::uint32_t>(frames_.size()),
                     static_cast<std::uint32_t>(returns_.size()), 0});
  work_of_push_ = 0;
  for (std::size_t i = begin; i < end; ++i) {
    const configuration from = configurations_[i];
    ++work_of_push_;
    if (const state_id next = automaton_->next(from.state, byte); next != no_state) enter(next, from.frame);
  }
  // `entered_` grows while it is walked: a return enters the caller's state.
  for (std::size_t i = 0; i < entered_.size() && !is_over_bounds(); ++i)
    if (automaton_->final[entered_[i].state]) return_from(entered_[i].frame);
  const std::size_t n_entered = entered_.size();
  for (std::size_t i = 0; i < n_entered && !is_over_bounds(); ++i)
    call_from(entered_[i].state, entered_[i].frame);
  make_calls();
  return commit();
}

bool stack_machine::is_over_bounds() const {
  return work_of_push_ > max_work_per_byte || entered_.size() > max_configurations;
}

bool stack_machine::fits(std::uint32_t depth) {
  deepest_ = std::max(deepest_, depth);
  return depth <= max_depth;
}

// A state is entered only where its shallowest way to the end stays inside the depth; so whatever is entered can end.
void stack_machine::enter(state_id state, std::uint32_t frame) {
  if (!fits(frames_[frame].depth + automaton_->need[state])) return;
  const configuration made{state, frame};
  work_of_push_ += 1 + entered_.size() / 8;
  if (std::ranges::find(entered_, made) == entered_.end()) entered_.push_back(made);
}

void stack_machine::return_from(std::uint32_t from) {
  if (std::ranges::find(returned_, from) != returned_.end()) return;
  returned_.push_back(from);
  levels_.back().flags |= frames_[from].flags;
  const std::uint32_t first = frames_[from].first_return, n = frames_[from].n_returns;
  for (std::uint32_t i = first; i < first + n && !is_over_bounds(); ++i)
    enter(returns_[i].state, returns_[i].frame);
}

void stack_machine::call_from(state_id state, std::uint32_t frame) {
  for (const auto& call : automaton_->calls_of(state))
    add_call(call, frame);
}

void stack_machine::add_call(const automaton::call& call, std::uint32_t frame) {
  const std::uint32_t depth = frames_[frame].depth;
  ++work_of_push_;
  if (!fits(depth + 1 + automaton_->rules[call.rule].need) || !fits(depth + automaton_->need[call.after])) return;
  std::size_t at = 0;
  while (at < n_pending_ && pending_[at].rule != call.rule)
    ++at;
  work_of_push_ += at / 8;
  if (at == n_pending_) {
    if (n_pending_ == pending_.size()) pending_.emplace_back();
    pending_[n_pending_].rule = call.rule;
    pending_[n_pending_].depth = 0;
    pending_[n_pending_].flags = 0;
    pending_[n_pending_++].is_made = false;
  }
  pending_call& made = pending_[at];
  const auto add_return = [&](const frame_return& back) {
    work_of_push_ += 1 + made.returns.size() / 8;
    if (std::ranges::find(made.returns, back) == made.returns.end()) made.returns.push_back(back);
  };
  if (automaton_->is_tail(call.after)) {
    const auto& caller = frames_[frame];
    made.flags |= caller.flags;
    made.depth = std::max(made.depth, caller.depth);
    for (std::uint32_t i = 0; i < caller.n_returns && !is_over_bounds(); ++i)
      add_return(returns_[caller.first_return + i]);
  } else {
    made.depth = std::max(made.depth, static_cast<std::uint16_t>(depth + 1));
    add_return({call.after, frame});
  }
}

// Callers of first calls before their callees, so that a frame has all its returns when it is made.
void stack_machine::make_calls() {
  while (!is_over_bounds()) {
    pending_call* next = nullptr;
    for (std::size_t i = 0; i < n_pending_; ++i) {
      pending_call& call = pending_[i];
      if (!call.is_made &&
          (next == nullptr || automaton_->rules[call.rule].order < automaton_->rules[next->rule].order))
        next = &call;
    }
    work_of_push_ += n_pending_ / 8;
    if (next == nullptr) return;
    next->is_made = true;
    const state_id entry = automaton_->rules[next->rule].entry;
    const std::uint32_t made = add_frame(*next);
    entered_.push_back({entry, made});  // it does not return: calls of nothing are folded into the caller's states
    call_from(entry, made);
  }
}

std::uint32_t stack_machine::add_frame(const pending_call& call) {
  stack_frame made{.key = call.flags,
                   .first_return = static_cast<std::uint32_t>(returns_.size()),
                   .n_returns = static_cast<std::uint32_t>(call.returns.size()),
                   .distance = call.flags != 0 ? 0 : unreachable,
                   .depth = call.depth,
                   .flags = call.flags};
  for (const auto& back : call.returns) {
    const stack_frame& caller = frames_[back.frame];
    made.key += random_bits(caller.key, keys_[back.state] + std::uint64_t{16});  // a sum: the order does not matter
    made.distance = std::min(made.distance, add_distances(automaton_->distance[back.state], caller.distance));
    returns_.push_back(back);
  }
  work_of_push_ += call.returns.size();
  frames_.push_back(made);
  return static_cast<std::uint32_t>(frames_.size() - 1);
}

bool stack_machine::commit() {
  const bool is_over = is_over_bounds();
  work_ += work_of_push_;
  if (is_over) has_overflowed_ = true;
  if (!is_over)
    for (const auto& made : entered_)
      if (automaton_->reads[made.state]) configurations_.push_back(made);
  entered_.clear();
  returned_.clear();
  for (std::size_t i = 0; i < n_pending_; ++i)
    pending_[i].returns.clear();
  n_pending_ = 0;
  const level& made = levels_.back();
  if (!is_over && (configurations_.size() > made.first_configuration || made.flags != 0)) return true;
  if (levels_.size() > 1) pop();
  return false;
}

void stack_machine::pop() {
  TROUPE_ASSERT(levels_.size() > 1, "the first level stays");
  const level gone = levels_.back();
  levels_.pop_back();
  configurations_.resize(gone.first_configuration);
  frames_.resize(gone.n_frames);
  returns_.resize(gone.n_returns);
}

void stack_machine::clear() {
  levels_ = {{0, 0, 0, 0}};
  configurations_.clear();
  frames_.clear();
  returns_.clear();
}

void stack_machine::collapse() {
  const level last = levels_.back();
  configurations_.erase(configurations_.begin(), configurations_.begin() + last.first_configuration);
  // Frames return to older frames only, so one walk from young to old finds those in use, and one from old to young
  // copies them.
  std::vector<std::uint32_t> moved(frames_.size(), nothing);
  for (const auto& c : configurations_)
    moved[c.frame] = 0;
  for (std::size_t i = frames_.size(); i-- > 0;) {
    if (moved[i] == nothing) continue;
    for (std::uint32_t r = 0; r < frames_[i].n_returns; ++r)
      moved[returns_[frames_[i].first_return + r].frame] = 0;
  }
  std::uint32_t n_frames = 0, n_returns = 0;
  for (std::size_t i = 0; i < frames_.size(); ++i) {
    if (moved[i] == nothing) continue;
    moved[i] = n_frames;
    stack_frame kept = frames_[i];
    const std::uint32_t from = kept.first_return;
    kept.first_return = n_returns;
    for (std::uint32_t r = 0; r < kept.n_returns; ++r) {
      const frame_return back = returns_[from + r];
      returns_[n_returns++] = {back.state, moved[back.frame]};
    }
    frames_[n_frames++] = kept;
  }
  frames_.resize(n_frames);
  returns_.resize(n_returns);
  for (auto& c : configurations_)
    c.frame = moved[c.frame];
  levels_ = {{0, n_frames, n_returns, last.flags}};
}

std::uint64_t stack_machine::key_of(const configuration& c) const {
  return random_bits(frames_[c.frame].key, keys_[c.state] + std::uint64_t{16});
}

std::uint64_t stack_machine::key() const {
  std::uint64_t sum = levels_.back().flags;
  for (const auto& c : configurations())
    sum += key_of(c);
  return random_bits(sum, 0);
}

std::uint32_t stack_machine::depth_of(const configuration& c) const {
  return frames_[c.frame].depth;
}

std::uint32_t stack_machine::distance() const {
  if (may_end()) return 0;
  std::uint32_t least = unreachable;
  for (const auto& c : configurations()) {
    // A configuration at a final state has returned already, so what it goes on to read is more than nothing.
    least = std::min(least, add_distances(automaton_->distance[c.state], frames_[c.frame].distance));
  }
  return least;
}

}  // namespace troupe::grammar
