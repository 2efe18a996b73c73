#include "actors/worker/engine_runner.hpp"

#include "base/failpoint.hpp"

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
                             std::unique_ptr<policies::batching_policy> policy,
                             std::uint32_t interleaved_prefill_tokens)
    : worker_(worker),
      engine_(std::move(engine)),
      policy_(std::move(policy)),
      interleaved_prefill_tokens_(interleaved_prefill_tokens) {}

void engine_runner::add(generation_request request, std::uint64_t run) {
  const request_id id = request.id;
  const std::int32_t priority = request.objective.priority;
  forget(id);
  auto sequence = engine_->add(std::move(request));
  if (!sequence) {
    report_.progress.push_back(failed(id, run, sequence.error()));
    return;
  }
  sequences_.emplace(*sequence, running{id, priority, run});
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

void engine_runner::adopt(request_id request, sequence_id sequence, std::int32_t priority, std::uint64_t run) {
  TROUPE_ASSERT(!by_request_.contains(request), "a request runs once");
  sequences_.emplace(sequence, running{request, priority, run});
  by_request_.emplace(request, sequence);
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
  by_request_.erase(found->second.request);
  sequences_.erase(found);
}

engine_report engine_runner::turn() {
  if (can_step()) {
    TROUPE_ASSERT(!failpoint("engine.step"), "failpoint engine.step");
    collect(engine_->step(make_plan()));
  }
  report_.load = measure_load();
  return std::exchange(report_, {});
}

step_plan engine_runner::make_plan() {
  view_.clear();
  for (const auto& s : engine_->sequences()) {
    const auto found = sequences_.find(s.id);
    TROUPE_ASSERT(found != sequences_.end(), "the engine holds a sequence that nobody asked for");
    view_.push_back(
        {s.id, s.n_known, s.n_computed, s.n_blocks, s.admitted, found->second.priority, s.n_guessed, s.acceptance});
  }
  const auto status = engine_->status();
  const auto plan = policy_->plan(view_, {.block_tokens = status.block_tokens,
                                          .blocks_free = status.blocks_free,
                                          .max_batched_tokens = status.max_batched_tokens,
                                          .max_sequences = status.max_sequences - status.sequences_in_transfer,
                                          .interleaved_prefill_tokens = interleaved_prefill_tokens_,
                                          .attention_context = status.attention_context,
                                          .row_cost = status.row_cost});
  step_plan step;
  step.preempt = plan.preempt;
  step.grants.reserve(plan.grants.size());
  for (const auto& grant : plan.grants)
    step.grants.push_back({grant.id, grant.n_tokens});
  return step;
}

void engine_runner::collect(std::vector<sequence_output> outputs) {
  for (auto& output : outputs) {
    const auto found = sequences_.find(output.id);
    TROUPE_ASSERT(found != sequences_.end(), "an output for a sequence that is gone");
    request_progress progress;
    progress.request = found->second.request;
    progress.run = found->second.run;
    progress.prompt = std::move(output.prompt_logprobs);
    progress.tokens = std::move(output.tokens);
    progress.reason = output.reason;
    progress.usage = output.usage;
    progress.failure = std::move(output.failure);
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
  for (const auto& s : engine_->sequences()) {
    ++load.sequences;
    load.sequences_running += s.admitted ? 1 : 0;
    if (s.n_known - s.n_computed > 1) load.tokens_to_compute += s.n_known - s.n_computed;
  }
  return load;
}

}  // namespace troupe
