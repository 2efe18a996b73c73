// troupe place: how many workers of which role a cluster should have, so that the most requests stay within their
// targets (policies/distserve_placement), and whether a plan still suits the workload.
#include "cli/exit_codes.hpp"
#include "cli/placement_cost.hpp"
#include "cli/placement_file.hpp"
#include "cli/placement_inputs.hpp"
#include "cli/settings.hpp"
#include "cli/verbs.hpp"
#include "policies/distserve_placement.hpp"
#include "runtime/store/model_store.hpp"
#include "transport/address.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace troupe::cli {
namespace {

struct place_arguments {
  std::string model;
  std::string slo;
  std::string trace;
  std::string lengths;
  std::string cluster;
  std::uint32_t local = 0;
  double rate = 0;
  std::string cost = "cpu";
  std::string profile;
  std::string network;
  std::string save_cost;
  std::string output;
  std::string current;
  bool unsplit = false;
  bool json = false;
};

/// The question, and what is needed to print and to write the answer.
struct question {
  policies::placement_problem problem{};
  model_description model;
  cluster_description cluster;
  planned_cluster planned;
  std::string cost_source;
  policies::step_cost cost{};
};

error wrong(const char* field, std::string message) {
  return make_error(errc::invalid_argument, std::move(message), field);
}

result<std::vector<launch_host>> find_hosts(const place_arguments& arguments) {
  if (arguments.local > 0) return std::vector{launch_host{.slots = arguments.local}};
  if (arguments.cluster.empty())
    return wrong("cluster", "Say which machines there are: --cluster cluster.toml with [[node]] tables, or --local N.");
  auto hosts = read_cluster_file(arguments.cluster);
  if (!hosts || !hosts->empty()) return hosts;
  return wrong("cluster", arguments.cluster + " names no [[node]].");
}

result<workload> find_workload(const place_arguments& arguments) {
  if (arguments.trace.empty() == arguments.lengths.empty())
    return wrong("trace", "Say what the requests are like: either --trace FILE.csv or --lengths prompt=…,output=….");
  auto made = arguments.trace.empty() ? draw_lengths(arguments.lengths) : read_trace(arguments.trace);
  if (made && arguments.rate > 0) made->rate = arguments.rate;
  return made;
}

std::uint32_t processors() {
  return std::max(1u, std::thread::hardware_concurrency());
}

bool all_here(const std::vector<launch_host>& hosts) {
  return std::ranges::all_of(hosts, [](const auto& host) { return transport::is_loopback(host.host); });
}

/// What a worker process on processors has: its share of the memory, and no more K and V than its setting says.
policies::cluster_facts processor_defaults(const std::vector<launch_host>& hosts, const node_options& settings,
                                           const model_description& model) {
  constexpr double shared_memory_bytes_per_s = 2e9;
  constexpr double default_kv_bytes = 512.0 * 1024 * 1024;
  policies::cluster_facts made;
  made.within_node_bytes_per_s = shared_memory_bytes_per_s;
  if (!all_here(hosts)) return made;
  std::uint32_t devices = 0;
  for (const auto& host : hosts)
    devices += host.devices != 0 ? host.devices : host.slots;
  const double kv = settings.kv_cache_bytes != 0 ? static_cast<double>(settings.kv_cache_bytes) : default_kv_bytes;
  made.gpu_memory_bytes = std::min(memory_here() / devices, (model.facts.weight_bytes + kv) / policies::usable_memory);
  return made;
}

void choose_splits(const place_arguments& arguments, const placement_cost& cost, policies::placement_problem& problem) {
  if (arguments.unsplit || cost.tp == std::vector<std::uint32_t>{1}) problem.tp = {1};
  if (arguments.unsplit || (arguments.cost != "a100" && arguments.cost != "a40")) problem.pp = {1};
  if (!problem.tp.empty() || cost.tp.empty()) return;
  for (const auto tp : policies::tensor_parallel_choices(problem))
    if (std::ranges::find(cost.tp, tp) != cost.tp.end()) problem.tp.push_back(tp);
}

result<question> ask(const place_arguments& arguments) {
  question made;
  auto values = collect_settings(given_flags{}, arguments.cluster);
  if (!values) return values.error();
  if (!arguments.model.empty()) (*values)["model"] = {arguments.model, setting_source::flag};
  const auto settings = make_serve_options(*values);
  if (!settings) return settings.error();
  auto& problem = made.problem;
  if (!arguments.slo.empty()) {
    auto targets = parse_targets(arguments.slo);
    if (!targets) return targets.error();
    problem.slo = *targets;
  } else if (!arguments.current.empty()) {
    const auto record = read_plan(arguments.current);
    if (!record) return record.error();
    problem.slo = record->slo;
  } else {
    return wrong("slo", "Say the targets: --slo ttft=…,tpot=….");
  }
  const auto requests = find_workload(arguments);
  if (!requests) return requests.error();
  const auto hosts = find_hosts(arguments);
  if (!hosts) return hosts.error();
  std::filesystem::path path = settings->model;
  if (path.extension() != ".json") {
    const auto resolved = resolve_model(settings->model);
    if (!resolved) return resolved.error();
    path = *resolved;
  }
  auto model = describe_model(path, settings->node.kv_cache_type);
  if (!model) return model.error();
  made.model = *std::move(model);

  const auto& first = hosts->front();
  const std::uint32_t devices = std::max(1u, first.devices != 0 ? first.devices : first.slots);
  const auto cost = find_cost({.name = arguments.cost,
                               .table = arguments.profile,
                               .network = arguments.network,
                               .model = path,
                               .threads = first.threads != 0 ? first.threads : std::max(1u, processors() / devices),
                               .isa = settings->node.isa},
                              made.model);
  if (!cost) return cost.error();
  const bool is_gpu = cost->device.gpu_memory_bytes > 0;
  auto cluster =
      describe_cluster(*hosts, is_gpu ? cost->device : processor_defaults(*hosts, settings->node, made.model));
  if (!cluster) return cluster.error();
  made.cluster = *std::move(cluster);
  made.cost_source = cost->source;
  made.cost = cost->cost(1);

  problem.model = made.model.facts;
  problem.cluster = made.cluster.facts;
  problem.cost = cost->cost;
  problem.lengths = requests->lengths;
  if (arguments.rate > 0) problem.rate = arguments.rate;
  problem.max_batched_tokens = settings->node.max_num_batched_tokens;
  problem.max_sequences = settings->node.max_num_seqs;
  choose_splits(arguments, *cost, problem);

  auto& planned = made.planned;
  planned.model =
      std::filesystem::exists(settings->model) ? std::filesystem::absolute(settings->model).string() : settings->model;
  planned.hosts = made.cluster.nodes;
  const auto n = static_cast<double>(requests->lengths.size());
  planned.record.workload = policies::statistics_of(requests->lengths, requests->rate > 0 ? n / requests->rate : n);
  planned.record.workload.rate = requests->rate;
  planned.record.slo = problem.slo;
  return made;
}

struct unit_group {
  std::uint32_t count = 0;
  const policies::scored_unit* of = nullptr;
};

std::vector<unit_group> group(const policies::placement& plan) {
  std::vector<unit_group> groups;
  for (const auto& placed : plan.units) {
    const auto same = std::ranges::find_if(groups, [&](const auto& g) { return g.of->unit == placed.scored.unit; });
    if (same != groups.end())
      ++same->count;
    else
      groups.push_back({1, &placed.scored});
  }
  return groups;
}

constexpr std::size_t n_alternatives = 5;

/// The best of the others; what only differs in where its parts lie is one.
std::vector<const policies::scored_unit*> alternatives(const policies::placement& plan) {
  std::set<std::string> seen;
  for (const auto& placed : plan.units)
    seen.insert(policies::to_string(placed.scored.unit));
  std::vector<const policies::scored_unit*> others;
  for (const auto& candidate : plan.candidates)
    if (others.size() < n_alternatives && seen.insert(policies::to_string(candidate.unit)).second)
      others.push_back(&candidate);
  return others;
}

void print_unit(const char* before, const policies::scored_unit& of) {
  const auto& at = of.at_goodput;
  std::printf("%s%-52s %8.3g/s  P90 TTFT %.4g s  TPOT %.4g ms  joint %.1f %%\n", before,
              policies::to_string(of.unit).c_str(), of.goodput, at.ttft_p90_s, at.tpot_p90_s * 1e3, at.joint * 100);
}

void print_plan(const question& asked) {
  const auto& plan = asked.planned.plan;
  const auto& problem = asked.problem;
  const auto& workload = asked.planned.record.workload;
  std::printf("%s on %u x %u devices: TTFT %.4g s and TPOT %.4g ms for %.4g %% of the requests\n",
              asked.model.name.c_str(), problem.cluster.nodes, problem.cluster.gpus_per_node, problem.slo.ttft_s,
              problem.slo.tpot_s * 1e3, problem.slo.attainment * 100);
  std::printf("requests of %.4g prompt and %.4g answer tokens in the mean\n", workload.mean_prompt_tokens,
              workload.mean_output_tokens);
  std::printf("costs: %s\n", asked.cost_source.c_str());
  for (const auto& sentence : asked.cluster.assumed)
    std::printf("taken: %s\n", sentence.c_str());
  std::printf("\nplan\n");
  for (const auto& [count, of] : group(plan))
    print_unit(("  " + std::to_string(count) + " x  ").c_str(), *of);
  std::printf("  goodput %.4g requests/s with %u of %u devices, %.4g a device", plan.goodput, plan.gpus,
              problem.cluster.gpus(), plan.goodput_per_gpu);
  if (std::isfinite(problem.rate))
    std::printf("; %s %.4g/s", plan.meets_rate ? "serves" : "does NOT serve", problem.rate);
  std::printf("\n  workers: %s\n", count_roles(workers_of(asked.planned)).c_str());
  const auto others = alternatives(plan);
  if (!others.empty()) std::printf("\nalternatives, best first for each device\n");
  for (const auto* of : others)
    print_unit("       ", *of);
}

nlohmann::ordered_json to_json(const policies::scored_unit& of) {
  return {{"unit", policies::to_string(of.unit)},
          {"kind", policies::to_string(of.unit.kind)},
          {"devices", of.unit.gpus()},
          {"goodput", of.goodput},
          {"goodput_per_device", of.goodput_per_gpu},
          {"ttft_p90_s", of.at_goodput.ttft_p90_s},
          {"tpot_p90_s", of.at_goodput.tpot_p90_s},
          {"joint", of.at_goodput.joint}};
}

nlohmann::ordered_json to_json(const question& asked) {
  const auto& plan = asked.planned.plan;
  nlohmann::ordered_json out{{"goodput", plan.goodput},
                             {"devices", plan.gpus},
                             {"meets_rate", plan.meets_rate},
                             {"cost", asked.cost_source},
                             {"units", nlohmann::ordered_json::array()},
                             {"workers", nlohmann::ordered_json::array()},
                             {"alternatives", nlohmann::ordered_json::array()}};
  for (const auto& [count, of] : group(plan)) {
    out["units"].push_back(to_json(*of));
    out["units"].back()["count"] = count;
  }
  for (const auto& host : workers_of(asked.planned))
    out["workers"].push_back({{"host", host.host}, {"roles", host.roles}, {"slots", host.slots}});
  for (const auto* of : alternatives(plan))
    out["alternatives"].push_back(to_json(*of));
  return out;
}

struct comparison {
  policies::workload_drift drift{};
  bool enough = false;  // requests on both sides to tell
  plan_record before;
};

result<comparison> compare(const question& asked, const std::filesystem::path& current) {
  const auto record = read_plan(current);
  if (!record) return record.error();
  comparison made{.before = *record};
  auto seen = asked.planned.record.workload;
  auto planned_for = record->workload;
  // Where one of the two does not know its rate, it says nothing.
  if (seen.rate <= 0 || planned_for.rate <= 0) seen.rate = planned_for.rate = 1;
  made.enough = std::min(seen.requests, planned_for.requests) >= policies::drift_thresholds{}.min_requests;
  made.drift = policies::replan_needed(planned_for, seen);
  return made;
}

std::string describe(const comparison& of, const policies::workload_statistics& seen) {
  if (!of.enough)
    return "Too few requests to tell whether the workload has drifted; " +
           std::to_string(policies::drift_thresholds{}.min_requests) + " are needed.";
  if (!of.drift) return "The workload has not drifted from the one that was planned for.";
  std::string text = "The workload has drifted:";
  const auto add = [&](bool moved, const char* what, double from, double to) {
    char line[96];
    std::snprintf(line, sizeof line, "%s %s %.4g -> %.4g", text.back() == ':' ? "" : ",", what, from, to);
    if (moved) text += line;
  };
  const auto& before = of.before.workload;
  add(of.drift.rate, "requests a second", before.rate, seen.rate);
  add(of.drift.prompt_tokens, "prompt tokens", before.mean_prompt_tokens, seen.mean_prompt_tokens);
  add(of.drift.output_tokens, "answer tokens", before.mean_output_tokens, seen.mean_output_tokens);
  return text + ".";
}

int place(const place_arguments& arguments) {
  auto asked = ask(arguments);
  if (!asked) return fail(asked.error());
  if (!arguments.save_cost.empty())
    if (auto saved = write_cost(asked->cost, arguments.save_cost); !saved) return fail(saved.error());
  std::optional<comparison> compared;
  std::vector<launch_host> before;
  nlohmann::ordered_json out;
  if (!arguments.current.empty()) {
    auto made = compare(*asked, arguments.current);
    if (!made) return fail(made.error());
    compared = *std::move(made);
    auto workers = read_cluster_file(arguments.current);
    if (!workers) return fail(workers.error());
    before = *std::move(workers);
    const auto sentence = describe(*compared, asked->planned.record.workload);
    out = {{"drifted", static_cast<bool>(compared->drift)}, {"why", sentence}};
    if (!arguments.json) std::printf("%s\n", sentence.c_str());
    if (!compared->drift) {
      if (arguments.json) std::cout << out.dump(2) << '\n';
      return exit_done;
    }
  }
  auto plan = policies::plan_placement(asked->problem);
  if (!plan) return fail(plan.error());
  asked->planned.plan = *std::move(plan);
  asked->planned.record.goodput = asked->planned.plan.goodput;
  const auto change = count_roles(before) + " -> " + count_roles(workers_of(asked->planned));
  if (arguments.json) {
    out.update(to_json(*asked));
    if (compared) out["change"] = change;
    std::cout << out.dump(2) << '\n';
  } else {
    if (compared) std::printf("workers: %s\n\n", change.c_str());
    print_plan(*asked);
  }
  if (arguments.output.empty()) return exit_done;
  const auto written = write_plan(asked->planned, arguments.cluster, arguments.output);
  if (!written) return fail(written.error());
  if (!arguments.json) std::printf("\nwritten: %s\n", arguments.output.c_str());
  return exit_done;
}

}  // namespace

