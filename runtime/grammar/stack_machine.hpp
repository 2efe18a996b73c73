// Reads bytes by an automaton with a stack, all ways at once. A configuration is a state and the frame to return to;
// frames that are called by the same rule at the same byte are one frame with several returns (a graph-structured
// stack, Tomita 1985), so that ambiguity costs a polynomial and not every combination of returns.
//
// Levels are bytes: push() reads one more, pop() takes it back, so that tokens with the same beginning share the work.
// A rule called as the last thing of another inherits the other's returns: right recursion needs no depth.
#pragma once

#include "runtime/grammar/automaton.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace troupe::grammar {

class stack_machine {
 public:
  struct configuration {
    state_id state;
    std::uint32_t frame;
    friend bool operator==(const configuration&, const configuration&) = default;
  };

  /// At the root's entry, nothing read. `keys` (n_states) gives states that no token tells apart the same number; it
  /// and the automaton outlive the machine.
  stack_machine(const automaton& a, std::span<const std::uint32_t> keys);
  /// In one state of an unknown caller: has_escaped() tells when the last byte may have ended the rule.
  static stack_machine inside(const automaton& a, std::span<const std::uint32_t> keys, state_id state);

  /// Reads a byte; false, and nothing changes, when it leads nowhere. False too past a bound of limits.hpp, and then
  /// has_overflowed().
  bool push(std::uint8_t byte);
  void pop();
  std::size_t n_levels() const { return levels_.size(); }
  /// Forgets how it came here: the last level becomes the only one, and frames out of use go.
  void collapse();
  /// No configuration is left, and no end either.
  void clear();

  std::span<const configuration> configurations() const;
  bool may_end() const { return (levels_.back().flags & ends) != 0; }
  bool has_escaped() const { return (levels_.back().flags & escapes) != 0; }
  bool has_overflowed() const { return has_overflowed_; }
  /// Steps taken since it was made, for those who bound them.
  std::size_t work() const { return work_; }
  /// Equal for machines that allow the same tokens.
  std::uint64_t key() const;
  std::uint64_t key_of(const configuration& c) const;
  /// Rules within one another at this configuration.
  std::uint32_t depth_of(const configuration& c) const;
  /// The depth that its ways so far, and the shallowest ends of each, would have taken; more than max_depth is refused.
  std::uint32_t deepest() const { return deepest_; }
  /// Bytes of the shortest text that ends what was read; 0 when it may end now.
  std::uint32_t distance() const;
  std::size_t n_frames() const { return frames_.size(); }

 private:
  static constexpr std::uint8_t ends = 1;     // the root returns: the text is complete
  static constexpr std::uint8_t escapes = 2;  // an unknown caller goes on

  struct frame_return {
    state_id state;
    std::uint32_t frame;
    friend bool operator==(const frame_return&, const frame_return&) = default;
  };
  struct stack_frame {
    std::uint64_t key;
    std::uint32_t first_return;
    std::uint32_t n_returns;
    std::uint32_t distance;  // bytes from this return to the end of the text
    std::uint16_t depth;     // of the deepest return
    std::uint8_t flags;
  };
  struct level {
    std::uint32_t first_configuration;
    std::uint32_t n_frames;   // before this level's
    std::uint32_t n_returns;  // before this level's
    std::uint8_t flags;
  };
  struct pending_call {
    std::uint32_t rule;
    std::uint16_t depth;
    std::uint8_t flags;
    bool is_made;
    std::vector<frame_return> returns;
  };

  struct inside_tag {};
  stack_machine(const automaton& a, std::span<const std::uint32_t> keys, inside_tag);

  void enter(state_id state, std::uint32_t frame);
  void return_from(std::uint32_t frame);
  void call_from(state_id state, std::uint32_t frame);
  void add_call(const automaton::call& call, std::uint32_t frame);
  void make_calls();
  std::uint32_t add_frame(const pending_call& call);
  bool commit();
  void abandon();
  bool is_over_bounds() const;
  bool fits(std::uint32_t depth);

  const automaton* automaton_;
  std::span<const std::uint32_t> keys_;
  std::vector<stack_frame> frames_;
  std::vector<frame_return> returns_;
  std::vector<configuration> configurations_;
  std::vector<level> levels_;
  std::size_t work_ = 0;
  std::uint32_t deepest_ = 0;
  bool has_overflowed_ = false;

  // Scratch of one push, empty between pushes so that copies of a machine are cheap.
  std::size_t work_of_push_ = 0;
  std::vector<configuration> entered_;
  std::vector<std::uint32_t> returned_;
  std::vector<pending_call> pending_;
  std::size_t n_pending_ = 0;
};

}  // namespace troupe::grammar
