#include "actors/gateway/gateway.hpp"

#include "base/failpoint.hpp"
#include "runtime/observe/log.hpp"
#include "runtime/observe/metrics.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace troupe {
namespace {

using gateway_pointer = caf::stateful_actor<gateway_state>*;
using stream = gateway_state::stream;

// Chunks of a new owner kept until the old one's last words are here.
constexpr std::size_t max_early_chunks = 64;

void send_submit(gateway_pointer self, const gateway_config& config, const stream& s) {
  submit_request submitted{s.request, s.epoch};
  // The deadline is for the whole answer: what is begun anew has what is left of it.
  auto& deadline = submitted.request.objective.deadline;
  const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(self->clock().now() - s.submitted);
  if (deadline.count() > 0) deadline = std::max(deadline - elapsed, std::chrono::milliseconds(1));
  self->send(config.scheduler, std::move(submitted));
}

void open(gateway_pointer self, const gateway_config& config, local_submit& submitted) {
  const request_id id = submitted.request.id;
  auto& streams = self->state.streams;
  if (streams.contains(id)) {
    submitted.observer->on_end(finish_reason::failed, {},
                               make_error(errc::invalid_argument, "This request id is in use.", "id"));
    return;
  }
  stream s;
  s.observer = std::move(submitted.observer);
  s.request = std::move(submitted.request);
  s.epoch = first_epoch();
  s.initially_resumed = static_cast<std::uint32_t>(s.request.resumed.size());
  s.delivered = s.initially_resumed;
  s.submitted = s.last_token = self->clock().now();
  send_submit(self, config, s);
  streams.emplace(id, std::move(s));
}

// The stream a message is for, or nullptr (and counted) when it has ended or is in a later incarnation by now. Within
// an incarnation owners draw the same tokens, so what counts is their index.
stream* current(gateway_state& state, request_id id, epoch of) {
  const auto found = state.streams.find(id);
  if (found != state.streams.end() && incarnation(found->second.epoch) == incarnation(of)) {
    found->second.epoch = std::max(found->second.epoch, of);
    return &found->second;
  }
  ++state.discarded_messages;
  return nullptr;
}

void time_tokens(gateway_pointer self, const gateway_config& config, stream& s, std::size_t n_tokens) {
  const auto now = self->clock().now();
  if (config.metrics) {
    const bool first = s.delivered == s.initially_resumed;
    if (first)
      config.metrics->observe_time_to_first_token(now - s.submitted);
    else
      config.metrics->observe_inter_token_latency(now - s.last_token);
    config.metrics->add_generation_tokens(n_tokens);
  }
  s.last_token = now;
}

void finish(gateway_pointer self, const gateway_config& config, request_id id, stream& s, finish_reason reason,
            const token_usage& usage, const std::optional<error>& failure) {
  if (config.metrics) {
    config.metrics->count_request(failure ? to_string(failure->code) : to_string(reason));
    config.metrics->observe_e2e_request_latency(self->clock().now() - s.submitted);
    config.metrics->add_prompt_tokens(usage.prompt_tokens);
  }
  config.board->update([&](service_status& status) { status.prompt_tokens_total += usage.prompt_tokens; });
  const auto observer = std::move(s.observer);
  self->state.streams.erase(id);
  observer->on_end(reason, usage, failure);
}

void end(gateway_pointer self, const gateway_config& config, const request_ended& ended);

/// Gives the observer what follows on what it has. False: there is a gap before these tokens.
bool deliver(gateway_pointer self, const gateway_config& config, stream& s, token_chunk& chunk) {
  if (!chunk.tokens.empty() && chunk.tokens.front().index > s.delivered) return false;
  if (!chunk.prompt.empty() && !std::exchange(s.prompt_delivered, true)) s.observer->on_prompt_logprobs(chunk.prompt);
  std::vector<generated_token> fresh;
  for (auto& token : chunk.tokens) {
    if (token.index < s.delivered + fresh.size()) continue;  // said before, by whomever
    s.request.resumed.push_back(token.token);
    fresh.push_back(std::move(token));
  }
  if (fresh.empty()) return true;
  time_tokens(self, config, s, fresh.size());
  s.delivered += static_cast<std::uint32_t>(fresh.size());
  config.board->update([&](service_status& status) { status.generation_tokens_total += fresh.size(); });
  s.observer->on_tokens(fresh);
  return true;
}

void wait_for_gap(gateway_pointer self, const gateway_config& config, request_id id, stream& s) {
  if (!std::exchange(s.gap_watched, true)) self->delayed_send(self, config.gap_limit, gap_check{id, s.delivered});
}

void take_chunk(gateway_pointer self, const gateway_config& config, token_chunk& chunk) {
  stream* const s = current(self->state, chunk.request, chunk.epoch);
  if (s == nullptr) return;
  if (!deliver(self, config, *s, chunk)) {
    wait_for_gap(self, config, chunk.request, *s);
    if (s->early.size() < max_early_chunks) s->early.push_back(std::move(chunk));
    return;
  }
  if (s->early.empty() && !s->early_end) return;
  // The gap may be filled now.
  for (auto& early : std::exchange(s->early, {}))
    if (!deliver(self, config, *s, early)) s->early.push_back(std::move(early));
  if (s->early.empty() && s->early_end) end(self, config, *std::exchange(s->early_end, std::nullopt));
}

// 50, 100, 200, … ms: 13 s in all, in which a worker's process starts again.
constexpr std::uint32_t max_retries = 8;

void resubmit_later(gateway_pointer self, request_id id, stream& s) {
  self->delayed_send(self, std::chrono::milliseconds(50u << s.retries), resubmit_request{id, s.epoch});
  ++s.retries;
}

void end(gateway_pointer self, const gateway_config& config, const request_ended& ended) {
  stream* s = current(self->state, ended.request, ended.epoch);
  if (s == nullptr) return;
  const bool whole = ended.reason == finish_reason::stop || ended.reason == finish_reason::length;
  if (whole && s->delivered < ended.usage.completion_tokens) {
    s->early_end = ended;
    return wait_for_gap(self, config, ended.request, *s);
  }
  // Between the death of a worker and its restart the scheduler has nobody to turn to, or others came first. What was
  // accepted once is not refused.
  const bool restarting = ended.reason == finish_reason::failed &&
                          (ended.failure == errc::unavailable || ended.failure == errc::overloaded) &&
                          incarnation(s->epoch) > incarnation(first_epoch());
  if (restarting && s->retries < max_retries) return resubmit_later(self, ended.request, *s);
  std::optional<error> failure;
  if (ended.reason == finish_reason::failed) failure = make_error(ended.failure, ended.message, ended.param);
  finish(self, config, ended.request, *s, ended.reason, ended.usage, failure);
}

/// Begins the request once more from what was delivered.
void begin_again(gateway_pointer self, const gateway_config& config, request_id id, stream& s) {
  if (incarnation(s.epoch) >= config.max_incarnations)
    return finish(self, config, id, s, finish_reason::failed, {},
                  make_error(errc::unavailable, "Every worker that took this request was lost."));
  s.epoch = next_incarnation(s.epoch);
  s.retries = 0;
  s.early.clear();
  s.early_end.reset();
  resubmit_later(self, id, s);
}

void recover(gateway_pointer self, const gateway_config& config, const request_lost& lost) {
  if (stream* const s = current(self->state, lost.request, lost.epoch)) begin_again(self, config, lost.request, *s);
}

/// An owner died with its last words, after it gave the request away.
void check_gap(gateway_pointer self, const gateway_config& config, const gap_check& check) {
  const auto found = self->state.streams.find(check.request);
  if (found == self->state.streams.end()) return;
  stream& s = found->second;
  s.gap_watched = false;
  if (s.early.empty() && !s.early_end) return;
  if (s.delivered != check.delivered) return wait_for_gap(self, config, check.request, s);  // another gap by now
  self->send(config.scheduler, cancel_request{check.request, {}});
  begin_again(self, config, check.request, s);
}

// What two totals grew by since the report before. A worker that was started again counts from zero; its first report
// then only sets the new base.
gateway_state::totals growth(gateway_state::totals& seen, const gateway_state::totals& now) {
  const auto before = std::exchange(seen, now);
  if (now.first < before.first || now.second < before.second) return {};
  return {now.first - before.first, now.second - before.second};
}

void take_report(gateway_pointer self, const gateway_config& config, const scheduler_report& report) {
  const auto& total = report.total;
  service_status now;
  config.board->update([&](service_status& status) {
    status.ready = total.max_sequences > 0;
    status.workers = report.workers;
    status.requests_running = total.sequences_running;
    status.requests_waiting = report.requests_queued + total.sequences - total.sequences_running;
    status.kv_blocks_used = total.blocks_used;
    status.kv_blocks_cached = total.blocks_cached;
    status.kv_blocks_total = total.blocks_total;
    status.prefix_cache_queries_total = total.prefix_tokens_queried;
    status.prefix_cache_hits_total = total.prefix_tokens_hit;
    now = status;
  });
  if (!config.metrics) return;
  config.metrics->set_requests(now.requests_running, now.requests_waiting);
  config.metrics->set_kv_blocks({total.blocks_total, total.blocks_used, total.blocks_cached});
  const auto [queried, hit] =
      growth(self->state.prefix_tokens_seen, {total.prefix_tokens_queried, total.prefix_tokens_hit});
  config.metrics->add_prefix_cache_lookup(queried, hit);
  const auto [tried, right] = growth(self->state.guesses_seen, {total.guesses_tried, total.guesses_right});
  config.metrics->add_guesses(tried, right);
  const auto& now_moved = total.relocations;
  auto& seen = self->state.relocations_seen;
  const auto [moved, pause_us] = growth(seen[0], {now_moved.moved, now_moved.pause_us});
  const auto [refused, failed] = growth(seen[1], {now_moved.refused, now_moved.failed});
  config.metrics->add_relocations({moved, refused, failed, std::chrono::microseconds(pause_us)});
}

}  // namespace

