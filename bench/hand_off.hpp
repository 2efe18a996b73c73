// What a hand-off after the prefill costs a stream (DistServe), against the plain transfer of the same bytes.
#pragma once

#include "bench/benchmarks.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace troupe::bench {

/// By transports (cluster_options::transports) and tokens: milliseconds that their K and V take from one process to
/// another while nothing else happens.
using transfer_times = std::map<std::pair<std::string, std::uint32_t>, double>;

result<transfer_times> measure_transfers(const options& wanted);
result<> measure_hand_off(report& made, const options& wanted, const transfer_times& transfers);

}  // namespace troupe::bench
