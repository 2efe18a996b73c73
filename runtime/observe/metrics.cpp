#include "runtime/observe/metrics.hpp"

#include "runtime/observe/capped_label.hpp"
#include "runtime/observe/process_usage.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace troupe {

namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;
using prometheus::MetricFamily;
using prometheus::Registry;

// From one token of a small model to a long answer of a large one.
const Histogram::BucketBoundaries latency_buckets = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2,
                                                     0.5,   1,     2,     5,    10,   30,   60,  120};

constexpr std::array<std::pair<std::string_view, std::string_view>, 12> vllm_names = {
    {{"troupe_requests_running", "vllm:num_requests_running"},
     {"troupe_requests_waiting", "vllm:num_requests_waiting"},
     {"troupe_kv_usage_ratio", "vllm:kv_cache_usage_perc"},
     {"troupe_prefix_cache_queries_total", "vllm:prefix_cache_queries_total"},
     {"troupe_prefix_cache_hits_total", "vllm:prefix_cache_hits_total"},
     {"troupe_spec_decode_draft_tokens_total", "vllm:spec_decode_num_draft_tokens_total"},
     {"troupe_spec_decode_accepted_tokens_total", "vllm:spec_decode_num_accepted_tokens_total"},
     {"troupe_prompt_tokens_total", "vllm:prompt_tokens_total"},
     {"troupe_generation_tokens_total", "vllm:generation_tokens_total"},
     {"troupe_time_to_first_token_seconds", "vllm:time_to_first_token_seconds"},
     {"troupe_inter_token_latency_seconds", "vllm:inter_token_latency_seconds"},
     {"troupe_e2e_request_latency_seconds", "vllm:e2e_request_latency_seconds"}}};

Family<Counter>& counters(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}
Counter& counter(Registry& registry, const char* name, const char* help) {
  return counters(registry, name, help).Add({});
}
Family<Gauge>& gauges(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}
Gauge& gauge(Registry& registry, const char* name, const char* help) {
  return gauges(registry, name, help).Add({});
}
Histogram& latency(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, latency_buckets);
}

/// The family under vLLM's name, for the model, or nothing when vLLM has none like it.
std::optional<MetricFamily> vllm_alias(const MetricFamily& family, const std::string& model_name) {
  const auto* alias =
      std::find_if(vllm_names.begin(), vllm_names.end(), [&](const auto& n) { return n.first == family.name; });
  if (alias == vllm_names.end()) return std::nullopt;
  MetricFamily copy = family;
  copy.name = alias->second;
  for (auto& metric : copy.metric)
    metric.label.push_back({"model_name", model_name});
  return copy;
}

}  // namespace

struct metrics::state {
  explicit state(metrics_options given) : options(std::move(given)) {
    gauges(registry, "troupe_build_info", "Always 1; the label says which version of Troupe runs.")
        .Add({{"version", options.version}})
        .Set(1);
  }

  const metrics_options options;
  Registry registry;

  Gauge& running = gauge(registry, "troupe_requests_running", "Requests that are in the running batch now.");
  Gauge& waiting = gauge(registry, "troupe_requests_waiting", "Requests that wait in the queue now.");
  Gauge& kv_usage =
      gauge(registry, "troupe_kv_usage_ratio", "Share of the KV blocks held by running requests, from 0 to 1.");
  Family<Gauge>& kv_blocks = gauges(registry, "troupe_kv_blocks",
                                    "KV blocks by state: all there are (total), held by running requests (used), held "
                                    "only by the prefix cache (cached).");
  Gauge& kv_total = kv_blocks.Add({{"state", "total"}});
  Gauge& kv_used = kv_blocks.Add({{"state", "used"}});
  Gauge& kv_cached = kv_blocks.Add({{"state", "cached"}});
  Counter& prefix_queries = counter(registry, "troupe_prefix_cache_queries_total",
                                    "Prompt tokens, in tokens, looked up in the prefix cache.");
  Counter& prefix_hits = counter(registry, "troupe_prefix_cache_hits_total",
                                 "Prompt tokens, in tokens, whose KV came from the prefix cache.");
  Counter& guesses_tried = counter(registry, "troupe_spec_decode_draft_tokens_total",
                                   "Tokens, in tokens, guessed ahead by prompt lookup and computed.");
  Counter& guesses_right = counter(registry, "troupe_spec_decode_accepted_tokens_total",
                                   "Guessed tokens, in tokens, that were drawn: each saved a step.");
  Family<Counter>& relocations = counters(registry, "troupe_relocations_total",
                                          "Hand-offs and migrations between workers, in requests, by outcome: moved, "
                                          "refused (the other worker was full; the "
                                          "request stayed), failed (it stayed).");
  Counter& relocations_moved = relocations.Add({{"outcome", "moved"}});
  Counter& relocations_refused = relocations.Add({{"outcome", "refused"}});
  Counter& relocations_failed = relocations.Add({{"outcome", "failed"}});
  Counter& relocation_pause = counter(registry, "troupe_relocation_pause_seconds_total",
                                      "Time, in seconds, in which no worker computed requests that moved.");
  Counter& prompt_tokens =
      counter(registry, "troupe_prompt_tokens_total", "Tokens of accepted prompts, in tokens, cached ones included.");
  Counter& generation_tokens =
      counter(registry, "troupe_generation_tokens_total", "Tokens generated for answers, in tokens.");

