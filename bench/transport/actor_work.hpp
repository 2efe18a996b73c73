// The actors that are timed, and the timing. They know nothing of what carries their messages: the same code runs over
// Troupe's bridge and over CAF's own network.
#pragma once

#include "bench/transport/measurement.hpp"

#include <map>
#include <string>

#include <caf/all.hpp>

namespace troupe::bench {

// What the actors of a pair say to each other beside byte vectors.
using find_atom = caf::atom_constant<caf::atom("find")>;    // which actor does this? -> the actor
using count_atom = caf::atom_constant<caf::atom("count")>;  // how many byte vectors came? -> the number

/// Ends this process, which is one of a pair: its starter sees the exit status and the sentence.
[[noreturn]] void give_up(const std::string& why);

/// What both systems are set up with: the policy that is better for both, and nothing that reads files.
struct actor_configuration : caf::actor_system_config {
  actor_configuration();
};

/// The actor that a server publishes: sends byte vectors back and hands out `others` and, as "sink", one that counts.
caf::actor spawn_server(caf::actor_system& system, std::map<caf::atom_value, caf::actor> others = {});

/// One request at a time, from one actor to another; byte vectors of task.bytes.
measurement measure_latency(caf::actor_system& system, const caf::actor& server, const endpoint_task& task);
/// As many byte vectors one way as fast as one thread sends them, until the other side has counted all.
measurement measure_rate(caf::actor_system& system, const caf::actor& server, const endpoint_task& task);
/// Nobody says anything for task.count seconds.
measurement measure_idle(const endpoint_task& task);

/// Asks a server for the actor that does something.
caf::actor find_actor(caf::actor_system& system, const caf::actor& server, caf::atom_value name);

/// Processor seconds of both processes so far.
double cpu_seconds_of_both(const endpoint_task& task);

}  // namespace troupe::bench
