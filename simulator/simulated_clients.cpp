#include "simulator/simulated_clients.hpp"

#include "base/assert.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace troupe::simulator {

class simulated_clients::observer final : public generation_observer {
 public:
  observer(simulated_clients& owner, request_id request) : owner_(owner), request_(request) {}

  void on_prompt_logprobs(std::span<const prompt_token_logprob>) override {}
  void on_tokens(std::span<const generated_token> tokens) override { owner_.take_tokens(request_, tokens.size()); }
  void on_end(finish_reason reason, const token_usage& usage, const std::optional<error>& failure) override {
    owner_.take_end(request_, reason, usage, failure ? failure->code : errc::internal);
  }

 private:
  simulated_clients& owner_;
  request_id request_;
};

simulated_clients::simulated_clients(const workload& asked, generation_service& service,
                                     std::function<time_point()> now, time_point begin, std::uint32_t max_context,
                                     std::uint64_t seed)
    : asked_(asked),
      service_(service),
      now_(std::move(now)),
      begin_(begin),
      max_context_(max_context),
      seed_(seed),
      programs_(asked.size()) {}

double simulated_clients::seconds_now() const {
  return std::chrono::duration<double>(now_() - begin_).count();
}

time_point simulated_clients::next_arrival() const {
  return next_ == asked_.size() ? time_point::max() : begin_ + asked_[next_].arrival;
}

void simulated_clients::send_due() {
  while (next_arrival() <= now_())
    send_stage(next_++);
}

void simulated_clients::send_stage(std::size_t program) {
  const std::size_t stage = programs_[program].stage;
  const auto& calls = asked_[program].stages[stage];
  programs_[program].calls_left = calls.size();
  for (std::size_t call = 0; call < calls.size(); ++call)
    send(program, stage, call);
}

std::vector<token_id> simulated_clients::make_prompt(std::size_t program, std::size_t stage, std::size_t call) const {
  const auto& of = asked_[program].stages[stage][call];
  const std::uint64_t own = random_bits(random_bits(random_bits(seed_, program), stage), call);
  std::vector<token_id> prompt(of.prompt_tokens);
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const std::size_t block = i / prefix_block_tokens;
    const std::uint64_t source = block < of.prefix.size() ? random_bits(of.prefix[block], 0x9e) : own;
    prompt[i] = static_cast<token_id>(random_bits(source, i) % 1000);
  }
  return prompt;
}

void simulated_clients::send(std::size_t program, std::size_t stage, std::size_t call) {
  const auto& of = asked_[program];
  const auto& wish = of.stages[stage][call];
  generation_request request;
  request.id = service_.next_request_id();
  request.prompt = make_prompt(program, stage, call);
  request.objective = of.objective;
  request.tenant = of.tenant;
  if (!of.workflow.empty()) request.call = {std::to_string(program), of.workflow, wish.step};
  request.sampling.seed = seed_;
  request.sampling.max_tokens = max_context_ - std::min(max_context_, wish.prompt_tokens);

  call_outcome outcome;
  outcome.program = static_cast<std::uint32_t>(program);
  outcome.stage = static_cast<std::uint32_t>(stage);
  outcome.call = static_cast<std::uint32_t>(call);
  outcome.prompt_tokens = wish.prompt_tokens;
  outcome.arrival_s = seconds_now();
  places_.emplace(request.id, place{outcomes_.size()});
  outcomes_.push_back(outcome);
  last_token_s_.push_back(0);
  ++n_open_;
  const request_id id = request.id;
  service_.submit(std::move(request), std::make_shared<observer>(*this, id));
}

void simulated_clients::fold(std::uint64_t value) {
  hash_ = random_bits(hash_, value);
}

void simulated_clients::take_tokens(request_id request, std::size_t n) {
  place& at = places_.at(request);
  call_outcome& outcome = outcomes_[at.outcome];
  const double now_s = seconds_now();
  fold(static_cast<std::uint64_t>((now_() - begin_).count()));
  fold(request.value);
  if (outcome.n_tokens == 0)
    outcome.first_token_s = now_s;
  else
    outcome.longest_gap_s = std::max(outcome.longest_gap_s, now_s - last_token_s_[at.outcome]);
  if (at.preempted_at_s >= 0) {
    outcome.preempted_s += now_s - at.preempted_at_s;
    at.preempted_at_s = -1;
  }
  last_token_s_[at.outcome] = now_s;
  const auto& objective = asked_[outcome.program].objective;
  const double ttft_s = std::chrono::duration<double>(objective.ttft).count();
  const double tpot_s = std::chrono::duration<double>(objective.tpot).count();
  for (std::size_t i = 0; i < n; ++i, ++outcome.n_tokens) {
    const bool has_schedule = ttft_s > 0 || tpot_s > 0;
    if (!has_schedule || now_s <= outcome.arrival_s + ttft_s + outcome.n_tokens * tpot_s) ++outcome.tokens_in_time;
  }
}

void simulated_clients::take_end(request_id request, finish_reason reason, const token_usage& usage, errc failure) {
  const auto found = places_.find(request);
  call_outcome& outcome = outcomes_[found->second.outcome];
  outcome.end_s = seconds_now();
  outcome.reason = reason;
  outcome.failure = failure;
  outcome.cached_tokens = usage.cached_tokens;
  fold(static_cast<std::uint64_t>((now_() - begin_).count()) ^ static_cast<std::uint64_t>(reason));
  const std::size_t program = outcome.program;
  const bool whole = outcome.is_whole();
  places_.erase(found);
  --n_open_;
  progress& of = programs_[program];
  if (!whole) of.stage = asked_[program].stages.size();  // what was to follow it does not
  if (--of.calls_left > 0 || of.stage + 1 >= asked_[program].stages.size()) return;
  ++of.stage;
  send_stage(program);
}

std::uint32_t simulated_clients::answer_length(request_id request) const {
  const auto found = places_.find(request);
  if (found == places_.end()) return 0;
  const call_outcome& outcome = outcomes_[found->second.outcome];
  return asked_[outcome.program].stages[outcome.stage][outcome.call].output_tokens;
}

void simulated_clients::note_preemption(request_id request) {
  const auto found = places_.find(request);
  if (found != places_.end() && found->second.preempted_at_s < 0) found->second.preempted_at_s = seconds_now();
}

std::vector<call_outcome> simulated_clients::take_outcomes() {
  auto all = std::move(outcomes_);
  std::ranges::sort(all, {}, [](const call_outcome& c) { return std::tuple(c.program, c.stage, c.call); });
  return all;
}

}  // namespace troupe::simulator
