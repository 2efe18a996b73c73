// How an operator's verb reaches a cluster.
#pragma once

#include "actors/cluster_options.hpp"

namespace CLI {
class App;
}

namespace troupe::cli {

/// Adds --join, --cluster-name and --cluster-secret-file to a verb.
void add_connection(CLI::App& verb, cluster_options& options);

}  // namespace troupe::cli
