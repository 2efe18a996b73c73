#include "cli/settings.hpp"

#include "policies/batching.hpp"
#include "policies/dispatch.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <type_traits>

#include <CLI/CLI.hpp>
#include <toml++/toml.h>

namespace troupe::cli {
namespace {

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  std::stringstream stream(text);
  for (std::string item; std::getline(stream, item, ',');)
    if (!item.empty()) items.push_back(item);
  return items;
}

/// As few digits as tell it from all others.
std::string shortest(double value) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

template <class Number>
result<> parse_number(const std::string& text, Number& out, Number low, Number high) {
  Number value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size() || value < low || value > high)
    return make_error(errc::invalid_argument, "'" + text + "' is not a whole number from " + std::to_string(low) +
                                                  " to " + std::to_string(high) + ".");
  out = value;
  return {};
}

result<> parse_decimal(const std::string& text, double& out, double low, double high) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size() || !(value >= low && value <= high))
    return make_error(errc::invalid_argument,
                      "'" + text + "' is not a number from " + shortest(low) + " to " + shortest(high) + ".");
  out = value;
  return {};
}

/// "a=2,b=0.5"
result<> parse_weights(const std::string& text, std::map<std::string, double>& weights) {
  for (const auto& item : split_list(text)) {
    const auto equals = item.rfind('=');
    if (equals == std::string::npos || equals == 0)
      return make_error(errc::invalid_argument, "'" + item + "' is no TENANT=WEIGHT.");
    double weight = 0;
    if (auto parsed = parse_decimal(item.substr(equals + 1), weight, 0.001, 1000); !parsed)
      return make_error(errc::invalid_argument, "'" + item + "': " + parsed.error().message);
    if (!weights.emplace(item.substr(0, equals), weight).second)
      return make_error(errc::invalid_argument, "'" + item.substr(0, equals) + "' has a weight already.");
  }
  return {};
}

