// troupe node: workers of a cluster whose head is somewhere else.
#include "actors/worker_node.hpp"
#include "cli/exit_codes.hpp"
#include "cli/log_setup.hpp"
#include "cli/settings.hpp"
#include "cli/stop_signals.hpp"
#include "cli/verbs.hpp"
#include "runtime/observe/log.hpp"
#include "runtime/store/model_store.hpp"

#include <chrono>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

namespace troupe::cli {
namespace {

struct node_arguments {
  given_flags flags;
  std::string model;
  std::string file;
};

int run_node(const node_arguments& arguments) {
  auto values = collect_settings(arguments.flags, arguments.file);
  if (!values) return fail(values.error()), exit_configuration;
  if (!arguments.model.empty()) (*values)["model"] = {arguments.model, setting_source::flag};
  const auto options = make_serve_options(*values);
  if (!options) return fail(options.error()), exit_configuration;
  if (options->node.cluster.join.empty())
    return fail(make_error(errc::invalid_argument,
                           "A node needs a cluster to join: give the head's address with --join HOST:PORT.", "join")),
           exit_configuration;
  if (auto opened = open_log(*options); !opened) return fail(opened.error());
  const auto path = resolve_model(options->model);
  if (!path) return fail(path.error());
  worker_node_options node_options;
  node_options.worker = options->node;
  node_options.worker.model = *path;
  node_options.cluster = options->node.cluster;
  const sigset_t stop_signals = block_stop_signals();
  const auto running = worker_node::start(node_options);
  if (!running) return fail_to_start(running.error());
  log(log_level::info, "node", "started", {{"name", (*running)->name()}, {"head", node_options.cluster.join}});
  for (;;) {
    if (const int signal = take_stop_signal(stop_signals, std::chrono::milliseconds(500)); signal > 0) {
      log(log_level::info, "node", "stopping", {{"reason", "signal " + std::to_string(signal)}});
      return exit_done;
    }
    if (const auto why = (*running)->wait_for_end(std::chrono::milliseconds(0))) {
      log(log_level::info, "node", "stopping", {{"reason", *why}});
      return *why == "told to stop" ? exit_done : exit_unavailable;
    }
  }
}

}  // namespace

void add_node_verb(CLI::App& app, int& exit_code) {
  auto* verb = app.add_subcommand("node", "Be a worker of a cluster: join its head and compute what it assigns.");
  const auto arguments = std::make_shared<node_arguments>();
  verb->add_option("MODEL", arguments->model, "A GGUF file or the name of a pulled model; the same as the head's.");
  verb->add_option("--config,-f", arguments->file, "A configuration file (TOML).")->envname("TROUPE_CONFIG");
  arguments->flags.add_to(*verb);
  verb->callback([arguments, &exit_code] { exit_code = run_node(*arguments); });
}

}  // namespace troupe::cli
