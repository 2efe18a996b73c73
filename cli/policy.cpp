// troupe policy list|show|set: the policies there are, and those of a running cluster.
#include "actors/cluster_client.hpp"
#include "cli/cluster_connection.hpp"
#include "cli/exit_codes.hpp"
#include "cli/verbs.hpp"
#include "policies/catalogue.hpp"

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace troupe::cli {
namespace {

struct policy_arguments {
  cluster_options options;
  std::string kind;
  std::string name;
  bool json = false;
};

int list(bool json) {
  if (json) {
    auto all = nlohmann::ordered_json::array();
    for (const auto& entry : policies::policy_catalogue())
      all.push_back({{"kind", policies::to_string(entry.kind)},
                     {"name", entry.name},
                     {"use", entry.use},
                     {"paper", entry.paper}});
    std::cout << all.dump(2) << '\n';
    return exit_done;
  }
  std::string_view kind;
  for (const auto& entry : policies::policy_catalogue()) {
    if (const auto its = policies::to_string(entry.kind); its != kind) {
      std::printf("%s%s\n", kind.empty() ? "" : "\n", std::string(its).c_str());
      kind = its;
    }
    std::printf("  %-16s %s\n", std::string(entry.name).c_str(), std::string(entry.use).c_str());
    if (entry.paper != "none") std::printf("  %-16s   %s\n", "", std::string(entry.paper).c_str());
  }
  return exit_done;
}

int show(const policy_arguments& arguments) {
  const auto client = cluster_client::connect(arguments.options);
  if (!client) return fail(client.error());
  const auto in_force = (*client)->policies();
  if (!in_force) return fail(in_force.error());
  if (arguments.json) {
    const nlohmann::ordered_json shown{
        {"dispatch", in_force->dispatch}, {"scheduler", in_force->scheduler}, {"rescheduling", in_force->rescheduling}};
    std::cout << shown.dump(2) << '\n';
    return exit_done;
  }
  std::printf("dispatch      %s\nscheduler     %s\nrescheduling  %s\n", in_force->dispatch.c_str(),
              in_force->scheduler.c_str(), in_force->rescheduling.c_str());
  return exit_done;
}

int set(const policy_arguments& arguments) {
  const auto client = cluster_client::connect(arguments.options);
  if (!client) return fail(client.error());
  const auto done = (*client)->set_policy(arguments.kind, arguments.name);
  if (!done) return fail(done.error());
  std::cout << *done << '\n';
  return exit_done;
}

}  // namespace

void add_policy_verb(CLI::App& app, int& exit_code) {
  auto* policy = app.add_subcommand("policy", "The policies there are, and those of a running cluster.");
  policy->require_subcommand(1);
  const auto arguments = std::make_shared<policy_arguments>();
  auto* listing = policy->add_subcommand("list", "Every policy: its kind, its name, when to use it, its paper.");
  listing->add_flag("--json", arguments->json, "As JSON.");
  listing->callback([=, &exit_code] { exit_code = list(arguments->json); });

  auto* showing = policy->add_subcommand("show", "The policies in force.");
  add_connection(*showing, arguments->options);
  showing->add_flag("--json", arguments->json, "As JSON.");
  showing->callback([=, &exit_code] { exit_code = show(*arguments); });

  auto* setting = policy->add_subcommand("set", "Another policy from now on; requests that run are not disturbed.");
  add_connection(*setting, arguments->options);
  setting->add_option("KIND", arguments->kind, "dispatch, scheduler or rescheduling.")->required();
  setting->add_option("NAME", arguments->name, "As `troupe policy list` has it.")->required();
  setting->callback([=, &exit_code] { exit_code = set(*arguments); });
}

}  // namespace troupe::cli
