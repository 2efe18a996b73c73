// troupe up: starts a whole cluster - the head here, workers here or over ssh - looks after its processes, and ends
// them.
#include "actors/cluster_client.hpp"
#include "cli/child_process.hpp"
#include "cli/exit_codes.hpp"
#include "cli/launch_plan.hpp"
#include "cli/log_setup.hpp"
#include "cli/settings.hpp"
#include "cli/stop_signals.hpp"
#include "cli/verbs.hpp"
#include "runtime/observe/log.hpp"
#include "runtime/store/model_store.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>
#include <sys/wait.h>

namespace troupe::cli {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t max_restarts = 5;
constexpr std::chrono::seconds restart_window{60};
constexpr const char* default_head = "127.0.0.1:7100";

struct up_arguments {
  given_flags flags;
  std::string model;
  std::string file;
  std::string hostfile;
  std::string ssh = "ssh";
  std::uint32_t local = 0;
};

result<std::vector<launch_host>> find_hosts(const up_arguments& arguments) {
  if (arguments.local > 0) return std::vector{launch_host{.slots = arguments.local}};
  if (!arguments.hostfile.empty()) {
    std::ifstream in(arguments.hostfile);
    if (!in)
      return make_error(errc::invalid_argument, "Cannot read the host file '" + arguments.hostfile + "'.", "hostfile");
    std::stringstream all;
    all << in.rdbuf();
    return parse_hostfile(all.str(), arguments.hostfile);
  }
  if (!arguments.file.empty()) {
    auto hosts = read_cluster_file(arguments.file);
    if (!hosts || !hosts->empty()) return hosts;
    return make_error(errc::invalid_argument, arguments.file + " names no [[node]].", "config");
  }
  return make_error(errc::invalid_argument,
                    "Say which workers to start: --local N, --hostfile FILE or -f cluster.toml with [[node]] tables.");
}

class cluster_processes {
 public:
  explicit cluster_processes(std::vector<launch_process> plan) {
    for (auto& of : plan)
      children_.emplace_back(std::move(of.name), std::move(of.command));
  }
  ~cluster_processes() { end(); }

  result<> start() {
    for (auto& child : children_)
      if (auto started = child.start(); !started) return started;
    return {};
  }

  /// Looks for processes that ended: workers are started again, the head's end is the cluster's. True while it lives.
  bool look_after() {
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto found = std::ranges::find(children_, pid, &child_process::pid);
      if (found == children_.end()) continue;
      found->ended();
      const bool in_order = WIFEXITED(status) && WEXITSTATUS(status) == 0;
      if (found == children_.begin()) {
        log(in_order ? log_level::info : log_level::error, "up", "the head has ended");
        return false;
      }
      if (in_order) continue;  // an operator's `down`
      const bool misunderstood =
          WIFEXITED(status) && (WEXITSTATUS(status) == exit_usage || WEXITSTATUS(status) == exit_configuration);
      if (misunderstood || !found->plan_restart(steady_clock::now(), max_restarts, restart_window))
        log(log_level::error, "up",
            found->name() + (misunderstood ? " cannot be started" : " ended too often and stays down"));
      else
        log(log_level::warning, "up", found->name() + " ended and is started again");
    }
    for (auto& child : children_)
      if (child.restart_due(steady_clock::now()))
        if (auto started = child.start(); !started) log(log_level::error, "up", started.error().message);
    return true;
  }

  /// All, the head last so that workers can say goodbye.
  void end() {
    for (auto& child : children_)
      if (&child != &children_.front()) child.stop();
    wait_until(steady_clock::now() + std::chrono::seconds(3), 1);
    children_.front().stop();
    wait_until(steady_clock::now() + std::chrono::seconds(7), 0);
    for (auto& child : children_)
      child.kill();
    wait_until(steady_clock::now() + std::chrono::seconds(2), 0);
  }

  std::size_t workers() const { return children_.size() - 1; }

