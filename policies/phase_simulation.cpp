#include "policies/phase_simulation.hpp"

#include "base/assert.hpp"
#include "policies/phase_simulation_state.hpp"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

namespace troupe::policies {
namespace {

using namespace phase_simulation_state;

class simulation {
 public:
  simulation(const simulated_unit& unit, std::span<const simulated_request> requests, const miss_limit& limit);
  unit_outcome run();

 private:
  bool does_both() const { return unit_.kind == unit_kind::prefill_first || unit_.kind == unit_kind::chunked_prefill; }
  bool is_decode(std::uint32_t at) const { return at >= n_prompt_; }
  void add_instances(const simulated_instance& facts, std::uint32_t count);
  void arrive(std::uint32_t request);
  bool fits_somewhere(const simulated_request& request) const;
  std::uint32_t least_loaded(std::uint32_t begin, std::uint32_t end) const;

  void try_start(std::uint32_t at);
  step_shape plan_step(std::uint32_t at, lane& l);
  void add_whole_prompts(instance& in, lane& l, step_shape& shape);
  void add_chunks(instance& in, lane& l, step_shape& shape);
  void take_back(instance& in, lane& l);
  void decode(instance& in, lane& l, step_shape& shape);
  void enter_stages(std::uint32_t at, std::uint32_t lane_index, const step_shape& shape);

  void finish_step(std::uint32_t at, std::uint32_t lane_index);
  void finish_prompt(std::uint32_t at, lane& l, std::uint32_t request);
  void offer(std::uint32_t request, std::uint32_t prefill);
  void try_pull(std::uint32_t at);
  void finish_pull(const event& e);
  void push(event e) {
    e.order = n_events_++;
    events_.push(e);
  }

  /// Each request misses once at most: it ends after its prompt, or was within the target for TTFT until then.
  void count_miss() { outcome_.stopped = ++n_missed_ > limit_.misses; }

