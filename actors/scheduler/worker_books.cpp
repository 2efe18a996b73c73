#include "actors/scheduler/worker_books.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

std::uint32_t worker_books::blocks_of(std::uint32_t tokens) {
  constexpr std::uint32_t block_tokens = 16;  // of every engine's KV blocks
  return (tokens + block_tokens - 1) / block_tokens;
}

worker_books::worker_books(worker_id id, caf::actor handle, std::uint8_t roles, bool draining)
    : handle_(std::move(handle)), roles_(roles) {
  load_.id = id;
  load_.draining = draining;
}

void worker_books::take_report(const load_report& report, std::uint32_t backlog) {
  report_ = report;
  reported_ = true;
  load_.max_requests = report.max_sequences + backlog;
  load_.blocks_used = report.blocks_used;
  load_.blocks_total = report.blocks_total;
  load_.sequences_running = report.sequences_running;
  load_.blocks_wanted = report.blocks_wanted;
  load_.blocks_queued = report.blocks_queued;
  load_.token_s = report.token_ns * 1e-9;
  load_.step_s = report.step_us * 1e-6;
  while (!coming_.empty() && coming_.front().number <= report.assigned)
    coming_.pop_front();
  count_coming();
}

void worker_books::count_coming() {
  load_.tokens_to_compute = report_.tokens_to_compute;
  load_.blocks_coming = 0;
  load_.requests_coming = static_cast<std::uint32_t>(coming_.size());
  for (const auto& each : coming_) {
    load_.tokens_to_compute += each.tokens;
    load_.blocks_coming += each.blocks;
  }
}

std::uint64_t worker_books::give(std::uint32_t prompt_tokens, bool urgent, double work_s) {
  coming_.push_back({++given_, prompt_tokens, blocks_of(prompt_tokens)});
  count_coming();
  add(urgent, work_s);
  load_.work_ever_s += work_s;
  return given_;
}

void worker_books::add(bool urgent, double work_s) {
  ++load_.requests;
  load_.requests_urgent += urgent ? 1 : 0;
  load_.work_s += work_s;
}

void worker_books::remove(bool urgent, double work_s) {
  load_.requests -= std::min(1u, load_.requests);
  load_.requests_urgent -= std::min(urgent ? 1u : 0u, load_.requests_urgent);
  load_.work_s = load_.requests == 0 ? 0.0 : std::max(load_.work_s - work_s, 0.0);
}

void worker_books::expect(std::uint32_t prompt_tokens) {
  ++expected_;
  expected_blocks_ += blocks_of(prompt_tokens);
}

void worker_books::stop_expecting(std::uint32_t prompt_tokens) {
  expected_ -= std::min(1u, expected_);
  expected_blocks_ -= std::min(blocks_of(prompt_tokens), expected_blocks_);
}

policies::dispatch_worker worker_books::load_expected() const {
  auto load = load_;
  load.requests_coming += expected_;
  load.blocks_coming += expected_blocks_;
  if (load.requests < load.max_requests) load.requests = std::min(load.requests + expected_, load.max_requests - 1);
  return load;
}

}  // namespace troupe
