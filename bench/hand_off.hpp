// What a hand-off after the prefill costs a stream (DistServe), against the plain transfer of the same bytes.
#pragma once

#include "bench/benchmarks.hpp"

namespace troupe::bench {

result<> measure_hand_off(report& made, const options& wanted);

}  // namespace troupe::bench
