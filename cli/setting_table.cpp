// The table of all settings.
#include "cli/setting_values.hpp"
#include "cli/settings.hpp"
#include "policies/batching.hpp"
#include "policies/dispatch.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace troupe::cli {
namespace {

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

}  // namespace

std::span<const setting> all_settings() {
  return settings;
}

}  // namespace troupe::cli
