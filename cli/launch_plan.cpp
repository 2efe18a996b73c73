#include "cli/launch_plan.hpp"

#include "actors/protocols/membership.hpp"
#include "transport/address.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <sstream>

#include <toml++/toml.h>

namespace troupe::cli {
namespace {

bool parse_count(std::string_view text, std::uint32_t& count) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), count);
  return failed == std::errc{} && end == text.data() + text.size() && count >= 1 && count <= 4096;
}

/// nullopt, or what is wrong with one key of a host.
std::string set_key(launch_host& host, std::string_view key, const std::string& value) {
  if (key == "slots" && parse_count(value, host.slots)) return {};
  if (key == "threads" && parse_count(value, host.threads)) return {};
  if (key == "roles" && parse_roles(value)) {
    host.roles = value;
    return {};
  }
  if (key == "slots" || key == "threads")
    return "'" + value + "' is no number of " + std::string(key) + " from 1 to 4096";
  if (key == "roles") return "'" + value + "' names no roles; there are worker, prefill and decode";
  return "unknown key '" + std::string(key) + "'; there are slots, roles and threads";
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
      const bool here = is_here(host.host);
      const std::string label = here ? "node" : host.host;
      launch_process node{label + "-" + std::to_string(++numbers[label]), {settings.program, "node", settings.model}};
      for (const auto& flag : settings.shared_flags)
        node.command.push_back(flag);
      node.command.insert(node.command.end(),
                          {"--join", settings.head_address, "--node-name", node.name, "--roles", host.roles});
      // Two processes that both compute with all processors would only take them from each other.
      const std::uint32_t threads = host.threads != 0 ? host.threads
                                    : here            ? std::max(1u, settings.processors / slots_here)
                                                      : 0;
      if (threads != 0) node.command.insert(node.command.end(), {"--threads", std::to_string(threads)});
      if (!here) node.command = over_ssh(settings, host.host, node.command);
      all.push_back(std::move(node));
    }
  return all;
}

}  // namespace troupe::cli
