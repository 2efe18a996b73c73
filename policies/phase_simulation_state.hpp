// What phase_simulation.cpp keeps of each instance while it runs. Not for others.
#pragma once

#include "policies/decoding_set.hpp"
#include "policies/phase_simulation.hpp"

#include <cstdint>
#include <deque>
#include <tuple>
#include <vector>

namespace troupe::policies::phase_simulation_state {

struct pulled_request {
  std::uint32_t request = 0;
  std::uint32_t prefill = 0;  // instance that holds its K and V
};

/// One of the pp batches of an instance.
struct lane {
  decoding_set decoding;
  std::deque<std::uint32_t> waiting;           // pulled, K and V here (decode_only, disaggregated)
  std::deque<decoding_set::member> set_aside;  // the first returns first
  std::vector<std::uint32_t> ending_prompts;   // of the step under way
  std::uint32_t partial = 0;                   // the prompt of which some chunks are done
  std::uint32_t partial_tokens = 0;            // so many; 0: there is none
  bool decodes = false;                        // in the step under way
  bool busy = false;
  double idle_since_s = 0;

  std::size_t load() const { return decoding.size() + waiting.size() + set_aside.size(); }
};

struct instance {
  const simulated_instance* facts = nullptr;
  std::vector<lane> lanes;
  std::vector<double> stage_free_s;
  bool wakes = false;                  // an event is due when the first stage is free
  std::deque<std::uint32_t> prompts;   // not started
  std::deque<pulled_request> offered;  // not pulled
  std::uint64_t used_tokens = 0;       // of kv_tokens
  std::uint64_t waiting_tokens = 0;    // of them pulled and not started
  std::uint32_t requests = 0;          // assigned and not gone
  double link_free_s = 0;

  bool has_room(std::uint64_t tokens) const { return used_tokens + tokens <= facts->kv_tokens; }
};

enum class event_kind : std::uint8_t { step_done, stage_free, pulled };

struct event {
  double at_s = 0;
  std::uint64_t order = 0;  // of equal times, the first made comes first
  event_kind kind = event_kind::step_done;
  std::uint32_t instance = 0;
  std::uint32_t lane = 0;  // pulled: the instance it came from
  std::uint32_t request = 0;
  friend bool operator>(const event& a, const event& b) {
    return std::tie(a.at_s, a.order) > std::tie(b.at_s, b.order);
  }
};

}  // namespace troupe::policies::phase_simulation_state
