#include "cli/launch_plan.hpp"

#include "actors/protocols/membership.hpp"
#include "transport/address.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <sstream>

#include <toml++/toml.h>

namespace troupe::cli {
namespace {

bool parse_count(std::string_view text, std::uint32_t& count) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), count);
  return failed == std::errc{} && end == text.data() + text.size() && count >= 1 && count <= 4096;
}

constexpr std::pair<std::string_view, std::uint32_t launch_host::*> counts[] = {
    {"slots", &launch_host::slots},
    {"threads", &launch_host::threads},
    {"devices", &launch_host::devices},
    {"tensor_parallel", &launch_host::tensor_parallel},
    {"pipeline_parallel", &launch_host::pipeline_parallel}};
constexpr std::pair<std::string_view, double launch_host::*> amounts[] = {{"memory_gib", &launch_host::memory_gib},
                                                                          {"within_gb_s", &launch_host::within_gb_s},
                                                                          {"between_gb_s", &launch_host::between_gb_s}};

bool parse_amount(std::string_view text, double& amount) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), amount);
  return failed == std::errc{} && end == text.data() + text.size() && amount > 0 && amount < 1e6;
}

/// Empty, or what is wrong with one key of a host.
std::string set_key(launch_host& host, std::string_view key, const std::string& value) {
  for (const auto& [name, member] : counts)
    if (key == name)
      return parse_count(value, host.*member)
                 ? std::string()
                 : "'" + value + "' is no number of " + std::string(key) + " from 1 to 4096";
  for (const auto& [name, member] : amounts)
    if (key == name)
      return parse_amount(value, host.*member) ? std::string()
                                               : "'" + value + "' is no positive number for " + std::string(key);
  if (key != "roles")
    return "unknown key '" + std::string(key) +
           "'; there are slots, roles, threads, devices, memory_gib, within_gb_s, between_gb_s, tensor_parallel and "
           "pipeline_parallel";
  if (!parse_roles(value)) return "'" + value + "' names no roles; there are worker, prefill and decode";
  host.roles = value;
  return {};
}

bool is_here(const std::string& host) {
  return transport::is_loopback(host);
}

/// One word for a remote shell.
std::string quote(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word)
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::vector<std::string> over_ssh(const launch_settings& settings, const std::string& host,
                                  const std::vector<std::string>& command) {
  // With a terminal of its own the remote process ends with the connection.
  std::vector<std::string> words = settings.ssh;
  words.insert(words.end(), {"-tt", "-o", "BatchMode=yes", host, "--"});
  std::string line;
  for (const auto& word : command)
    line += (line.empty() ? "" : " ") + quote(word);
  words.push_back(line);
  return words;
}

}  // namespace

result<std::vector<launch_host>> parse_hostfile(std::string_view text, const std::string& name) {
  std::vector<launch_host> hosts;
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const auto fail = [&](const std::string& why) {
      return make_error(errc::invalid_argument, name + ":" + std::to_string(number) + ": " + why + ".", "hostfile");
    };
    line = line.substr(0, line.find('#'));
    std::istringstream words(line);
    launch_host host;
    if (!(words >> host.host)) continue;
    if (host.host.find('=') != std::string::npos) return fail("a line begins with a host");
    for (std::string word; words >> word;) {
      const auto equals = word.find('=');
      if (equals == std::string::npos) return fail("'" + word + "' is no key=value");
      if (const auto wrong = set_key(host, word.substr(0, equals), word.substr(equals + 1)); !wrong.empty())
        return fail(wrong);
    }
    hosts.push_back(host);
  }
  if (hosts.empty()) return make_error(errc::invalid_argument, name + " names no host.", "hostfile");
  return hosts;
}