  // Made when there is a transport: a server of its own has none.
  struct transport_metrics {
    explicit transport_metrics(Registry& registry)
        : nodes(gauge(registry, "troupe_transport_nodes", "Nodes that are connected now.")),
          nodes_lost(counter(registry, "troupe_transport_nodes_lost_total", "Nodes whose session ended.")),
          bytes(counters(registry, "troupe_transport_bytes_total", "Bytes of frames, by direction.")),
          refusals(counters(registry, "troupe_transport_refusals_total", "Frames and handshakes refused, by reason.")) {
    }
    Gauge& nodes;
    Counter& nodes_lost;
    Family<Counter>& bytes;
    Family<Counter>& refusals;
  };
  std::mutex transport_mutex;
  std::optional<transport_metrics> transport;

  Histogram& queue_time =
      latency(registry, "troupe_queue_time_seconds", "Seconds from a request's arrival until a worker took it.");
  Histogram& first_token =
      latency(registry, "troupe_time_to_first_token_seconds", "Seconds from a request's arrival to its first token.");
  Histogram& inter_token = latency(registry, "troupe_inter_token_latency_seconds",
                                   "Seconds between two tokens of one answer that follow each other.");
  Histogram& e2e =
      latency(registry, "troupe_e2e_request_latency_seconds", "Seconds from a request's arrival to its last token.");
  Family<Counter>& requests =
      counters(registry, "troupe_requests_total", "Requests that ended, in requests, by outcome.");
  Family<Counter>& rejected = counters(registry, "troupe_rejected_requests_total",
                                       "Requests refused before they reached an engine, in requests, by reason.");

  Family<Counter>& http_requests =
      counters(registry, "troupe_http_requests_total", "HTTP requests answered, in requests, by path and status.");
  Gauge& http_connections = gauge(registry, "troupe_http_connections", "HTTP connections open now.");
  Counter& worker_restarts = counter(registry, "troupe_worker_restarts_total",
                                     "Times, in restarts, that the supervisor started a failed worker anew.");

  Gauge& resident_memory =
      gauge(registry, "process_resident_memory_bytes", "Resident memory of this process in bytes.");
  Counter& cpu = counter(registry, "process_cpu_seconds_total", "User and system time of this process in seconds.");
  Gauge& start_time =
      gauge(registry, "process_start_time_seconds", "When this process began, in seconds since the Unix epoch.");

  capped_label outcomes;
  capped_label reasons;
  capped_label http_series;

  std::mutex process_mutex;  // two scrapes at once must not both add the same processor time

  void read_process() {
    const std::lock_guard lock(process_mutex);
    const process_usage usage = read_process_usage();
    resident_memory.Set(usage.resident_bytes);
    cpu.Increment(std::max(0.0, usage.cpu_seconds - cpu.Value()));
    start_time.Set(usage.start_unix_seconds);
  }
};

metrics::metrics(metrics_options options) : state_(std::make_unique<state>(std::move(options))) {}
metrics::~metrics() = default;

void metrics::set_requests(std::size_t running, std::size_t waiting) {
  state_->running.Set(static_cast<double>(running));
  state_->waiting.Set(static_cast<double>(waiting));
}

