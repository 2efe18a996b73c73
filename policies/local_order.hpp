// The plain local orders: whom a step serves first is a number of each sequence. Priority comes before every order, and
// arrival decides ties. step_filler.hpp says how an order becomes a step. O(n log n).
#pragma once

#include "policies/batching.hpp"
#include "policies/step_filler.hpp"

namespace troupe::policies {

/// A policy that is an order.
class ordered_batching : public batching_policy {
 public:
  batch_plan plan(std::span<const batch_sequence> sequences, const batch_limits& limits) const final;

 private:
  /// The lowest is served first.
  virtual double rank(const batch_sequence& s, const batch_limits& limits) const = 0;
  virtual displacing waiting_ones() const { return displacing::yes; }
};

/// Order of arrival. When blocks run out, the last of the lowest priority is preempted. Chunked prefill as in
/// Sarathi-Serve (OSDI 2024).
class fcfs_batching final : public ordered_batching {
 public:
  std::string_view name() const override { return "fcfs"; }

 private:
  double rank(const batch_sequence&, const batch_limits&) const override { return 0; }
  displacing waiting_ones() const override { return displacing::no; }
};

/// vLLM's classic order (SOSP 2023), the baseline of DistServe: while the next waiting prompt fits whole, a step
/// computes prompts and nothing else, in order of arrival; otherwise all streams decode. Streams wait for prompts of
/// any length.
class prefill_first_batching final : public batching_policy {
 public:
  std::string_view name() const override { return "prefill_first"; }
  batch_plan plan(std::span<const batch_sequence> sequences, const batch_limits& limits) const override;
};

/// Shortest predicted remaining work first, waiting or not: predicted tokens by the time of a step, tokens to compute
/// by their time. A sequence that would have to be computed again counts that, so two cannot displace each other by
/// turns.
class sjf_batching final : public ordered_batching {
 public:
  std::string_view name() const override { return "sjf"; }

 private:
  double rank(const batch_sequence& s, const batch_limits& limits) const override;
};

/// Earliest deadline first: the first token's until it is there, then the last token's, else the next token's. Those
/// without come last. Waiting ones displace nobody: the next token's deadline moves with every token, and two streams
/// would displace each other by turns.
class edf_batching final : public ordered_batching {
 public:
  std::string_view name() const override { return "edf"; }

 private:
  double rank(const batch_sequence& s, const batch_limits& limits) const override;
  displacing waiting_ones() const override { return displacing::no; }
};

/// HexGen-Text2SQL's local order: the most urgent first, urgency being the predicted time to the end minus the time to
/// the deadline; those without a deadline last. Not preemptive: who is admitted goes on before who waits.
class urgency_batching final : public ordered_batching {
 public:
  std::string_view name() const override { return "urgency"; }

 private:
  double rank(const batch_sequence& s, const batch_limits& limits) const override;
  displacing waiting_ones() const override { return displacing::no; }
};

/// Least attained service first (Autellix, 2025): its tokens once it draws any, in levels that double, so that streams
/// of like service do not displace each other by turns.
class las_batching final : public ordered_batching {
 public:
  std::string_view name() const override { return "las"; }

 private:
  double rank(const batch_sequence& s, const batch_limits& limits) const override;
};

/// Seconds that a sequence would still take if every step had it: its tokens to compute and those to be drawn.
double predicted_seconds_left(const batch_sequence& s, const batch_limits& limits);

/// Tokens drawn so far.
std::uint32_t drawn(const batch_sequence& s);

}  // namespace troupe::policies