result<std::vector<launch_host>> read_cluster_file(const std::filesystem::path& file) {
  toml::table root;
  try {
    root = toml::parse_file(file.string());
  } catch (const toml::parse_error& e) {
    return make_error(errc::invalid_argument,
                      file.string() + ":" + std::to_string(e.source().begin.line) + ": " + std::string(e.description()),
                      "config");
  }
  std::vector<launch_host> hosts;
  const auto* nodes = root["node"].as_array();
  if (nodes == nullptr) return hosts;
  for (const auto& entry : *nodes) {
    const auto fail = [&](const toml::node& at, const std::string& why) {
      return make_error(errc::invalid_argument,
                        file.string() + ":" + std::to_string(at.source().begin.line) + ": " + why + ".", "config");
    };
    const auto* table = entry.as_table();
    if (table == nullptr) return fail(entry, "a node is written as [[node]]");
    launch_host host;
    for (const auto& [key, value] : *table) {
      std::string text;
      if (const auto* list = value.as_array()) {
        for (const auto& item : *list)
          text += (text.empty() ? "" : ",") + item.value_or(std::string());
      } else if (const auto number = value.value<std::int64_t>(); number && value.is_integer()) {
        text = std::to_string(*number);
      } else if (const auto* decimal = value.as_floating_point()) {
        std::ostringstream digits;
        digits << decimal->get();
        text = digits.str();
      } else {
        text = value.value_or(std::string());
      }
      if (key == "host") {
        host.host = text;
      } else if (const auto wrong = set_key(host, key.str(), text); !wrong.empty()) {
        return fail(value, wrong);
      }
    }
    hosts.push_back(host);
  }
  return hosts;
}

result<> check_startable(const std::vector<launch_host>& hosts) {
  for (const auto& host : hosts)
    if (host.tensor_parallel * host.pipeline_parallel > 1)
      return make_error(errc::unsupported,
                        "Workers on " + host.host + " are split over " +
                            std::to_string(host.tensor_parallel * host.pipeline_parallel) +
                            " devices; workers of this build compute on one.",
                        "config");
  return {};
}

std::vector<std::string> split_words(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

std::vector<std::string> say_again(const given_flags& flags, const std::string& file,
                                   std::span<const std::string_view> left_out) {
  std::vector<std::string> words;
  if (!file.empty()) words.insert(words.end(), {"--config", file});
  for (const auto& [flag, value] : flags.all()) {
    if (std::ranges::find(left_out, flag) != left_out.end()) continue;
    const auto known = std::ranges::find(all_settings(), std::string_view(flag), &setting::flag);
    if (known->kind == setting_kind::flag)
      words.push_back((value == "true" ? "--" : "--no-") + flag);
    else
      words.insert(words.end(), {"--" + flag, value});
  }
  return words;
}

launch_process plan_node(const launch_settings& settings, const launch_host& host, std::string name,
                         std::uint32_t slots_here) {
  launch_process node{std::move(name), {settings.program, "node", settings.model}};
  auto& command = node.command;
  command.insert(command.end(), settings.shared_flags.begin(), settings.shared_flags.end());
  // A node listens where it likes, whatever a shared file says of the head.
  command.insert(command.end(), {"--join", settings.head_address, "--cluster-listen", "", "--node-name", node.name,
                                 "--roles", host.roles});
  // Two processes that both compute with all processors would only take them from each other.
  const bool here = is_here(host.host);
  const std::uint32_t threads = host.threads != 0 ? host.threads
                                : here            ? std::max(1u, settings.processors / std::max(1u, slots_here))
                                                  : 0;
  if (threads != 0) command.insert(command.end(), {"--threads", std::to_string(threads)});
  if (!here) command = over_ssh(settings, host.host, command);
  return node;
}

std::vector<launch_process> plan_launch(const launch_settings& settings, const std::vector<launch_host>& hosts) {
  std::vector<launch_process> all;
  launch_process head{"head", {settings.program, "serve", settings.model}};
  for (const auto& flag : settings.shared_flags)
    head.command.push_back(flag);
  head.command.insert(head.command.end(), {"--cluster-listen", settings.head_address, "--no-local-worker"});
  all.push_back(std::move(head));

  std::uint32_t slots_here = 0;
  for (const auto& host : hosts)
    if (is_here(host.host)) slots_here += host.slots;
  std::map<std::string, std::uint32_t> numbers;
  for (const auto& host : hosts)
    for (std::uint32_t slot = 0; slot < host.slots; ++slot) {
      const std::string label = is_here(host.host) ? "node" : host.host;
      all.push_back(plan_node(settings, host, label + "-" + std::to_string(++numbers[label]), slots_here));
    }
  return all;
}

}  // namespace troupe::cli
