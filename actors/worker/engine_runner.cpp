#include "actors/worker/engine_runner.hpp"

#include "base/failpoint.hpp"
#include "policies/llumnix_rescheduling.hpp"

#include <algorithm>
#include <utility>

namespace troupe {
namespace {

request_progress failed(request_id request, std::uint64_t run, error failure) {
  request_progress progress;
  progress.request = request;
  progress.run = run;
  progress.reason = finish_reason::failed;
  progress.failure = std::move(failure);
  return progress;
}

}  // namespace

engine_runner::engine_runner(worker_id worker, std::unique_ptr<engine> engine,
                             std::unique_ptr<policies::batching_policy> policy, engine_runner_options options)
    : worker_(worker), engine_(std::move(engine)), policy_(std::move(policy)), options_(std::move(options)) {}

void engine_runner::add(generation_request request, const request_facts& facts, std::uint64_t run,
                        std::uint64_t number) {
  const request_id id = request.id;
  assigned_ = std::max(assigned_, number);
  forget(id);
  auto sequence = engine_->add(std::move(request));
  if (!sequence) {
    report_.progress.push_back(failed(id, run, sequence.error()));
    return;
  }
  sequences_.emplace(*sequence, running{facts, run});
  by_request_.emplace(id, *sequence);
}

void engine_runner::remove(request_id request) {
  const auto found = by_request_.find(request);
  if (found == by_request_.end()) return;
  request_progress progress;
  progress.request = request;
  progress.run = sequences_.at(found->second).run;
  forget(request);
  progress.reason = finish_reason::cancelled;
  report_.progress.push_back(std::move(progress));
}

std::optional<sequence_id> engine_runner::find(request_id request) const {
  const auto found = by_request_.find(request);
  return found == by_request_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<kv_identity> engine_runner::identify_kv() {
  kv_transfer* const transfer = engine_->transfer();
  if (transfer == nullptr) return std::nullopt;
  return kv_identity{transfer->fingerprint(), transfer->geometry()};
}

void engine_runner::listen(request_id request, std::shared_ptr<kv_listener> listener) {
  const auto sequence = find(request);
  if (!sequence || !engine_->transfer()->listen(*sequence, listener.get())) return;
  sequences_.at(*sequence).listener = std::move(listener);
}

void engine_runner::when_prefilled(request_id request, std::function<void(engine_runner&)> task) {
  if (const auto sequence = find(request)) sequences_.at(*sequence).at_first_token = std::move(task);
}

void engine_runner::run_due() {
  for (const auto& task : std::exchange(due_, {}))
    task(*this);
}

result<> engine_runner::pause(request_id request) {
  const auto sequence = find(request);
  if (!sequence) return make_error(errc::not_found, "The request is not here (any more).");
  auto& of = sequences_.at(*sequence);
  if (std::exchange(of.paused, true)) return {};
  ++n_paused_;
  return engine_->transfer()->pause(*sequence);
}

result<> engine_runner::resume(request_id request) {
  const auto sequence = find(request);
  if (!sequence) return make_error(errc::not_found, "The request is not here (any more).");
  auto& of = sequences_.at(*sequence);
  if (!std::exchange(of.paused, false)) return {};
  --n_paused_;
  return engine_->transfer()->resume(*sequence);
}

void engine_runner::adopt(const request_facts& facts, sequence_id sequence, std::uint64_t run) {
  TROUPE_ASSERT(!by_request_.contains(facts.id), "a request runs once");
  sequences_.emplace(sequence, running{facts, run});
  by_request_.emplace(facts.id, sequence);
}

void engine_runner::forget(request_id request) {
  const auto sequence = find(request);
  if (!sequence) return;
  engine_->remove(*sequence);
  erase(*sequence);
}

void engine_runner::erase(sequence_id sequence) {
  const auto found = sequences_.find(sequence);
  if (found->second.paused) --n_paused_;
  by_request_.erase(found->second.facts.id);
  sequences_.erase(found);
}

engine_report engine_runner::turn(time_point now) {
  shape_ = {};
  if (can_step()) {
    TROUPE_ASSERT(!failpoint("engine.step"), "failpoint engine.step");
    collect(engine_->step(make_plan(now)));
  }
  report_.load = measure_load();
  return std::exchange(report_, {});
}

void engine_runner::note_step(duration took) {
  pace_.observe(shape_, took);
}

/// Anew every few tokens and, for what stands still, every frame: a prediction costs more than the rest of a plan.
std::uint32_t engine_runner::predict_left(running& of, std::uint32_t n_drawn) {
  constexpr std::uint32_t tokens_between = 8;
  constexpr std::uint64_t steps_between = 50;
  auto& known = of.prediction;
  const std::uint32_t drawn_since = n_drawn - known.n_drawn;
  if (known.step == 0 || n_steps_ - known.step >= steps_between || drawn_since >= tokens_between) {
    known = {n_steps_, n_drawn, predict_left(of.facts, n_drawn)};
    return known.left;
  }
  return std::max(known.left - std::min(known.left, drawn_since), 1u);
}

std::uint32_t engine_runner::predict_left(const request_facts& facts, std::uint32_t n_drawn) const {
  const std::uint32_t most = facts.features.max_tokens - std::min(facts.features.max_tokens, n_drawn);
  if (!options_.lengths) return std::max(most, 1u);
  const double left = options_.lengths->predict_left(facts.features, n_drawn, options_.length_quantile);
  return std::clamp(static_cast<std::uint32_t>(left + 0.5), 1u, std::max(most, 1u));
}

policies::batch_sequence engine_runner::view(const sequence_status& s, running& of) {
  policies::batch_sequence seen;
  seen.id = s.id;
  seen.n_known = s.n_known;
  seen.n_computed = s.n_computed;
  seen.n_blocks = s.n_blocks;
  seen.admitted = s.admitted;
  seen.priority = of.facts.priority;
  seen.n_guessed = s.n_guessed;
  seen.acceptance = s.acceptance;
  seen.n_prompt = of.facts.features.prompt_tokens;
  seen.predicted_left = predict_left(of, s.n_known - of.facts.features.prompt_tokens);
  seen.arrived = of.facts.arrived;
  seen.objective = of.facts.objective;
  seen.running = of.in_last_step;
  seen.served = of.served;
  return seen;
}

std::optional<request_id> engine_runner::choose_victim() {
  std::vector<policies::batch_sequence> all;
  for (const auto& s : engine_->sequences())
    all.push_back(view(s, sequences_.at(s.id)));
  const auto victim = policies::choose_victim(all);
  return victim ? std::optional(sequences_.at(*victim).facts.id) : std::nullopt;
}

step_plan engine_runner::make_plan(time_point now) {
  ++n_steps_;
  view_.clear();
  for (const auto& s : engine_->sequences()) {
    const auto found = sequences_.find(s.id);
    TROUPE_ASSERT(found != sequences_.end(), "the engine holds a sequence that nobody asked for");
    view_.push_back(view(s, found->second));
    found->second.in_last_step = false;
    found->second.in_view = view_.size() - 1;
  }
  const auto status = engine_->status();
  const auto plan = policy_->plan(view_, {.block_tokens = status.block_tokens,
                                          .blocks_free = status.blocks_free,
                                          .max_batched_tokens = status.max_batched_tokens,
                                          .max_sequences = status.max_sequences - status.sequences_in_transfer,
                                          .interleaved_prefill_tokens = options_.interleaved_prefill_tokens,
                                          .attention_context = status.attention_context,
                                          .row_cost = status.row_cost,
                                          .max_running = options_.max_running,
                                          .now = now,
                                          .step_time = pace_.step_time(),
                                          .token_time = pace_.token_time()});
  note_plan(plan, now);
  step_plan step;
  step.preempt = plan.preempt;
  step.grants.reserve(plan.grants.size());
  for (const auto& grant : plan.grants)
    step.grants.push_back({grant.id, grant.n_tokens});
  return step;
}

/// What of it is for the next plan and for the pace.
void engine_runner::note_plan(const policies::batch_plan& plan, time_point now) {
  n_granted_ = plan.grants.size();
  for (const auto& grant : plan.grants) {
    auto& of = sequences_.at(grant.id);
    of.in_last_step = true;
    of.served = now;
    const auto& s = view_[of.in_view];
    if (s.n_known - s.n_computed == 1)
      shape_.add_decoding(s.n_known);
    else
      shape_.add_prompt(s.n_computed, s.n_computed + grant.n_tokens);
  }
}

void engine_runner::collect(std::vector<sequence_output> outputs) {
  for (auto& output : outputs) {
    const auto found = sequences_.find(output.id);
    TROUPE_ASSERT(found != sequences_.end(), "an output for a sequence that is gone");
    request_progress progress;
    progress.request = found->second.facts.id;
    progress.run = found->second.run;
    progress.prompt = std::move(output.prompt_logprobs);
    progress.tokens = std::move(output.tokens);
    progress.reason = output.reason;
    progress.usage = output.usage;
    progress.failure = std::move(output.failure);
    if (output.reason == finish_reason::stop && options_.lengths)
      options_.lengths->learn(found->second.facts.features, output.usage.completion_tokens);
    auto& at_first_token = found->second.at_first_token;
    if (at_first_token && !progress.tokens.empty() && output.reason == finish_reason::unfinished)
      due_.push_back(std::exchange(at_first_token, nullptr));
    if (output.reason != finish_reason::unfinished) erase(found->first);
    report_.progress.push_back(std::move(progress));
  }
}

load_report engine_runner::measure_load() const {
  const auto status = engine_->status();
  load_report load;
  load.worker = worker_;
  load.max_sequences = status.max_sequences;
  load.blocks_total = status.blocks_total;
  load.blocks_used = status.blocks_total - status.blocks_free;
  load.blocks_cached = status.blocks_cached;
  load.prefix_tokens_queried = status.prefix_tokens_queried;
  load.prefix_tokens_hit = status.prefix_tokens_hit;
  load.guesses_tried = status.guesses_tried;
  load.guesses_right = status.guesses_right;
  load.assigned = assigned_;
  load.step_us = pace_.step_us();
  load.token_ns = pace_.token_ns();
  for (const auto& s : engine_->sequences()) {
    ++load.sequences;
    load.sequences_running += s.admitted ? 1 : 0;
    if (s.n_known - s.n_computed > 1) load.tokens_to_compute += s.n_known - s.n_computed;
    if (s.admitted) continue;
    const std::uint32_t wanted = (s.n_known + status.block_tokens - 1) / status.block_tokens;
    if (load.blocks_queued == 0) load.blocks_wanted = wanted;
    load.blocks_queued += wanted;
  }
  return load;
}

}  // namespace troupe
