// The head's cast: actor system, gateway, scheduler, supervisor with a worker and, in a cluster, the registry, around
// one model. What `troupe serve`, the in-process client and the tests start. No CAF in this header.
#pragma once

#include "actors/cluster_options.hpp"
#include "actors/worker/worker_options.hpp"
#include "base/generation_service.hpp"
#include "policies/dispatch.hpp"
#include "policies/llumnix_rescheduling.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace troupe {

class chat_template;
class metrics;
class tokenizer;
class vocabulary_grammars;

/// Who has further worker nodes when the scheduler wants them. Called by actors: returns at once, from any thread.
struct worker_source {
  std::function<void()> start;                        // one more node; it joins by itself
  std::function<void(const std::string& name)> stop;  // a node that was told to stop: see to it that it does
  std::function<bool(const std::string& name)> owns;  // whether it was started here; others are never stopped
};

struct node_options : worker_options {
  std::string dispatch = "least_loaded";      // global order
  policies::dispatch_settings dispatching{};  // its constants; `headroom` is that of rescheduling and scaling, too
  std::uint32_t worker_backlog = 0;           // requests a worker holds beyond what it runs; 0: as suits the policies
  std::string rescheduling = "none";          // or llumnix
  policies::rescheduling_settings reschedule{};
  std::map<std::string, double> tenant_weights;
  policies::scaling_settings scaling{.max_workers = 0};  // max_workers 0: as many workers as there are
  std::chrono::milliseconds scale_every{10'000};
  worker_source source{};          // for scaling
  std::uint32_t max_queue = 1024;  // requests waiting for a worker
  std::string chat_template;       // source text; empty: the model's own
  std::string metrics_model_name;  // the label of metrics under vLLM's names; empty: the model's own
  bool local_worker = true;        // false: all workers are other nodes
  cluster_options cluster;         // with an address to listen on, other nodes may join
};

class node {
 public:
  /// Loads the model and starts the actors; with a local worker, waits until it is able. Errors: an unreadable or
  /// unsupported model, unknown names, impossible sizes, an address or a secret that cannot be used.
  static result<std::unique_ptr<node>> start(const node_options& options);
  /// Ends the actors; running requests end as cancelled.
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  generation_service& service();
  std::shared_ptr<generation_service> shared_service();
  std::shared_ptr<const tokenizer> shared_tokenizer() const;
  /// Where the workers' grammars are compiled, so that others may find out before what is wrong with one.
  std::shared_ptr<vocabulary_grammars> shared_grammars() const;
  /// nullptr when neither the model nor the options have one.
  std::shared_ptr<const chat_template> shared_chat_template() const;
  /// Whether the chat template speaks of a variable, say "tools".
  bool chat_template_uses(std::string_view variable) const;
  std::shared_ptr<metrics> shared_metrics() const;
  /// Brings what the transport counts into the metrics.
  void refresh_metrics() const;
  std::uint32_t max_context() const;
  /// Where other nodes may join; empty when they may not.
  std::string cluster_address() const;
  /// Waits for an operator's `down` of the whole cluster, at most so long. True when it came.
  bool wait_for_stop(std::chrono::milliseconds longest) const;
  /// general.name of the model file, or its stem.
  const std::string& model_name() const;

 private:
  struct implementation;
  explicit node(std::unique_ptr<implementation> made);
  std::unique_ptr<implementation> implementation_;
};

}  // namespace troupe