caf::behavior gateway_actor(caf::stateful_actor<gateway_state>* self, gateway_config config) {
  self->send(config.scheduler, subscribe_reports{});
  return {
      [=](local_submit& submitted) { open(self, config, submitted); },
      [=](token_chunk& chunk) { take_chunk(self, config, chunk); },
      [=](const gap_check& check) { check_gap(self, config, check); },
      [=](const request_ended& ended) { end(self, config, ended); },
      [=](const request_lost& lost) { recover(self, config, lost); },
      [=](const resubmit_request& again) {
        if (const stream* s = current(self->state, again.request, again.epoch)) send_submit(self, config, *s);
      },
      [=](const cancel_request& cancel) {
        const auto found = self->state.streams.find(cancel.request);
        if (found == self->state.streams.end()) return;
        self->send(config.scheduler, cancel);
        token_usage usage;
        usage.prompt_tokens = static_cast<std::uint32_t>(found->second.request.prompt.size());
        usage.completion_tokens = found->second.delivered;
        finish(self, config, cancel.request, found->second, finish_reason::cancelled, usage, std::nullopt);
      },
      [=](const scheduler_report& report) { take_report(self, config, report); },
  };
}

gateway_service::gateway_service(caf::actor gateway, std::shared_ptr<status_board> board)
    : gateway_(std::move(gateway)), board_(std::move(board)) {}

request_id gateway_service::next_request_id() {
  return request_id{next_id_.fetch_add(1, std::memory_order_relaxed)};
}

void gateway_service::submit(generation_request request, std::shared_ptr<generation_observer> observer) {
  caf::anon_send(gateway_, local_submit{std::move(request), std::move(observer)});
}

void gateway_service::cancel(request_id id) {
  caf::anon_send(gateway_, cancel_request{id, {}});
}

service_status gateway_service::status() const {
  return board_->read();
}

}  // namespace troupe
