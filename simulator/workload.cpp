#include "simulator/workload.hpp"

namespace troupe::simulator {

workload_program lone_request(duration arrival, std::uint32_t prompt_tokens, std::uint32_t output_tokens) {
  workload_program made;
  made.arrival = arrival;
  made.kind = "request";
  made.stages.push_back({workload_call{{}, prompt_tokens, output_tokens, {}}});
  return made;
}

}  // namespace troupe::simulator
