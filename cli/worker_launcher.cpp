#include "cli/worker_launcher.hpp"

#include "cli/tether.hpp"
#include "runtime/observe/log.hpp"

#include <algorithm>
#include <utility>

#include <sys/wait.h>

namespace troupe::cli {
namespace {

constexpr std::chrono::milliseconds look_every{50};
constexpr std::chrono::seconds patience{5};  // until a node that was told to stop gets a signal, and then another
constexpr std::chrono::seconds hook_patience{30};

}  // namespace

worker_launcher::worker_launcher(launcher_settings settings)
    : settings_(std::move(settings)), thread_([this] { run(); }) {}

worker_launcher::~worker_launcher() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void worker_launcher::open(const std::string& head_address) {
  std::lock_guard lock(mutex_);
  settings_.launch.head_address = head_address;
  changed_.notify_one();
}

void worker_launcher::start() {
  std::lock_guard lock(mutex_);
  ++wanted_;
  changed_.notify_one();
}

void worker_launcher::stop(const std::string& name) {
  std::lock_guard lock(mutex_);
  const auto found = nodes_.find(name);
  if (found == nodes_.end() || found->second.stopping) return;
  found->second.stopping = true;
  found->second.end_at = clock::now() + patience;
  found->second.kill_at = found->second.end_at + patience;
  changed_.notify_one();
}

bool worker_launcher::owns(const std::string& name) const {
  std::lock_guard lock(mutex_);
  return nodes_.contains(name);
}

void worker_launcher::run() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    changed_.wait_for(lock, look_every);
    if (ending_) break;
    while (wanted_ > 0 && !settings_.launch.head_address.empty()) {
      --wanted_;
      start_next();
    }
    watch();
  }
  lock.unlock();  // nobody calls any more
  end_all();
}

void worker_launcher::start_next() {
  for (std::uint32_t number = 1;; ++number)
    if (auto name = "auto-" + std::to_string(number); !nodes_.contains(name)) return start_process(name);
}

std::size_t worker_launcher::find_host() const {
  for (std::size_t i = 0; i < settings_.hosts.size(); ++i) {
    const auto taken = std::ranges::count_if(nodes_, [&](const auto& node) { return node.second.host == i; });
    if (taken < static_cast<std::ptrdiff_t>(settings_.hosts[i].slots)) return i;
  }
  return settings_.hosts.size();
}

void worker_launcher::start_process(const std::string& name) {
  if (!settings_.hook.empty()) {
    auto& of = nodes_.emplace(name, owned{child_process(name, {})}).first->second;
    if (!call_hook(of, name, "up")) nodes_.erase(name);
    return;
  }
  const std::size_t at = find_host();
  if (!settings_.hosts.empty() && at == settings_.hosts.size())
    return log(log_level::warning, "scaling", "no host has room for one more worker");
  launch_host host = settings_.hosts.empty() ? launch_host{} : settings_.hosts[at];
  launch_settings launch = settings_.launch;
  if (host.threads == 0) host.threads = launch.threads;
  if (!settings_.log_file.empty())
    launch.shared_flags.insert(launch.shared_flags.end(), {"--log-file", settings_.log_file + "." + name});
  auto plan = plan_node(launch, host, name, settings_.share);
  auto& of = nodes_.emplace(name, owned{child_process(name, tethered(launch.program, std::move(plan.command))), at})
                 .first->second;
  if (auto started = of.process.start(); !started) {
    log(log_level::error, "scaling", started.error().message);
    nodes_.erase(name);
    return;
  }
  of.up = true;
  log(log_level::info, "scaling", "a worker is started",
      {{"node", name}, {"host", host.host}, {"process", of.process.pid()}});
}

bool worker_launcher::call_hook(owned& of, const std::string& name, const char* what) {
  std::vector<std::string> command{"/usr/bin/env",
                                   "TROUPE_JOIN=" + settings_.launch.head_address,
                                   "TROUPE_NODE_NAME=" + name,
                                   "/bin/sh",
                                   "-c",
                                   settings_.hook + " \"$@\"",
                                   "sh",
                                   what,
                                   name};
  of.process = child_process(name, tethered(settings_.launch.program, std::move(command)));
  if (auto started = of.process.start(); !started) {
    log(log_level::error, "scaling", started.error().message);
    return false;
  }
  of.up = std::string_view(what) == "up";
  log(log_level::info, "scaling", "the hook is called", {{"what", what}, {"node", name}});
  return true;
}

/// Takes the process's end, if it has ended.
bool worker_launcher::has_ended(owned& of) {
  int status = 0;
  if (!of.process.running() || ::waitpid(of.process.pid(), &status, WNOHANG) != of.process.pid()) return false;
  of.process.ended();
  const bool in_order = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  const bool is_worker = settings_.hook.empty();
  if ((is_worker && !of.stopping) || (!is_worker && !in_order))
    log(log_level::warning, "scaling", is_worker ? "a worker ended by itself" : "the hook failed",
        {{"node", of.process.name()}, {"status", status}});
  if (is_worker || !in_order) of.up = false;
  return true;
}

void worker_launcher::watch() {
  const auto now = clock::now();
  for (auto it = nodes_.begin(); it != nodes_.end();) {
    auto& [name, of] = *it;
    has_ended(of);
    if (!of.process.running() && !of.up) {
      if (of.stopping) log(log_level::info, "scaling", "a worker is gone", {{"node", name}});
      it = nodes_.erase(it);
      continue;
    }
    if (of.stopping && !settings_.hook.empty()) {
      if (!of.process.running() && !call_hook(of, name, "down")) of.up = false;
    } else if (of.stopping && now >= of.kill_at) {
      of.process.kill();
    } else if (of.stopping && now >= of.end_at) {
      of.process.stop();
    }
    ++it;
  }
}

void worker_launcher::end_all() {
  const bool hooked = !settings_.hook.empty();
  for (auto& [name, of] : nodes_) {
    of.stopping = true;
    if (!hooked) of.process.stop();
  }
  const auto wait_until = [&](clock::time_point end) {
    while (clock::now() < end) {
      bool any = false;
      for (auto& [name, of] : nodes_) {
        has_ended(of);
        if (hooked && !of.process.running() && of.up) call_hook(of, name, "down");
        any = any || of.process.running();
      }
      if (!any) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  wait_until(clock::now() + (hooked ? hook_patience : patience));
  for (auto& [name, of] : nodes_) {
    of.up = false;
    of.process.kill();
  }
  wait_until(clock::now() + patience);
}

}  // namespace troupe::cli