result<> parse_seconds(const std::string& text, std::chrono::milliseconds& out) {
  std::uint32_t seconds = 0;
  if (auto parsed = parse_number<std::uint32_t>(text, seconds, 1, 86'400); !parsed) return parsed;
  out = std::chrono::seconds(seconds);
  return {};
}

result<> parse_milliseconds(const std::string& text, std::chrono::milliseconds& out) {
  std::uint32_t milliseconds = 0;
  if (auto parsed = parse_number<std::uint32_t>(text, milliseconds, 1, 3'600'000); !parsed) return parsed;
  out = std::chrono::milliseconds(milliseconds);
  return {};
}

result<> parse_flag(const std::string& text, bool& out) {
  if (text == "true" || text == "1" || text == "yes" || text == "on")
    out = true;
  else if (text == "false" || text == "0" || text == "no" || text == "off")
    out = false;
  else
    return make_error(errc::invalid_argument, "'" + text + "' is neither true nor false.");
  return {};
}

result<> parse_choice(const std::string& text, std::string& out, std::initializer_list<const char*> choices) {
  std::string list;
  for (const char* choice : choices) {
    if (text == choice) {
      out = text;
      return {};
    }
    list += (list.empty() ? "" : ", ") + std::string(choice[0] == '\0' ? "(nothing)" : choice);
  }
  return make_error(errc::invalid_argument, "'" + text + "' is none of: " + list + ".");
}

// A file whose first line is the key, so that it stays out of process lists and shell histories.
result<> read_key_file(const std::string& path, std::vector<std::string>& keys) {
  if (path.empty()) return {};
  std::ifstream in(path);
  if (!in) return make_error(errc::invalid_argument, "Cannot read the key file '" + path + "'.");
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) keys.push_back(line);
  if (keys.empty()) return make_error(errc::invalid_argument, "The key file '" + path + "' holds no key.");
  return {};
}

result<> read_template_file(const std::string& path, std::string& source) {
  if (path.empty()) return {};
  std::ifstream in(path);
  if (!in) return make_error(errc::invalid_argument, "Cannot read the chat template '" + path + "'.");
  std::stringstream all;
  all << in.rdbuf();
  source = all.str();
  return {};
}

using options = serve_options;
using text = const std::string&;

constexpr setting settings[] = {
    {"model", "-m", "model", "path", setting_kind::text, "smollm2", "A GGUF file, or the name of a pulled model.",
     [](options& o, text v) -> result<> { return o.model = v, result<>{}; }},
    {"served-model-name", "", "model", "served_name", setting_kind::list, "",
     "Names clients may use, separated by commas; the first is shown. Not set: the model's own.",
     [](options& o, text v) -> result<> { return o.served_model_names = split_list(v), result<>{}; }},
    {"embedding-model", "", "model", "embedding", setting_kind::text, "",
     "A model for /v1/embeddings beside the other: its folder, or the name of a pulled one (minilm). Not set: none.",
     [](options& o, text v) -> result<> { return o.embedding_model = v, result<>{}; }},
    {"chat-template", "", "model", "chat_template", setting_kind::text, "",
     "A file with a Jinja chat template. Not set: the model's own.",
     [](options& o, text v) { return read_template_file(v, o.node.chat_template); }},
    {"max-model-len", "--ctx-size,-c", "model", "max_len", setting_kind::number, "0",
     "Tokens of prompt and answer together; 0: what the model was trained for.",
     [](options& o, text v) { return parse_number<std::uint32_t>(v, o.node.max_model_len, 0, 1u << 20); }},
    {"host", "", "server", "host", setting_kind::text, "127.0.0.1", "Address to listen on.",
     [](options& o, text v) -> result<> { return o.http.host = v, result<>{}; }},
    {"port", "", "server", "port", setting_kind::number, "8000", "Port to listen on; 0: the system's choice.",
     [](options& o, text v) { return parse_number<std::uint16_t>(v, o.http.port, 0, 65535); }},
    {"threads", "-t", "worker", "threads", setting_kind::number, "0",
     "Threads that compute; 0: one for each processor.",
     [](options& o, text v) { return parse_number<std::uint32_t>(v, o.node.threads, 0, 1024); }},
    {"kernels", "", "worker", "kernels", setting_kind::text, "",
     "Instruction set: reference, avx2, avx512. Not set: the best there is.",
     [](options& o, text v) -> result<> { return o.node.isa = v, result<>{}; }},
    {"max-num-seqs", "", "worker", "max_num_seqs", setting_kind::number, "64", "Sequences computed in one step.",
     [](options& o, text v) { return parse_number<std::uint32_t>(v, o.node.max_num_seqs, 1, 4096); }},
    {"max-num-batched-tokens", "", "worker", "max_num_batched_tokens", setting_kind::number, "512",
     "Tokens computed in one step.",
     [](options& o, text v) { return parse_number<std::uint32_t>(v, o.node.max_num_batched_tokens, 1, 65536); }},
    {"interleaved-prefill-tokens", "", "worker", "interleaved_prefill_tokens", setting_kind::number, "128",
     "Prompt tokens computed in a step while other streams are decoding: bounds the gap between their tokens. "
     "Fewer far into a prompt, where each costs more.",
     [](options& o, text v) { return parse_number<std::uint32_t>(v, o.node.interleaved_prefill_tokens, 1, 65536); }},
    {"kv-cache-mib", "", "worker", "kv_cache_mib", setting_kind::number, "0",
     "Memory for K and V in MiB; 0: what max-num-seqs full contexts need, at most 512.",
     [](options& o, text v) -> result<> {
       std::uint64_t mib = 0;
       if (auto parsed = parse_number<std::uint64_t>(v, mib, 0, 1u << 20); !parsed) return parsed;
       o.node.kv_cache_bytes = mib << 20;
       return {};
     }},
    {"kv-cache-dtype", "", "worker", "kv_cache_dtype", setting_kind::text, "f16",
     "How K and V are kept: f16, f32 or q8_0.",
     [](options& o, text v) {
       return parse_choice(v, o.node.kv_cache_type, {"f16", "f32", "q8_0"});
     }},
    {"enable-prefix-caching", "", "worker", "prefix_caching", setting_kind::flag, "true",
     "Keep the KV of prompts for those that begin alike.",
     [](options& o, text v) { return parse_flag(v, o.node.enable_prefix_caching); }},
    {"num-speculative-tokens", "", "worker", "num_speculative_tokens", setting_kind::number, "8",
     "Tokens of an answer guessed ahead from what its prompt and itself said before, where that pays; "
     "the answer is the same. 0: none.",
     [](options& o, text v) { return parse_number<std::uint32_t>(v, o.node.num_speculative_tokens, 0, 32); }},
    {"max-running-seqs", "", "worker", "max_running_seqs", setting_kind::number, "0",
     "Sequences computed in one step, where that is less than max-num-seqs; 0: the same. With jitserve the others keep "
     "their place in memory.",
     [](options& o, text v) { return parse_number<std::uint32_t>(v, o.node.max_running_seqs, 0, 4096); }},
    {"scheduler", "", "scheduler", "policy", setting_kind::text, "fcfs",
     "Local order in a worker: fcfs, prefill_first, sjf, edf, urgency, las or jitserve (`troupe policy list`).",
     [](options& o, text v) -> result<> {
       if (auto policy = policies::make_batching_policy(v); !policy) return policy.error();
       o.node.scheduler = v;
       return {};
     }},
    {"length-quantile", "", "scheduler", "length_quantile", setting_kind::number, "0.5",
     "How cautiously a worker predicts answers' lengths: 0.9 is at most so long in nine of ten.",
     [](options& o, text v) { return parse_decimal(v, o.node.length_quantile, 0.01, 0.99); }},
    {"dispatch", "", "scheduler", "dispatch", setting_kind::text, "least_loaded",
     "Choice of worker: least_loaded, round_robin, least_memory, prefix_aware, llumnix or hexgen_text2sql.",
     [](options& o, text v) -> result<> {
       if (auto policy = policies::make_dispatch_policy(v); !policy) return policy.error();
       o.node.dispatch = v;
       return {};
     }},
    {"dispatch-alpha", "", "scheduler", "dispatch_alpha", setting_kind::number, "0.2",
     "Of hexgen_text2sql: 1 looks at a worker's speed alone, 0 at its load alone.",
     [](options& o, text v) { return parse_decimal(v, o.node.dispatching.alpha, 0, 1); }},
    {"priority-headroom", "", "scheduler", "priority_headroom", setting_kind::number, "0",
     "Of llumnix: KV blocks kept free beside a worker's urgent requests (those of a priority below 0).",
     [](options& o, text v) { return parse_number<std::uint32_t>(v, o.node.dispatching.headroom, 0, 1u << 20); }},
    {"worker-backlog", "", "scheduler", "worker_backlog", setting_kind::number, "0",
     "Requests a worker holds beyond those it runs; 0: what suits the policy, 256 for those that look ahead, else 16.",
     [](options& o, text v) { return parse_number<std::uint32_t>(v, o.node.worker_backlog, 0, 4096); }},
    {"rescheduling", "", "scheduler", "rescheduling", setting_kind::text, "none",
     "Who gives running requests away to other workers: none or llumnix.",
     [](options& o, text v) {
       return parse_choice(v, o.node.rescheduling, {"none", "llumnix"});
     }},
    {"migrate-below", "", "scheduler", "migrate_below", setting_kind::number, "3",
     "Of llumnix: workers of a freeness below give requests away (free KV blocks for each running request).",
     [](options& o, text v) { return parse_decimal(v, o.node.reschedule.migrate_below, -1e6, 1e6); }},
    {"migrate-above", "", "scheduler", "migrate_above", setting_kind::number, "3",
     "Of llumnix: workers of a freeness above take them.",
     [](options& o, text v) { return parse_decimal(v, o.node.reschedule.migrate_above, -1e6, 1e6); }},
    {"tenant-weights", "", "scheduler", "tenant_weights", setting_kind::list, "",
     "What share of the queue a tenant has, as TENANT=WEIGHT, separated by commas. Not set: all alike, 1.",
     [](options& o, text v) { return parse_weights(v, o.node.tenant_weights); }},
    {"min-workers", "", "scaling", "min_workers", setting_kind::number, "1",
     "Workers that are there however little there is to do; with max-workers.",
     [](options& o, text v) { return parse_number<std::uint32_t>(v, o.node.scaling.min_workers, 1, 1024); }},
    {"max-workers", "", "scaling", "max_workers", setting_kind::number, "0",
     "The head starts and stops further workers, up to so many in all; 0: it does not.",
     [](options& o, text v) { return parse_number<std::uint32_t>(v, o.node.scaling.max_workers, 0, 1024); }},
    {"scale-up-below", "", "scaling", "up_below", setting_kind::number, "10",
     "One worker more at a mean freeness below this (free KV blocks for each running request).",
     [](options& o, text v) { return parse_decimal(v, o.node.scaling.scale_up_below, -1e6, 1e6); }},
    {"scale-down-above", "", "scaling", "down_above", setting_kind::number, "60", "One worker less above this.",
     [](options& o, text v) { return parse_decimal(v, o.node.scaling.scale_down_above, -1e6, 1e6); }},
    {"scale-every-ms", "", "scaling", "every_ms", setting_kind::number, "10000",
     "Milliseconds between looks at whether a worker more or less is wanted.",
     [](options& o, text v) { return parse_milliseconds(v, o.node.scale_every); }},
    {"scale-hostfile", "", "scaling", "hostfile", setting_kind::text, "",
     "Hosts for further workers, as `troupe up --hostfile` has them. Not set: this machine.",
     [](options& o, text v) -> result<> { return o.scale_hostfile = v, result<>{}; }},
    {"scale-ssh", "", "scaling", "ssh", setting_kind::text, "ssh",
     "The command that starts a process on another host, with its options.",
     [](options& o, text v) -> result<> { return o.scale_ssh = v, result<>{}; }},
    {"scale-hook", "", "scaling", "hook", setting_kind::text, "",
     "A command that starts and stops further workers instead: it is called with `up NAME` and `down NAME`, and finds "
     "what the node must know in TROUPE_JOIN and TROUPE_NODE_NAME.",
     [](options& o, text v) -> result<> { return o.scale_hook = v, result<>{}; }},
    {"max-queue", "", "limits", "queue", setting_kind::number, "1024",
     "Requests waiting for a worker; more are answered 429.",
     [](options& o, text v) { return parse_number<std::uint32_t>(v, o.node.max_queue, 1, 1u << 20); }},
    {"max-connections", "", "limits", "connections", setting_kind::number, "1280",
     "Open connections; more are answered 503.",
     [](options& o, text v) { return parse_number<std::size_t>(v, o.http.limits.connections, 1, 1u << 20); }},
    {"max-body-bytes", "", "limits", "body_bytes", setting_kind::number, "1048576", "Size of a request's body.",
     [](options& o, text v) { return parse_number<std::size_t>(v, o.http.limits.body_bytes, 1024, 1u << 30); }},
    {"max-header-bytes", "", "limits", "header_bytes", setting_kind::number, "16384", "Size of a request's headers.",
     [](options& o, text v) { return parse_number<std::size_t>(v, o.http.limits.header_bytes, 1024, 1u << 20); }},
    {"header-timeout-s", "", "limits", "header_timeout_s", setting_kind::number, "10",
     "Seconds from a request's first byte to the end of its headers.",
     [](options& o, text v) { return parse_seconds(v, o.http.limits.header_timeout); }},
    {"body-timeout-s", "", "limits", "body_timeout_s", setting_kind::number, "30", "The same for its body.",
     [](options& o, text v) { return parse_seconds(v, o.http.limits.body_timeout); }},
    {"idle-timeout-s", "", "limits", "idle_timeout_s", setting_kind::number, "75",
     "Seconds a connection may rest between requests.",
     [](options& o, text v) { return parse_seconds(v, o.http.limits.idle_timeout); }},
    {"write-timeout-s", "", "limits", "write_timeout_s", setting_kind::number, "30",
     "Seconds after which a client that takes nothing is gone.",
     [](options& o, text v) { return parse_seconds(v, o.http.limits.stalled_write_timeout); }},
    {"ping-interval-s", "", "limits", "ping_interval_s", setting_kind::number, "15",
     "Seconds until a stream with nothing to say sends a comment.",
     [](options& o, text v) { return parse_seconds(v, o.http.limits.ping_interval); }},
    {"api-key", "", "security", "api_key", setting_kind::list, "",
     "Keys that clients must send one of, separated by commas.",
     [](options& o, text v) -> result<> {
       for (auto& key : split_list(v))
         o.api_keys.push_back(std::move(key));
       return {};
     }},
    {"api-key-file", "", "security", "api_key_file", setting_kind::text, "", "A file with one key a line.",
     [](options& o, text v) { return read_key_file(v, o.api_keys); }},
    {"allowed-origins", "", "security", "allowed_origins", setting_kind::list, "",
     "Web origins that may call the API (CORS); * for all.",
     [](options& o, text v) -> result<> { return o.allowed_origins = split_list(v), result<>{}; }},
    {"insecure-i-accept", "", "security", "insecure_i_accept", setting_kind::flag, "false",
     "Allow an address beyond this machine without an API key.",
     [](options& o, text v) { return parse_flag(v, o.insecure_bind); }},
    {"cluster-listen", "", "cluster", "listen", setting_kind::text, "",
     "HOST:PORT where other nodes of the cluster connect. Not set: a server of its own, or, of a node, any port.",
     [](options& o, text v) -> result<> { return o.node.cluster.listen = v, result<>{}; }},
    {"join", "", "cluster", "join", setting_kind::text, "", "HOST:PORT of the cluster's head.",
     [](options& o, text v) -> result<> { return o.node.cluster.join = v, result<>{}; }},
    {"local-worker", "", "cluster", "local_worker", setting_kind::flag, "true",
     "A head computes itself; without, all its workers are other nodes.",
     [](options& o, text v) { return parse_flag(v, o.node.local_worker); }},
    {"roles", "", "cluster", "roles", setting_kind::list, "worker", "What a node does: worker, prefill, decode.",
     [](options& o, text v) -> result<> { return o.node.cluster.roles = v, result<>{}; }},
    {"node-name", "", "cluster", "node_name", setting_kind::text, "",
     "A node's name, unique in the cluster. Not set: host name and process id.",
     [](options& o, text v) -> result<> { return o.node.cluster.node_name = v, result<>{}; }},
    {"cluster-name", "", "cluster", "name", setting_kind::text, "troupe",
     "Nodes of a cluster of another name are refused.",
     [](options& o, text v) -> result<> { return o.node.cluster.name = v, result<>{}; }},
    {"cluster-secret-file", "", "cluster", "secret_file", setting_kind::text, "",
     "The secret that all nodes share (`troupe secret FILE` makes one); needed beyond this machine.",
     [](options& o, text v) -> result<> { return o.node.cluster.secret_file = v, result<>{}; }},
    {"cluster-state-file", "", "cluster", "state_file", setting_kind::text, "",
     "Where the head keeps what it must know after a restart: an SQLite file, or etcd://HOST:PORT[,…]/PREFIX. Not set: "
     "nowhere.",
     [](options& o, text v) -> result<> { return o.node.cluster.state = v, result<>{}; }},
    {"trusted-fabric", "", "cluster", "trusted_fabric", setting_kind::flag, "false",
     "The network between the hosts is private: what the nodes say travels in the clear.",
     [](options& o, text v) { return parse_flag(v, o.node.cluster.trusted_fabric); }},
    {"transports", "", "cluster", "transports", setting_kind::text, "",
     "UCX's transports, as UCX_TLS. Not set: all that there are.",
     [](options& o, text v) -> result<> { return o.node.cluster.transports = v, result<>{}; }},
    {"beat-ms", "", "cluster", "beat_ms", setting_kind::number, "200", "Milliseconds between signs of life of a node.",
     [](options& o, text v) { return parse_milliseconds(v, o.node.cluster.beat_every); }},
    {"dead-ms", "", "cluster", "dead_ms", setting_kind::number, "1000",
     "Milliseconds without a sign of life after which a node is lost.",
     [](options& o, text v) { return parse_milliseconds(v, o.node.cluster.dead_after); }},
    {"spin-us", "", "cluster", "spin_us", setting_kind::number, "0",
     "Microseconds the transport polls before it sleeps: lower latency for a core that is to spare.",
     [](options& o, text v) -> result<> {
       std::uint32_t us = 0;
       if (auto parsed = parse_number<std::uint32_t>(v, us, 0, 1'000'000); !parsed) return parsed;
       o.node.cluster.spin = std::chrono::microseconds(us);
       return {};
     }},
    {"metrics-compat", "", "observe", "metrics_compat", setting_kind::text, "",
     "vllm: also expose the metrics under vLLM's names.",
     [](options& o, text v) { return parse_choice(v, o.metrics_compat, {"", "vllm"}); }},
    {"log-level", "", "observe", "log_level", setting_kind::text, "info", "debug, info, warning or error.",
     [](options& o, text v) {
       return parse_choice(v, o.log_level, {"debug", "info", "warning", "error"});
     }},
    {"log-format", "", "observe", "log_format", setting_kind::text, "text", "text, or json for one object a line.",
     [](options& o, text v) {
       return parse_choice(v, o.log_format, {"text", "json"});
     }},
    {"log-file", "", "observe", "log_file", setting_kind::text, "", "Write the log there instead of to stderr.",
     [](options& o, text v) -> result<> { return o.log_file = v, result<>{}; }},
};

const setting* find_setting(std::string_view section, std::string_view key) {
  const auto found =
      std::ranges::find_if(settings, [&](const setting& s) { return s.section == section && s.key == key; });
  return found == std::end(settings) ? nullptr : found;
}

std::string known_keys(std::string_view section) {
  std::string list;
  for (const auto& s : settings)
    if (section.empty() || s.section == section)
      list += (list.empty() ? "" : ", ") + std::string(s.section) + "." + std::string(s.key);
  return list.empty() ? known_keys("") : list;
}

result<std::string> text_of(const toml::node& node) {
  if (const auto* string = node.as_string()) return string->get();
  if (const auto* integer = node.as_integer()) return std::to_string(integer->get());
  if (const auto* decimal = node.as_floating_point()) return shortest(decimal->get());
  if (const auto* boolean = node.as_boolean()) return std::string(boolean->get() ? "true" : "false");
  if (const auto* array = node.as_array()) {
    std::string joined;
    for (const auto& item : *array) {
      const auto one = text_of(item);
      if (!one || item.is_array()) return make_error(errc::invalid_argument, "a list holds texts or numbers");
      joined += (joined.empty() ? "" : ",") + *one;
    }
    return joined;
  }
  return make_error(errc::invalid_argument, "a value is a text, a number, true, false or a list of them");
}

error configuration_error(const std::filesystem::path& file, const toml::source_region& at, std::string message) {
  return make_error(errc::invalid_argument,
                    file.string() + ":" + std::to_string(at.begin.line) + ": " + std::move(message), "config");
}

result<> read_file(const std::filesystem::path& file, std::map<std::string, setting_value>& values) {
  if (!std::filesystem::exists(file))
    return make_error(errc::invalid_argument, "There is no configuration file '" + file.string() + "'.", "config");
  toml::table root;
  try {
    root = toml::parse_file(file.string());
  } catch (const toml::parse_error& e) {
    return configuration_error(file, e.source(), std::string(e.description()));
  }
  for (const auto& [section, content] : root) {
    if (section == "node" || section == "plan") continue;  // of `troupe up` (launch_plan.hpp) and `troupe place`
    const auto* table = content.as_table();
    if (table == nullptr)
      return configuration_error(file, content.source(),
                                 "'" + std::string(section.str()) + "' stands outside of a section.");
    for (const auto& [key, node] : *table) {
      const setting* s = find_setting(section.str(), key.str());
      if (s == nullptr)
        return configuration_error(file, node.source(),
                                   "unknown key '" + std::string(section.str()) + "." + std::string(key.str()) +
                                       "'; there are: " + known_keys(section.str()) + ".");
      const auto value = text_of(node);
      if (!value) return configuration_error(file, node.source(), value.error().message + ".");
      values[std::string(s->flag)] = {*value, setting_source::file};
    }
  }
  return {};
}

result<> check_together(const node_options& node) {
  const auto refuse = [](const char* flag, const std::string& why) {
    return make_error(errc::invalid_argument, "--" + std::string(flag) + ": " + why, flag);
  };
  if (node.max_running_seqs > node.max_num_seqs)
    return refuse("max-running-seqs",
                  "no more sequences run than --max-num-seqs has room for, " + std::to_string(node.max_num_seqs) + ".");
  if (node.reschedule.migrate_below > node.reschedule.migrate_above)
    return refuse("migrate-below",
                  "a worker that takes requests must not be one that gives them away; "
                  "--migrate-above is at least as high.");
  const auto& scaling = node.scaling;
  if (scaling.max_workers == 0) return {};
  if (scaling.min_workers > scaling.max_workers)
    return refuse("min-workers", "that is more than --max-workers, " + std::to_string(scaling.max_workers) + ".");
  if (scaling.scale_up_below >= scaling.scale_down_above)
    return refuse("scale-up-below", "workers would come and go; --scale-down-above is higher.");
  return {};
}

}  // namespace

