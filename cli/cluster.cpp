// An operator's verbs: troupe status, top, drain, down, secret.
#include "actors/cluster_client.hpp"
#include "cli/cluster_connection.hpp"
#include "cli/exit_codes.hpp"
#include "cli/verbs.hpp"
#include "transport/security/cluster_secret.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace troupe::cli {
namespace {

struct cluster_arguments {
  cluster_options options;
  std::string node;
  std::uint64_t request = 0;
  std::string file;
  bool json = false;
  double interval_s = 1;
  std::uint32_t rounds = 0;
};

result<std::unique_ptr<cluster_client>> connect(const cluster_arguments& arguments) {
  return cluster_client::connect(arguments.options);
}

nlohmann::ordered_json to_json(const load_report& load) {
  return {{"requests", load.sequences},           {"running", load.sequences_running},
          {"max_running", load.max_sequences},    {"kv_blocks_used", load.blocks_used},
          {"kv_blocks_total", load.blocks_total}, {"prompt_tokens_to_compute", load.tokens_to_compute}};
}

void print_json(const cluster_overview& seen) {
  nlohmann::ordered_json out{{"requests_queued", seen.requests_queued},
                             {"nodes", nlohmann::ordered_json::array()},
                             {"workers", nlohmann::ordered_json::array()},
                             {"requests", nlohmann::ordered_json::array()}};
  for (const auto& of : seen.members)
    out["nodes"].push_back({{"number", of.number},
                            {"name", of.name},
                            {"host", of.host},
                            {"process", of.process},
                            {"address", of.address},
                            {"roles", roles_to_string(of.roles)},
                            {"condition", to_string(of.condition)}});
  for (const auto& load : seen.workers) {
    auto entry = to_json(load);
    entry["worker"] = load.worker.value;
    out["workers"].push_back(entry);
  }
  for (const auto& of : seen.requests) {
    out["requests"].push_back({{"request", of.request.value},
                               {"epoch", of.epoch.value},
                               {"priority", of.priority},
                               {"prompt_tokens", of.prompt_tokens}});
    if (!of.queued) out["requests"].back()["worker"] = of.worker.value;
  }
  std::cout << out.dump(2) << '\n';
}

void print_table(const cluster_overview& seen) {
  std::map<std::uint32_t, const load_report*> loads;
  for (const auto& load : seen.workers)
    loads[load.worker.value] = &load;
  std::printf("%-4s %-24s %-10s %-9s %8s %8s %14s %s\n", "no", "node", "roles", "state", "process", "running",
              "KV blocks", "address");
  const auto print_line = [&](std::uint32_t number, const std::string& name, const std::string& roles,
                              std::string_view state, std::uint32_t process, const std::string& address) {
    const auto found = loads.find(number);
    const bool works = found != loads.end();
    const std::string running =
        works ? std::to_string(found->second->sequences_running) + "/" + std::to_string(found->second->max_sequences)
              : "-";
    const std::string blocks =
        works ? std::to_string(found->second->blocks_used) + "/" + std::to_string(found->second->blocks_total) : "-";
    std::printf("%-4u %-24s %-10s %-9s %8u %8s %14s %s\n", number, name.c_str(), roles.c_str(),
                works ? std::string(state).c_str() : "starting", process, running.c_str(), blocks.c_str(),
                address.c_str());
  };
  if (loads.contains(0)) print_line(0, "(head)", "worker", "serving", 0, "");
  for (const auto& of : seen.members)
    print_line(of.number, of.name, roles_to_string(of.roles), to_string(of.condition), of.process, of.address);
  std::printf("%u requests queued\n", seen.requests_queued);
}

int show_status(const cluster_arguments& arguments) {
  const auto client = connect(arguments);
  if (!client) return fail(client.error());
  const auto seen = (*client)->overview();
  if (!seen) return fail(seen.error());
  arguments.json ? print_json(*seen) : print_table(*seen);
  return exit_done;
}

int show_top(const cluster_arguments& arguments) {
  const auto client = connect(arguments);
  if (!client) return fail(client.error());
  for (std::uint32_t round = 1;; ++round) {
    const auto seen = (*client)->overview();
    if (!seen) return fail(seen.error());
    std::printf("\033[H\033[2J");
    print_table(*seen);
    std::fflush(stdout);
    if (round == arguments.rounds) return exit_done;
    std::this_thread::sleep_for(std::chrono::duration<double>(arguments.interval_s));
  }
}

int tell(const cluster_arguments& arguments, result<std::string> (cluster_client::*command)(const std::string&)) {
  const auto client = connect(arguments);
  if (!client) return fail(client.error());
  const auto done = ((**client).*command)(arguments.node);
  if (!done) return fail(done.error());
  std::cout << *done << '\n';
  return exit_done;
}

int migrate_request_to_node(const cluster_arguments& arguments) {
  const auto client = connect(arguments);
  if (!client) return fail(client.error());
  const auto done = (*client)->migrate(request_id{arguments.request}, arguments.node);
  if (!done) return fail(done.error());
  std::cout << *done << '\n';
  return exit_done;
}

}  // namespace

