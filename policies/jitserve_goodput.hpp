// JITServe's local order, GMAX (2025): which streams a step computes so that the most tokens arrive inside what their
// clients asked for. Each sequence gets the bandwidth that it needs just in time:
//
//   priority = tokens that would still count if it were served on / seconds that would take
//              * share of the steps that it needs until its deadline
//
// Three classes by objective. A stream (token_every) counts every token that comes by first_token_by + i * token_every;
// one that is ahead of its schedule lends its place. An answer (done_by) counts whole or not at all: the tokens drawn
// and predicted, with the chance that so many fit before the deadline. Best effort (no objective) counts the more the
// longer it has been here. Who cannot keep a deadline any more, or missed it, is served with what is left.
//
// From the priorities to a batch of B, after the paper: those with at least candidate_share of the B-th priority are
// candidates, and of them, sorted by context length, the window with the largest sum is taken, since rows of like
// length share a step best. Unlike the paper's, the window leaves out nobody who is as far above the B-th as the
// candidates are allowed below: those are in the batch whatever their length. An admitted sequence is replaced by a
// waiting one only if that earns more in a frame than computing the replaced one again costs, and only if blocks have
// to be taken; they are taken from those that are worth least, however little urgent the others are.
//
// No starvation: of the sequences of one priority class that is served at all, n of which have gone starving_frames
// frames without a grant (batch_sequence::served), the longest unserved has one within ceil(n / starving_rows) further
// steps, as long as there is a block to take for it. Cost: O(n log n).
#pragma once

#include "policies/batching.hpp"
#include "policies/jitserve_settings.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace troupe::policies {

class jitserve_batching final : public batching_policy {
 public:
  explicit jitserve_batching(const jitserve_settings& settings = {}) : settings_(settings) {}
  std::string_view name() const override { return "jitserve"; }
  batch_plan plan(std::span<const batch_sequence> sequences, const batch_limits& limits) const override;

  /// Tokens a second, at least 0 and finite; what `plan` orders by.
  double priority(const batch_sequence& s, const batch_limits& limits) const;

 private:
  struct value {
    double worth = 0;    // tokens a second that count, if served on
    double urgency = 1;  // share of the steps until the deadline that it needs
  };
  struct orders {
    std::vector<std::size_t> serve;  // indices, best first; the first of them are the batch
    std::vector<std::size_t> keep;   // indices, those whose blocks are taken first last
    std::vector<double> worths;      // of each sequence
    std::vector<double> priorities;
  };

  value stream_value(const batch_sequence& s, const batch_limits& limits) const;
  value answer_value(const batch_sequence& s, const batch_limits& limits) const;
  value best_effort_value(const batch_sequence& s, const batch_limits& limits) const;
  value value_of(const batch_sequence& s, const batch_limits& limits) const;
  double priority_of(const value& v) const;
  double seconds_ahead(const batch_sequence& s, const batch_limits& limits) const;
  double frame_seconds(const batch_limits& limits) const;

  orders order(std::span<const batch_sequence> sequences, const batch_limits& limits) const;
  std::size_t lead_with_starving(std::span<std::size_t> serve, std::span<const batch_sequence> sequences,
                                 const batch_limits& limits) const;
  void hold_back(orders& of, std::size_t begin, std::size_t end, std::size_t room,
                 std::span<const batch_sequence> sequences, const batch_limits& limits) const;

  jitserve_settings settings_;
};

}  // namespace troupe::policies