std::span<const setting> all_settings() {
  return settings;
}

std::string environment_variable(std::string_view flag) {
  std::string name = "TROUPE_" + std::string(flag);
  for (char& c : name)
    c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string_view to_string(setting_source source) {
  switch (source) {
    case setting_source::default_value:
      return "default";
    case setting_source::file:
      return "file";
    case setting_source::environment:
      return "environment";
    case setting_source::flag:
      return "flag";
  }
  return "unknown";
}

void given_flags::add_to(CLI::App& app) {
  for (const auto& s : settings) {
    const std::string name(s.flag);
    std::string names = "--" + name + (s.short_flags.empty() ? "" : "," + std::string(s.short_flags));
    const std::string help =
        std::string(s.help) + (s.default_text.empty() ? "" : " Default: " + std::string(s.default_text) + ".");
    if (s.kind == setting_kind::flag) {
      app.add_flag_callback(
          names, [this, name] { values_[name] = "true"; }, help);
      app.add_flag_callback(
          "--no-" + name, [this, name] { values_[name] = "false"; }, "The opposite of --" + name + ".");
      continue;
    }
    auto* option = app.add_option_function<std::vector<std::string>>(
        names,
        [this, name](const std::vector<std::string>& given) {
          std::string joined;
          for (const auto& value : given)
            joined += (joined.empty() ? "" : ",") + value;
          values_[name] = joined;
        },
        help);
    option->type_name(s.kind == setting_kind::number ? "N" : "TEXT");
    option->expected(s.kind == setting_kind::list ? -1 : 1);
  }
}

std::optional<std::string> given_flags::find(std::string_view flag) const {
  const auto found = values_.find(flag);
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

result<std::map<std::string, setting_value>> collect_settings(const given_flags& flags,
                                                              const std::filesystem::path& file) {
  std::map<std::string, setting_value> values;
  for (const auto& s : settings)
    values[std::string(s.flag)] = {std::string(s.default_text), setting_source::default_value};
  if (!file.empty())
    if (auto read = read_file(file, values); !read) return read.error();
  for (const auto& s : settings) {
    if (const char* variable = std::getenv(environment_variable(s.flag).c_str()))
      values[std::string(s.flag)] = {variable, setting_source::environment};
    if (auto given = flags.find(s.flag)) values[std::string(s.flag)] = {*std::move(given), setting_source::flag};
  }
  return values;
}

result<serve_options> make_serve_options(const std::map<std::string, setting_value>& values) {
  serve_options made;
  for (const auto& s : settings) {
    const auto& value = values.at(std::string(s.flag));
    if (auto applied = s.apply(made, value.text); !applied) {
      const std::string origin(to_string(value.source));
      return make_error(errc::invalid_argument,
                        "--" + std::string(s.flag) + " (from the " + origin + "): " + applied.error().message,
                        std::string(s.flag));
    }
  }
  if (auto checked = check_together(made.node); !checked) return checked.error();
  return made;
}

}  // namespace troupe::cli