 private:
  /// Until at most so many are left.
  void wait_until(steady_clock::time_point end, std::size_t left) {
    const auto n_running = [&] {
      return static_cast<std::size_t>(std::ranges::count_if(children_, &child_process::running));
    };
    while (n_running() > left && steady_clock::now() < end) {
      for (auto& child : children_)
        if (child.running() && ::waitpid(child.pid(), nullptr, WNOHANG) == child.pid()) child.ended();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  std::vector<child_process> children_;
};

/// Waits for all workers to serve; false when that takes too long or the cluster ended.
bool wait_until_up(cluster_processes& processes, const cluster_options& options, std::chrono::seconds longest) {
  const auto end = steady_clock::now() + longest;
  std::unique_ptr<cluster_client> client;
  while (steady_clock::now() < end) {
    if (!processes.look_after()) return false;
    if (!client)
      if (auto connected = cluster_client::connect(options)) client = *std::move(connected);
    if (client) {
      const auto seen = client->overview();
      if (seen && std::ranges::count_if(seen->workers, [](const auto& of) { return of.max_sequences > 0; }) >=
                      static_cast<std::ptrdiff_t>(processes.workers()))
        return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

int run_up(const up_arguments& arguments) {
  const auto began = steady_clock::now();
  auto values = collect_settings(arguments.flags, arguments.file);
  if (!values) return fail(values.error()), exit_configuration;
  if (!arguments.model.empty()) (*values)["model"] = {arguments.model, setting_source::flag};
  const auto options = make_serve_options(*values);
  if (!options) return fail(options.error()), exit_configuration;
  auto hosts = find_hosts(arguments);
  if (!hosts) return fail(hosts.error()), exit_configuration;
  if (auto startable = check_startable(*hosts); !startable) return fail(startable.error()), exit_configuration;
  if (auto opened = open_log(*options); !opened) return fail(opened.error());
  const auto path = resolve_model(options->model);
  if (!path) return fail(path.error());

  launch_settings settings;
  settings.program = std::filesystem::read_symlink("/proc/self/exe");
  settings.model = options->model;
  settings.head_address = options->node.cluster.listen.empty() ? default_head : options->node.cluster.listen;
  constexpr std::string_view told_apart[] = {"model", "cluster-listen", "join", "roles", "node-name", "threads"};
  settings.shared_flags = say_again(arguments.flags, arguments.file, told_apart);
  settings.threads = options->node.threads;
  settings.ssh = split_words(arguments.ssh);
  settings.processors = std::max(1u, std::thread::hardware_concurrency());
  const sigset_t stop_signals = block_stop_signals();
  cluster_processes processes(plan_launch(settings, *hosts));
  if (auto started = processes.start(); !started) return fail(started.error());

  auto client_options = options->node.cluster;
  client_options.listen.clear();
  client_options.join = settings.head_address;
  if (wait_until_up(processes, client_options, std::chrono::seconds(30)))
    log(log_level::info, "up", "the cluster is up",
        {{"workers", processes.workers()},
         {"head", settings.head_address},
         {"seconds", std::chrono::duration<double>(steady_clock::now() - began).count()}});
  while (take_stop_signal(stop_signals, std::chrono::milliseconds(100)) == 0)
    if (!processes.look_after()) return exit_done;
  log(log_level::info, "up", "stopping the cluster");
  return exit_done;
}

}  // namespace

void add_up_verb(CLI::App& app, int& exit_code) {
  auto* verb = app.add_subcommand("up", "Start a whole cluster and look after it until interrupted.");
  const auto arguments = std::make_shared<up_arguments>();
  verb->add_option("MODEL", arguments->model, "A GGUF file or the name of a pulled model, the same on every host.");
  verb->add_option("--config,-f", arguments->file, "A configuration file; its [[node]] tables name the workers.");
  verb->add_option("--local", arguments->local, "Start N workers on this machine.")->check(CLI::Range(1, 256));
  verb->add_option("--ssh", arguments->ssh, "The command that starts a process on another host, with its options.")
      ->capture_default_str();
  verb->add_option("--hostfile", arguments->hostfile, "Lines `host slots=N`: start workers there over ssh.");
  arguments->flags.add_to(*verb);
  verb->callback([arguments, &exit_code] { exit_code = run_up(*arguments); });
}

}  // namespace troupe::cli