void metrics::set_kv_blocks(const kv_block_counts& blocks) {
  state_->kv_total.Set(static_cast<double>(blocks.total));
  state_->kv_used.Set(static_cast<double>(blocks.used));
  state_->kv_cached.Set(static_cast<double>(blocks.cached));
  state_->kv_usage.Set(blocks.total == 0 ? 0.0 : static_cast<double>(blocks.used) / static_cast<double>(blocks.total));
}

void metrics::add_prefix_cache_lookup(std::uint64_t queried_tokens, std::uint64_t hit_tokens) {
  state_->prefix_queries.Increment(static_cast<double>(queried_tokens));
  state_->prefix_hits.Increment(static_cast<double>(hit_tokens));
}

void metrics::add_guesses(std::uint64_t tried_tokens, std::uint64_t right_tokens) {
  state_->guesses_tried.Increment(static_cast<double>(tried_tokens));
  state_->guesses_right.Increment(static_cast<double>(right_tokens));
}

void metrics::add_relocations(const relocation_outcomes& more) {
  state_->relocations_moved.Increment(static_cast<double>(more.moved));
  state_->relocations_refused.Increment(static_cast<double>(more.refused));
  state_->relocations_failed.Increment(static_cast<double>(more.failed));
  state_->relocation_pause.Increment(std::chrono::duration<double>(more.pause).count());
}

void metrics::add_prompt_tokens(std::uint64_t tokens) {
  state_->prompt_tokens.Increment(static_cast<double>(tokens));
}
void metrics::add_generation_tokens(std::uint64_t tokens) {
  state_->generation_tokens.Increment(static_cast<double>(tokens));
}

void metrics::observe_queue_time(seconds time) {
  state_->queue_time.Observe(time.count());
}
void metrics::observe_time_to_first_token(seconds time) {
  state_->first_token.Observe(time.count());
}
void metrics::observe_inter_token_latency(seconds time) {
  state_->inter_token.Observe(time.count());
}
void metrics::observe_e2e_request_latency(seconds time) {
  state_->e2e.Observe(time.count());
}

void metrics::count_request(std::string_view outcome) {
  state_->requests.Add({{"outcome", state_->outcomes(outcome)}}).Increment();
}

void metrics::count_rejected_request(std::string_view reason) {
  state_->rejected.Add({{"reason", state_->reasons(reason)}}).Increment();
}

void metrics::count_http_request(std::string_view path, int status) {
  // The pair is capped, not each label: a thousand paths with forty statuses each would be forty thousand series.
  const std::string code = status >= 100 && status <= 599 ? std::to_string(status) : "other";
  const std::string_view shown = path.substr(0, capped_label::max_value_bytes - code.size() - 1);
  const std::string pair = state_->http_series(code + " " + std::string(shown));
  state_->http_requests.Add({{"path", pair == "other" ? pair : pair.substr(code.size() + 1)}, {"status", code}})
      .Increment();
}

void metrics::set_http_connections(std::size_t open) {
  state_->http_connections.Set(static_cast<double>(open));
}
void metrics::count_worker_restart() {
  state_->worker_restarts.Increment();
}

void metrics::set_transport(const transport_counts& counts) {
  std::lock_guard lock(state_->transport_mutex);
  auto& made = state_->transport;
  if (!made) made.emplace(state_->registry);
  // The transport counts by itself; what it has more than before is added here.
  const auto raise = [](Counter& counter, std::uint64_t to) {
    counter.Increment(std::max(0.0, static_cast<double>(to) - counter.Value()));
  };
  made->nodes.Set(static_cast<double>(counts.nodes));
  raise(made->nodes_lost, counts.nodes_lost);
  raise(made->bytes.Add({{"direction", "sent"}}), counts.bytes_sent);
  raise(made->bytes.Add({{"direction", "received"}}), counts.bytes_received);
  for (const auto& [reason, n] : counts.refusals)
    raise(made->refusals.Add({{"reason", reason}}), n);
}

std::string metrics::expose(bool vllm_aliases) const {
  state_->read_process();
  std::vector<MetricFamily> families = state_->registry.Collect();
  if (vllm_aliases) {
    const std::size_t own = families.size();
    for (std::size_t i = 0; i < own; ++i) {
      if (auto alias = vllm_alias(families[i], state_->options.model_name)) families.push_back(*std::move(alias));
    }
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace troupe
