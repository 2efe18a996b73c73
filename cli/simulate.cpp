// troupe simulate SCENARIO.toml: runs an experiment on virtual time and tells what came of it.
#include "cli/exit_codes.hpp"
#include "cli/simulation_report.hpp"
#include "cli/verbs.hpp"
#include "simulator/experiment.hpp"
#include "simulator/scenario.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

namespace troupe::cli {
namespace {

struct simulate_arguments {
  std::string file;
  std::vector<std::string> settings;
  unsigned seeds = 0;
  unsigned requests = 0;
  unsigned threads = 0;
  std::string json;
  std::string plots;
  bool check = false;
};

result<std::vector<simulator::scenario_setting>> settings_of(const simulate_arguments& arguments) {
  std::vector<simulator::scenario_setting> made;
  for (const auto& text : arguments.settings) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return make_error(errc::invalid_argument, "'" + text + "' is no KEY=VALUE, like workload[0].rate=12.", "set");
    made.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  if (arguments.seeds > 0) made.push_back({"run.seeds", std::to_string(arguments.seeds)});
  if (arguments.requests > 0) made.push_back({"run.requests", std::to_string(arguments.requests)});
  return made;
}

result<> write(const std::filesystem::path& file, const std::string& text, const char* flag) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  if (out.flush()) return {};
  return make_error(errc::invalid_argument, "Cannot write '" + file.string() + "'.", flag);
}

result<> write_plots(const std::filesystem::path& folder, const std::vector<named_plot>& plots) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    return make_error(errc::invalid_argument, "Cannot make '" + folder.string() + "': " + failed.message() + ".",
                      "plots");
  for (const auto& [name, svg] : plots)
    if (const auto written = write(folder / name, svg, "plots"); !written) return written;
  return {};
}

void show_progress(std::size_t done, std::size_t all) {
  std::fprintf(stderr, "\r%zu of %zu runs%s", done, all, done == all ? "\r\033[K" : "");
  std::fflush(stderr);
}

int simulate(const simulate_arguments& arguments) {
  const auto settings = settings_of(arguments);
  if (!settings) return fail(settings.error());
  const auto scenario = simulator::read_scenario(arguments.file, *settings);
  if (!scenario) {
    fail(scenario.error());
    return exit_configuration;
  }
  if (arguments.check) {
    std::printf("The scenario is right: %zu cases, %zu seeds.\n", scenario->cases.size(), scenario->seeds.size());
    return exit_done;
  }
  const bool on_terminal = isatty(STDERR_FILENO) == 1;
  const auto ran = simulator::run_experiment(
      *scenario, arguments.threads, on_terminal ? show_progress : std::function<void(std::size_t, std::size_t)>());
  std::fputs(simulation_table(*scenario, ran).c_str(), stdout);
  if (!arguments.json.empty())
    if (const auto written = write(arguments.json, simulation_json(*scenario, ran), "json"); !written)
      return fail(written.error());
  if (!arguments.plots.empty())
    if (const auto written = write_plots(arguments.plots, simulation_plots(*scenario, ran)); !written)
      return fail(written.error());
  return exit_done;
}

}  // namespace

void add_simulate_verb(CLI::App& app, int& exit_code) {
  auto* verb =
      app.add_subcommand("simulate", "Run a cluster on virtual time: what would these policies do for this load?");
  const auto arguments = std::make_shared<simulate_arguments>();
  verb->add_option("SCENARIO", arguments->file, "The scenario (TOML).")->required();
  verb->add_option("--seeds", arguments->seeds, "Run with seeds 1 to N, in place of those of the scenario.")
      ->check(CLI::Range(1u, 10'000u));
  verb->add_option("--requests", arguments->requests, "Requests of a run, in place of the scenario's.")
      ->check(CLI::Range(1u, 100'000'000u));
  verb->add_option("--set", arguments->settings, "KEY=VALUE: another value for a key, like workload[0].rate=12.")
      ->allow_extra_args(false);
  verb->add_option("--json", arguments->json, "Write the results to this file.");
  verb->add_option("--plots", arguments->plots, "Write charts (SVG) into this folder.");
  verb->add_option("--threads,-t", arguments->threads, "Runs at once; 0: one for each processor.");
  verb->add_flag("--check", arguments->check, "Only read the scenario and say whether it is right.");
  verb->callback([arguments, &exit_code] { exit_code = simulate(*arguments); });
}

}  // namespace troupe::cli