void add_connection(CLI::App& verb, cluster_options& options) {
  options.join = "127.0.0.1:7100";
  verb.add_option("--join", options.join, "HOST:PORT of the cluster's head.")->capture_default_str();
  verb.add_option("--cluster-name", options.name, "The cluster's name.")->capture_default_str();
  verb.add_option("--cluster-secret-file", options.secret_file, "The secret that the cluster's nodes share.");
}

void add_cluster_verbs(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<cluster_arguments>();
  auto* status = app.add_subcommand("status", "Show a cluster's nodes and their load.");
  add_connection(*status, arguments->options);
  status->add_flag("--json", arguments->json, "As JSON.");
  status->callback([=, &exit_code] { exit_code = show_status(*arguments); });

  auto* top = app.add_subcommand("top", "Show a cluster's nodes and their load again and again.");
  add_connection(*top, arguments->options);
  top->add_option("--interval", arguments->interval_s, "Seconds between looks.")->check(CLI::Range(0.1, 3600.0));
  top->add_option("--rounds", arguments->rounds, "Looks; 0: until interrupted.");
  top->callback([=, &exit_code] { exit_code = show_top(*arguments); });

  auto* drain = app.add_subcommand("drain", "Let a node take no more requests.");
  add_connection(*drain, arguments->options);
  drain->add_option("NODE", arguments->node, "Its name, as `troupe status` shows it.")->required();
  drain->callback([=, &exit_code] { exit_code = tell(*arguments, &cluster_client::drain); });

  auto* migrate = app.add_subcommand("migrate", "Move a running request to another node; its stream goes on.");
  add_connection(*migrate, arguments->options);
  migrate->add_option("REQUEST", arguments->request, "Its number, as `troupe status --json` shows it.")->required();
  migrate->add_option("NODE", arguments->node, "Where to.")->required();
  migrate->callback([=, &exit_code] { exit_code = migrate_request_to_node(*arguments); });

  auto* down = app.add_subcommand("down", "Stop a node, or the whole cluster.");
  add_connection(*down, arguments->options);
  down->add_option("NODE", arguments->node, "Its name; without one, all nodes and the head.");
  down->callback([=, &exit_code] { exit_code = tell(*arguments, &cluster_client::stop); });

  auto* secret = app.add_subcommand("secret", "Make a secret for a cluster: a new file that only its owner can read.");
  secret->add_option("FILE", arguments->file, "Where to; it must not exist.")->required();
  secret->callback([=, &exit_code] {
    const auto made = transport::create_cluster_secret(arguments->file);
    exit_code = made ? exit_done : fail(made.error());
  });
}

}  // namespace troupe::cli
