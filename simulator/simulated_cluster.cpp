#include "simulator/simulated_cluster.hpp"

#include "actors/worker/engine_runner.hpp"
#include "base/assert.hpp"
#include "base/random.hpp"
#include "runtime/observe/log.hpp"
#include "simulator/actor_state.hpp"
#include "simulator/length_oracle.hpp"
#include "simulator/simulated_cast.hpp"
#include "simulator/simulated_clients.hpp"
#include "simulator/simulated_driver.hpp"
#include "simulator/simulated_node.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

namespace troupe::simulator {
namespace {

constexpr std::chrono::milliseconds sample_every{250};

/// A node of the cluster; number 0 is the head.
struct cluster_node {
  instance_kind kind;
  std::unique_ptr<simulated_node> node;  // nullptr: stopped
  std::shared_ptr<bulk_port> bulk;
  simulated_driver* driver = nullptr;
  simulated_engine* engine = nullptr;
  instance_outcome outcome;
  time_point next_sample{};
  bool dirty = true;
};

/// K and V here are a few bytes a block: how much each stands for.
double bulk_weight(double kv_bytes_per_token) {
  constexpr double bytes_here = 2.0 * sizeof(std::uint64_t) / kernels::kv_block_tokens;
  return kv_bytes_per_token / bytes_here;
}

transport::network_model network_of(const simulated_cluster_options& options) {
  auto model = options.network;
  model.bulk_weight = bulk_weight(options.kv_bytes_per_token);
  return model;
}

class simulated_cluster {
 public:
  simulated_cluster(const simulated_cluster_options& options, const workload& asked);
  ~simulated_cluster();
  simulation_outcome run();

 private:
  void start_head();
  void start_instance(const instance_kind& kind);
  void stop_instance(std::size_t at);
  std::unique_ptr<engine_driver> make_driver(std::size_t at, worker_id worker, engine_driver::listener report);
  std::shared_ptr<policies::length_predictor> make_predictor() const;
  simulated_node_options node_options(std::size_t at) const;

  void act();
  bool act(cluster_node& of);
  bool advance();
  void sample(cluster_node& of);
  std::size_t find_worker(worker_id worker) const;
  void wait_for_instances();
  std::uint32_t max_context() const;

