// The simulator's engine by the names that the tests of the actors know it by.
#pragma once

#include "simulator/simulated_engine.hpp"

namespace troupe::testing {

using scripted_engine = simulator::simulated_engine;

/// The whole undisturbed answer to a request.
inline std::vector<token_id> scripted_answer(const generation_request& request) {
  return simulator::whole_answer(request);
}

}  // namespace troupe::testing