void add_place_verb(CLI::App& app, int& exit_code) {
  auto* verb = app.add_subcommand("place", "Plan which workers a cluster has, for targets of latency.");
  const auto arguments = std::make_shared<place_arguments>();
  verb->add_option("--model,-m", arguments->model,
                   "A GGUF file, the name of a pulled model, or a config.json of Hugging Face's form.");
  verb->add_option("--slo", arguments->slo, "ttft=4.5s,tpot=30ms[,attainment=0.9]; without a unit, milliseconds.");
  verb->add_option("--trace", arguments->trace,
                   "A CSV file with columns of prompt and answer tokens, and maybe of arrivals in seconds.");
  verb->add_option("--lengths", arguments->lengths,
                   "prompt=550,output=35[,prompt-sigma=0.3][,output-sigma=0.5]: medians of lognormal lengths.");
  verb->add_option("--cluster", arguments->cluster,
                   "A cluster.toml; its [[node]] tables have devices, memory_gib, within_gb_s, between_gb_s.");
  verb->add_option("--local", arguments->local, "Instead: N workers on this machine.")->check(CLI::Range(1, 256));
  verb->add_option("--rate", arguments->rate, "Requests a second to serve. Not given: as many as can be.")
      ->check(CLI::PositiveNumber);
  verb->add_option("--cost", arguments->cost,
                   "What a step takes: cpu measures it here; a100, a40; a file of `troupe bench engine --json` or of "
                   "--save-cost.")
      ->capture_default_str();
  verb->add_option("--profile", arguments->profile, "With a100 or a40: Vidur's table of the model's operators (CSV).");
  verb->add_option("--network", arguments->network, "Vidur's table of all-reduces, to split a model (CSV).");
  verb->add_option("--save-cost", arguments->save_cost, "Write the cost there, to be read again by --cost.");
  verb->add_option("--output,-o", arguments->output, "Write the plan there, as a file for `troupe up -f`.");
  verb->add_option("--current", arguments->current,
                   "A plan written before: has the workload drifted from it, and what would change?");
  verb->add_flag("--unsplit", arguments->unsplit, "Only workers on one device each, as this build starts them.");
  verb->add_flag("--json", arguments->json, "Print as JSON.");
  verb->callback([arguments, &exit_code] { exit_code = place(*arguments); });
}

}  // namespace troupe::cli
