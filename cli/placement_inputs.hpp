// What `troupe place` is told, as the planner wants it: facts of the model, of the cluster and of the workload, and the
// targets. Errors name the field.
#pragma once

#include "base/result.hpp"
#include "cli/launch_plan.hpp"
#include "policies/distserve_problem.hpp"
#include "policies/gpu_profile.hpp"
#include "policies/workload_drift.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace troupe::cli {

struct model_description {
  std::string name;
  policies::model_facts facts{};
  policies::profiled_model sizes{};
  double parameters = 0;
  bool is_gguf = false;  // this build can run it
};

/// A GGUF file, or a config.json of Hugging Face's form, whose weights are taken to have two bytes each.
result<model_description> describe_model(const std::filesystem::path& file, const std::string& kv_cache_type);

struct workload {
  std::vector<policies::request_lengths> lengths;
  double rate = 0;  // a second; 0: not known
};

/// A CSV file with a column of prompt tokens and one of answer tokens, under any of the names traces use for them, and
/// maybe one of arrivals in seconds.
result<workload> read_trace(const std::filesystem::path& file);
/// "prompt=550,output=35[,prompt-sigma=0.3][,output-sigma=0.5]": medians of lognormal lengths.
result<workload> draw_lengths(const std::string& text);

/// "ttft=4.5s,tpot=30ms[,attainment=0.9]"; without a unit, milliseconds.
result<policies::latency_targets> parse_targets(const std::string& text);

struct cluster_description {
  policies::cluster_facts facts{};
  std::vector<launch_host> nodes;    // one for each host, in the order of the facts' nodes
  std::vector<std::string> assumed;  // sentences about what nobody said
};

/// `defaults`: memory and bandwidths of nodes that do not say; zeros: they must. Hosts must be alike.
result<cluster_description> describe_cluster(const std::vector<launch_host>& hosts,
                                             const policies::cluster_facts& defaults);

/// Of the machine this runs on.
double memory_here();

}  // namespace troupe::cli