  const simulated_unit& unit_;
  std::span<const simulated_request> requests_;
  miss_limit limit_;
  std::uint64_t n_missed_ = 0;
  std::vector<instance> instances_;  // those with prompts, then those that only decode
  std::uint32_t n_prompt_ = 0;
  std::priority_queue<event, std::vector<event>, std::greater<>> events_;
  std::uint64_t n_events_ = 0;
  double now_s_ = 0;
  std::vector<double> first_token_s_;
  std::vector<decoding_set::member> ended_;
  unit_outcome outcome_;
};

simulation::simulation(const simulated_unit& unit, std::span<const simulated_request> requests, const miss_limit& limit)
    : unit_(unit), requests_(requests), limit_(limit), first_token_s_(requests.size()) {
  if (unit.kind != unit_kind::decode_only) add_instances(unit.prefill, unit.n_prefill);
  n_prompt_ = static_cast<std::uint32_t>(instances_.size());
  if (unit.kind == unit_kind::decode_only || unit.kind == unit_kind::disaggregated)
    add_instances(unit.decode, unit.n_decode);
  outcome_.requests.resize(requests.size());
}

void simulation::add_instances(const simulated_instance& facts, std::uint32_t count) {
  TROUPE_ASSERT(count > 0 && facts.pp > 0 && facts.pp <= 64, "a unit has instances, and an instance 1 to 64 stages");
  TROUPE_ASSERT(facts.max_sequences > 0, "a batch has room for a sequence");
  for (std::uint32_t i = 0; i < count; ++i) {
    auto& made = instances_.emplace_back();
    made.facts = &facts;
    made.lanes.resize(facts.pp);
    made.stage_free_s.resize(facts.pp);
  }
}

unit_outcome simulation::run() {
  std::uint32_t next = 0;
  while (!outcome_.stopped && (next < requests_.size() || !events_.empty())) {
    if (next < requests_.size() && (events_.empty() || requests_[next].arrival_s <= events_.top().at_s)) {
      TROUPE_ASSERT(requests_[next].arrival_s >= now_s_, "requests come in order of arrival");
      now_s_ = requests_[next].arrival_s;
      arrive(next++);
      continue;
    }
    const event e = events_.top();
    events_.pop();
    now_s_ = e.at_s;
    switch (e.kind) {
      case event_kind::step_done:
        finish_step(e.instance, e.lane);
        break;
      case event_kind::pulled:
        finish_pull(e);
        break;
      case event_kind::stage_free:
        instances_[e.instance].wakes = false;
        break;
    }
    try_start(e.instance);
  }
  for (const auto& in : instances_)
    TROUPE_ASSERT(outcome_.stopped || (in.requests == 0 && in.used_tokens == 0),
                  "every request ends and leaves nothing behind");
  return std::move(outcome_);
}

bool simulation::fits_somewhere(const simulated_request& request) const {
  const std::uint64_t prompt = request.prompt_tokens, whole = prompt + request.output_tokens;
  switch (unit_.kind) {
    case unit_kind::prefill_only:
      return prompt <= unit_.prefill.kv_tokens;
    case unit_kind::decode_only:
      return whole <= unit_.decode.kv_tokens;
    case unit_kind::disaggregated:
      return prompt <= unit_.prefill.kv_tokens && whole <= unit_.decode.kv_tokens;
    default:
      return whole <= unit_.prefill.kv_tokens;
  }
}

void simulation::arrive(std::uint32_t request) {
  const auto& facts = requests_[request];
  TROUPE_ASSERT(facts.prompt_tokens > 0 && facts.output_tokens > 0, "a request has a prompt and an output");
  if (!fits_somewhere(facts)) {
    outcome_.requests[request].rejected = true;
    count_miss();
    return;
  }
  outcome_.tokens += facts.prompt_tokens + facts.output_tokens;
  if (unit_.kind == unit_kind::decode_only) {
    first_token_s_[request] = now_s_;
    if (facts.output_tokens > 1) offer(request, 0);
    return;
  }
  const std::uint32_t at = least_loaded(0, n_prompt_);
  ++instances_[at].requests;
  instances_[at].prompts.push_back(request);
  try_start(at);
}

std::uint32_t simulation::least_loaded(std::uint32_t begin, std::uint32_t end) const {
  std::uint32_t best = begin;
  for (std::uint32_t i = begin + 1; i < end; ++i)
    if (instances_[i].requests < instances_[best].requests) best = i;
  return best;
}

// ---- starting a step

/// Starts what can start now; of several idle batches the one that waits longest enters first.
void simulation::try_start(std::uint32_t at) {
  auto& in = instances_[at];
  if (is_decode(at)) try_pull(at);
  std::uint64_t tried = 0;
  for (std::size_t turn = 0; turn < in.lanes.size(); ++turn) {
    std::uint32_t best = 0;
    bool found = false;
    for (std::uint32_t i = 0; i < in.lanes.size(); ++i) {
      if (in.lanes[i].busy || (tried >> i & 1u) != 0) continue;
      if (found && in.lanes[i].idle_since_s >= in.lanes[best].idle_since_s) continue;
      best = i;
      found = true;
    }
    if (!found) break;
    if (in.stage_free_s[0] > now_s_) {
      if (!in.wakes) push({.at_s = in.stage_free_s[0], .kind = event_kind::stage_free, .instance = at});
      in.wakes = true;
      break;
    }
    tried |= std::uint64_t{1} << best;
    const auto shape = plan_step(at, in.lanes[best]);
    if (shape.prompt_tokens > 0 || shape.decoding > 0) enter_stages(at, best, shape);
  }
  if (is_decode(at)) try_pull(at);
}

step_shape simulation::plan_step(std::uint32_t at, lane& l) {
  auto& in = instances_[at];
  step_shape shape;
  if (is_decode(at)) {
    take_back(in, l);
    // Those pulled wait for those set aside, unless their own memory is what keeps them out.
    while (!l.waiting.empty() && (l.set_aside.empty() || l.decoding.size() == 0) &&
           l.decoding.size() < in.facts->max_sequences) {
      const auto& facts = requests_[l.waiting.front()];
      in.waiting_tokens -= facts.prompt_tokens;
      l.decoding.add({l.waiting.front(), facts.prompt_tokens, facts.output_tokens - 1});
      l.waiting.pop_front();
    }
    decode(in, l, shape);
  } else if (unit_.kind == unit_kind::chunked_prefill) {
    take_back(in, l);
    decode(in, l, shape);
    add_chunks(in, l, shape);
  } else {
    take_back(in, l);
    if (l.set_aside.empty()) add_whole_prompts(in, l, shape);
    if (shape.prompt_tokens == 0) decode(in, l, shape);
  }
  return shape;
}

void simulation::add_whole_prompts(instance& in, lane& l, step_shape& shape) {
  while (!in.prompts.empty() && l.load() + l.ending_prompts.size() < in.facts->max_sequences) {
    const std::uint32_t request = in.prompts.front(), tokens = requests_[request].prompt_tokens;
    if (shape.prompt_tokens > 0 && shape.prompt_tokens + tokens > in.facts->max_batched_tokens) break;
    if (!in.has_room(tokens)) break;
    in.prompts.pop_front();
    in.used_tokens += tokens;
    shape.add_prompt(0, tokens);
    l.ending_prompts.push_back(request);
  }
}

void simulation::add_chunks(instance& in, lane& l, step_shape& shape) {
  const std::uint32_t budget =
      shape.decoding > 0 ? unit_.chunk_tokens : std::max(unit_.chunk_tokens, in.facts->max_batched_tokens);
  while (shape.prompt_tokens < budget) {
    if (l.partial_tokens == 0) {
      if (in.prompts.empty() || !l.set_aside.empty()) return;
      if (l.load() + l.ending_prompts.size() >= in.facts->max_sequences) return;
      if (!in.has_room(requests_[in.prompts.front()].prompt_tokens)) return;
      l.partial = in.prompts.front();
      in.prompts.pop_front();
      in.used_tokens += requests_[l.partial].prompt_tokens;
    }
    const std::uint32_t whole = requests_[l.partial].prompt_tokens;
    const auto left = static_cast<std::uint32_t>(budget - shape.prompt_tokens);
    const std::uint32_t end = std::min(whole, l.partial_tokens + left);
    shape.add_prompt(l.partial_tokens, end);
    l.partial_tokens = end;
    if (end < whole) return;
    l.ending_prompts.push_back(l.partial);
    l.partial_tokens = 0;
  }
}

/// Those set aside come back, with room for a step of everything.
void simulation::take_back(instance& in, lane& l) {
  while (!l.set_aside.empty() && in.has_room(l.set_aside.front().positions + l.decoding.size() + 1)) {
    in.used_tokens += l.set_aside.front().positions;
    l.decoding.add(l.set_aside.front());
    l.set_aside.pop_front();
  }
}

void simulation::decode(instance& in, lane& l, step_shape& shape) {
  while (l.decoding.size() > 0 && !in.has_room(l.decoding.size())) {
    l.set_aside.push_front(l.decoding.remove_newest());
    in.used_tokens -= l.set_aside.front().positions;
    ++outcome_.set_aside;
  }
  shape.context = l.decoding.positions();
  shape.decoding = l.decoding.size();
  in.used_tokens += l.decoding.size();
  l.decodes = shape.decoding > 0;
}

void simulation::enter_stages(std::uint32_t at, std::uint32_t lane_index, const step_shape& shape) {
  auto& in = instances_[at];
  const double stage_s = in.facts->cost.time_ms(shape) * 1e-3 / in.facts->pp;
  const double hop_s = in.facts->hop_ms_per_token * 1e-3 * static_cast<double>(shape.prompt_tokens + shape.decoding);
  double done_s = now_s_;
  for (std::size_t stage = 0; stage < in.stage_free_s.size(); ++stage) {
    if (stage > 0) done_s += hop_s;
    done_s = std::max(done_s, in.stage_free_s[stage]) + stage_s;
    in.stage_free_s[stage] = done_s;
  }
  in.lanes[lane_index].busy = true;
  ++outcome_.steps;
  push({.at_s = done_s, .kind = event_kind::step_done, .instance = at, .lane = lane_index});
}

// ---- ending it

void simulation::finish_step(std::uint32_t at, std::uint32_t lane_index) {
  auto& in = instances_[at];
  auto& l = in.lanes[lane_index];
  l.busy = false;
  l.idle_since_s = now_s_;
  if (l.decodes) {
    ended_.clear();
    l.decoding.step(ended_);
    for (const auto& member : ended_) {
      in.used_tokens -= member.positions;
      --in.requests;
      auto& timing = outcome_.requests[member.request];
      timing.tpot_s = (now_s_ - first_token_s_[member.request]) / (requests_[member.request].output_tokens - 1);
      if (timing.tpot_s > limit_.tpot_s && timing.ttft_s <= limit_.ttft_s) count_miss();
    }
  }
  l.decodes = false;
  for (const std::uint32_t request : l.ending_prompts)
    finish_prompt(at, l, request);
  l.ending_prompts.clear();
}

void simulation::finish_prompt(std::uint32_t at, lane& l, std::uint32_t request) {
  const auto& facts = requests_[request];
  first_token_s_[request] = now_s_;
  outcome_.requests[request].ttft_s = now_s_ - facts.arrival_s;
  if (outcome_.requests[request].ttft_s > limit_.ttft_s) count_miss();
  if (facts.output_tokens == 1 || unit_.kind == unit_kind::prefill_only) {
    instances_[at].used_tokens -= facts.prompt_tokens;
    --instances_[at].requests;
  } else if (does_both()) {
    l.decoding.add({request, facts.prompt_tokens, facts.output_tokens - 1});
  } else {
    offer(request, at);
  }
}

// ---- from prompts to decoding

void simulation::offer(std::uint32_t request, std::uint32_t prefill) {
  const std::uint32_t at = least_loaded(n_prompt_, static_cast<std::uint32_t>(instances_.size()));
  ++instances_[at].requests;
  instances_[at].offered.push_back({request, prefill});
  try_start(at);
}

void simulation::try_pull(std::uint32_t at) {
  auto& in = instances_[at];
  while (!in.offered.empty()) {
    const auto next = in.offered.front();
    const std::uint64_t tokens = requests_[next.request].prompt_tokens;
    const double allowed_tokens = unit_.waiting_share * static_cast<double>(in.facts->kv_tokens);
    if (unit_.waiting_share < 1.0 && static_cast<double>(in.waiting_tokens) >= allowed_tokens) return;
    if (!in.has_room(tokens + 1)) return;
    if (std::any_of(in.lanes.begin(), in.lanes.end(), [](const lane& l) { return !l.set_aside.empty(); })) return;
    in.offered.pop_front();
    in.used_tokens += tokens;
    in.waiting_tokens += tokens;
    outcome_.peak_waiting_tokens = std::max(outcome_.peak_waiting_tokens, in.waiting_tokens);
    in.link_free_s = std::max(now_s_, in.link_free_s);
    if (unit_.kv_bytes_per_s > 0)
      in.link_free_s += static_cast<double>(tokens) * unit_.kv_bytes_per_token / unit_.kv_bytes_per_s;
    push({.at_s = in.link_free_s,
          .kind = event_kind::pulled,
          .instance = at,
          .lane = next.prefill,
          .request = next.request});
  }
}

void simulation::finish_pull(const event& e) {
  if (unit_.kind == unit_kind::disaggregated) {
    instances_[e.lane].used_tokens -= requests_[e.request].prompt_tokens;
    --instances_[e.lane].requests;
    try_start(e.lane);
  }
  auto& lanes = instances_[e.instance].lanes;
  const auto fewest =
      std::min_element(lanes.begin(), lanes.end(), [](const lane& a, const lane& b) { return a.load() < b.load(); });
  fewest->waiting.push_back(e.request);
}

}  // namespace

std::string_view to_string(unit_kind kind) {
  switch (kind) {
    case unit_kind::prefill_only:
      return "prefill only";
    case unit_kind::decode_only:
      return "decode only";
    case unit_kind::disaggregated:
      return "disaggregated";
    case unit_kind::prefill_first:
      return "co-located, prefill first";
    case unit_kind::chunked_prefill:
      return "co-located, chunked prefill";
  }
  return "unknown";
}

unit_outcome simulate_unit(const simulated_unit& unit, std::span<const simulated_request> requests,
                           const miss_limit& limit) {
  return simulation(unit, requests, limit).run();
}

}  // namespace troupe::policies