  const simulated_cluster_options& options_;
  const workload& asked_;
  time_point now_{std::chrono::seconds(1000)};
  time_point begin_ = now_;
  transport::memory_network network_;
  std::vector<cluster_node> nodes_;
  std::vector<std::pair<worker_id, std::size_t>> workers_;  // on which node each is
  std::vector<time_point> starts_;                          // of instances that were asked for
  std::vector<std::size_t> stops_;                          // nodes to be stopped when nobody acts
  std::shared_ptr<policies::length_predictor> lengths_;
  head_cast head_;
  std::unique_ptr<simulated_clients> clients_;
  std::uint64_t n_messages_ = 0;
  std::vector<time_point> due_;  // reused by advance
};

simulated_cluster::simulated_cluster(const simulated_cluster_options& options, const workload& asked)
    : options_(options), asked_(asked), network_([this] { return now_; }, network_of(options)) {
  // Once: other simulations may be logging.
  static std::once_flag silenced;
  std::call_once(silenced, [] { (void)configure_log({log_format::text, log_level::off, {}}); });
  nodes_.reserve(4096);  // drivers and their callbacks name them by index, nodes stay where they are
  lengths_ = make_predictor();
  start_head();
  for (const auto& kind : options_.instances)
    for (std::uint32_t i = 0; i < kind.count; ++i)
      start_instance(kind);
}

simulated_cluster::~simulated_cluster() {
  head_ = {};
  for (auto& each : nodes_)
    each.node.reset();
}

std::uint32_t simulated_cluster::max_context() const {
  std::uint32_t least = options_.instances.front().max_context;
  for (const auto& kind : options_.instances)
    least = std::min(least, kind.max_context);
  return least;
}

std::shared_ptr<policies::length_predictor> simulated_cluster::make_predictor() const {
  const auto true_length = [this](request_id request) { return clients_->answer_length(request); };
  switch (options_.lengths) {
    case length_knowledge::none:
      return nullptr;
    case length_knowledge::learned:
      return std::make_shared<policies::length_histogram>();
    case length_knowledge::noisy:
      return std::make_shared<length_oracle>(true_length, options_.length_sigma, options_.seed);
    case length_knowledge::exact:
      return std::make_shared<length_oracle>(true_length, 0.0, options_.seed);
  }
  return nullptr;
}

simulated_node_options simulated_cluster::node_options(std::size_t at) const {
  simulated_node_options made;
  // Loopback, so that no handshake asks for a secret.
  made.host =
      "127." + std::to_string(at / 65'536) + "." + std::to_string(at / 256 % 256) + "." + std::to_string(at % 256 + 1);
  made.seed = random_bits(options_.seed, at);
  // Nobody dies here: beats would only cost time.
  made.beat_every = std::chrono::seconds(60);
  made.dead_after = std::chrono::seconds(600);
  return made;
}

void simulated_cluster::start_head() {
  cluster_node& head = nodes_.emplace_back();
  head.node = std::make_unique<simulated_node>(
      network_, [this] { return now_; }, node_options(0));
  scheduler_config scheduling;
  scheduling.dispatch = std::move(*policies::make_dispatch_policy(options_.dispatch, options_.dispatching));
  scheduling.dispatching = options_.dispatching;
  scheduling.queue_capacity = options_.queue_capacity;
  scheduling.worker_backlog = options_.worker_backlog;
  scheduling.rescheduling = options_.rescheduling;
  scheduling.reschedule_every = options_.reschedule_every;
  scheduling.scaling = options_.scaling;
  scheduling.scale_every = options_.scale_every;
  scheduling.start_worker = [this] { starts_.push_back(now_ + options_.start_time); };
  scheduling.stop_worker = [this](worker_id worker) { stops_.push_back(find_worker(worker)); };
  scheduling.lengths = lengths_;
  scheduling.tenant_weights = options_.tenant_weights;
  head_ = simulator::start_head(*head.node, std::move(scheduling), nullptr);
}

std::size_t simulated_cluster::find_worker(worker_id worker) const {
  const auto found = std::ranges::find(workers_, worker, &std::pair<worker_id, std::size_t>::first);
  TROUPE_ASSERT(found != workers_.end(), "a worker that no node has");
  return found->second;
}

void simulated_cluster::start_instance(const instance_kind& kind) {
  TROUPE_ASSERT(nodes_.size() < nodes_.capacity(), "too many instances were started");
  const std::size_t at = nodes_.size();
  cluster_node& starting = nodes_.emplace_back();
  starting.kind = kind;
  starting.outcome.name = kind.name + "-" + std::to_string(at);
  starting.outcome.up_since_s = std::chrono::duration<double>(now_ - begin_).count();
  starting.outcome.up_until_s = -1;
  starting.outcome.blocks_total = kind.blocks;
  starting.node = std::make_unique<simulated_node>(
      network_, [this] { return now_; }, node_options(at));
  starting.bulk = make_bulk_port(starting.node->bridge());
  worker_cast cast;
  cast.name = starting.outcome.name;
  cast.roles = kind.roles;
  cast.head = nodes_[0].node->where();
  if (options_.relocations) cast.bulk = starting.bulk;
  cast.make_driver = [this, at](worker_id worker, engine_driver::listener report) {
    return make_driver(at, worker, std::move(report));
  };
  start_member(*starting.node, cast);
}

void simulated_cluster::stop_instance(std::size_t at) {
  cluster_node& of = nodes_[at];
  if (!of.node) return;
  of.outcome.up_until_s = std::chrono::duration<double>(now_ - begin_).count();
  network_.crash(of.node->host());
  of.node.reset();
  of.bulk.reset();
  of.driver = nullptr;
  of.engine = nullptr;
  nodes_[0].dirty = true;
}

std::unique_ptr<engine_driver> simulated_cluster::make_driver(std::size_t at, worker_id worker,
                                                              engine_driver::listener report) {
  cluster_node& of = nodes_[at];
  workers_.emplace_back(worker, at);
  simulated_engine_options made;
  made.blocks = of.kind.blocks;
  made.max_context = of.kind.max_context;
  made.max_batched_tokens = of.kind.max_batched_tokens;
  made.max_sequences = of.kind.max_sequences;
  made.attention_context = of.kind.attention_context;
  made.prefix_caching = of.kind.prefix_caching;
  made.cost = of.kind.cost;
  made.watch_kv = false;
  made.answer_length = [this](request_id request) { return clients_->answer_length(request); };
  made.on_preempt = [this, at](request_id request) {
    ++nodes_[at].outcome.preemptions;
    clients_->note_preemption(request);
  };
  auto engine = std::make_unique<simulated_engine>(made);
  of.engine = engine.get();
  engine_runner_options running;
  running.interleaved_prefill_tokens = of.kind.interleaved_prefill_tokens;
  running.max_running = of.kind.max_running;
  running.lengths = lengths_;
  running.length_quantile = options_.length_quantile;
  auto runner = std::make_unique<engine_runner>(
      worker, std::move(engine), std::move(*policies::make_batching_policy(options_.local_order, options_.batching)),
      std::move(running));
  auto driver = std::make_unique<simulated_driver>(
      std::move(runner), std::move(report),
      [this, at] {
        cluster_node& of_step = nodes_[at];
        const duration cost = of_step.engine->last_step_cost();
        of_step.outcome.busy_s += std::chrono::duration<double>(cost).count();
        of_step.outcome.steps += cost.count() > 0 ? 1 : 0;
        return cost;
      },
      [this, at] { nodes_[at].driver = nullptr; });
  of.driver = driver.get();
  return driver;
}

/// Until nobody has anything to do now.
void simulated_cluster::act() {
  for (bool acted = true; acted;) {
    acted = false;
    for (auto& each : nodes_)
      if (each.node && std::exchange(each.dirty, false)) acted |= act(each);
    for (const std::size_t at : std::exchange(stops_, {}))
      stop_instance(at);
  }
}

bool simulated_cluster::act(cluster_node& of) {
  of.node->set_time(now_);
  bool acted = false;
  for (bool again = true; again; acted |= again) {
    again = false;
    for (; of.node->has_job(); again = true, ++n_messages_)
      of.node->run_job();
    again |= of.node->turn_bridge(now_);
    if (of.driver != nullptr && of.driver->next_turn(now_) <= now_) {
      of.driver->turn(now_);
      sample(of);
      again = true;
    }
  }
  return acted;
}

void simulated_cluster::sample(cluster_node& of) {
  if (now_ < of.next_sample || of.engine == nullptr) return;
  of.next_sample = now_ + sample_every;
  instance_sample taken;
  taken.at_s = std::chrono::duration<double>(now_ - begin_).count();
  for (const auto& s : of.engine->sequences())
    ++(s.admitted ? taken.running : taken.waiting);
  taken.blocks_used = of.engine->blocks_used();
  of.outcome.samples.push_back(taken);
}

/// To the next event. False when there is none.
bool simulated_cluster::advance() {
  time_point next = clients_ ? clients_->next_arrival() : time_point::max();
  for (const auto when : starts_)
    next = std::min(next, when);
  due_.clear();
  for (auto& each : nodes_) {
    time_point when = time_point::max();
    if (each.node) when = each.node->next_event();
    if (each.driver != nullptr) when = std::min(when, each.driver->next_turn(now_));
    due_.push_back(when);
    next = std::min(next, when);
  }
  if (next == time_point::max()) return false;
  now_ = std::max(next, now_ + std::chrono::nanoseconds(1));
  for (std::size_t at = 0; at < due_.size(); ++at)
    if (due_[at] <= now_) nodes_[at].dirty = true;
  std::erase_if(starts_, [&](time_point when) {
    if (when > now_) return false;
    start_instance(options_.instances.front());
    return true;
  });
  if (clients_ && clients_->next_arrival() <= now_) {
    clients_->send_due();
    nodes_[0].dirty = true;
  }
  return true;
}

/// All instances are members, and the scheduler knows how much room they have.
void simulated_cluster::wait_for_instances() {
  const auto ready = [&] {
    const auto& workers = state_of<scheduler_state>(head_.scheduler)->workers;
    return workers.size() + 1 == nodes_.size() &&
           std::ranges::all_of(workers, [](const auto& w) { return w.second.has_reported(); });
  };
  for (act(); !ready(); act())
    TROUPE_ASSERT(advance() && now_ < time_point(std::chrono::seconds(2000)), "the instances do not come up");
}

simulation_outcome simulated_cluster::run() {
  const auto started = std::chrono::steady_clock::now();
  wait_for_instances();
  begin_ = now_;
  n_messages_ = 0;
  clients_ = std::make_unique<simulated_clients>(
      asked_, *head_.service, [this] { return now_; }, begin_, max_context(), options_.seed);
  clients_->send_due();
  nodes_[0].dirty = true;
  for (act(); !clients_->all_ended() && now_ - begin_ < options_.limit; act())
    if (!advance()) break;

  simulation_outcome outcome;
  outcome.duration_s = std::chrono::duration<double>(now_ - begin_).count();
  outcome.calls = clients_->take_outcomes();
  outcome.trace_hash = clients_->trace_hash();
  outcome.messages = n_messages_;
  for (const auto& [id, worker] : state_of<scheduler_state>(head_.scheduler)->workers) {
    outcome.moved += worker.report().relocations.moved;
    outcome.moves_refused += worker.report().relocations.refused + worker.report().relocations.failed;
  }
  for (std::size_t at = 1; at < nodes_.size(); ++at) {
    auto& of = nodes_[at].outcome;
    of.up_since_s = std::max(of.up_since_s, 0.0);
    if (of.up_until_s < 0) of.up_until_s = outcome.duration_s;
    outcome.instances.push_back(std::move(of));
  }
  outcome.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return outcome;
}

}  // namespace

simulation_outcome simulate(const simulated_cluster_options& options, const workload& asked) {
  return simulated_cluster(options, asked).run();
}

}  // namespace troupe::simulator
