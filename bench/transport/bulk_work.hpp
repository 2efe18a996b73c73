// Bulk memory between two actors over Troupe's mesh, timed. A transfer is what a hand-over of a KV cache is: the
// receiving actor opens a ticket and tells the other by a message; the bytes go from memory to memory; that they are
// there is a message to the receiving actor.
#pragma once

#include "bench/transport/measurement.hpp"

#include <caf/all.hpp>

namespace troupe::transport {
class bridge;
}

namespace troupe::bench {

/// Sends memory back as often as it gets some, one transfer at a time.
caf::actor spawn_bulk_player(caf::actor_system& system, transport::bridge& at);
/// Opens tickets and says when all their parts have come.
caf::actor spawn_bulk_sink(caf::actor_system& system, transport::bridge& at);

/// Transfers of task.bytes there and back.
measurement measure_bulk_latency(caf::actor_system& system, transport::bridge& at, const caf::actor& player,
                                 const endpoint_task& task);
/// One transfer of task.count parts of task.bytes; all from the same memory into the same memory, as ucx_perftest does.
measurement measure_bulk_rate(caf::actor_system& system, transport::bridge& at, const caf::actor& sink,
                              const endpoint_task& task);

}  // namespace troupe::bench
