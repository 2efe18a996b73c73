#include "actors/node.hpp"

#include "actors/cast_system.hpp"
#include "actors/gateway/gateway.hpp"
#include "actors/host_name.hpp"
#include "actors/registry/etcd_registry_store.hpp"
#include "actors/registry/registry.hpp"
#include "actors/scheduler/scheduler.hpp"
#include "actors/supervisor/supervisor.hpp"
#include "actors/worker/engine_factory.hpp"
#include "base/build_info.hpp"
#include "base/signal_box.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/observe/log.hpp"
#include "runtime/observe/metrics.hpp"
#include "runtime/template/chat_template.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include <unistd.h>

namespace troupe {
namespace {

result<std::shared_ptr<const chat_template>> read_template(const node_options& options, const gguf_file& file) {
  const auto own = file.get_string("tokenizer.chat_template");
  if (options.chat_template.empty() && !own) return std::shared_ptr<const chat_template>{};
  auto parsed = chat_template::parse(options.chat_template.empty() ? *own : options.chat_template);
  if (parsed) return parsed;
  // A model must not become unusable because its template wants more than we do; a template given by hand must be
  // right.
  if (!options.chat_template.empty()) return parsed.error();
  log(log_level::warning, "node",
      "the model's chat template cannot be used, so that chats are refused: " + parsed.error().message);
  return std::shared_ptr<const chat_template>{};
}

result<std::shared_ptr<registry_store>> open_store(const std::string& where, const std::string& address) {
  if (where.empty()) return std::shared_ptr<registry_store>(make_memory_registry_store());
  const etcd_head_options head{.holder = host_name() + ", process " + std::to_string(::getpid()) + ", listening at " +
                                         address};
  auto opened = names_etcd(where) ? open_etcd_registry_store(where, head) : open_sqlite_registry_store(where);
  if (!opened)
    return make_error(opened.error().code, opened.error().message,
                      opened.error().code == errc::invalid_argument ? "cluster-state-file" : "");
  std::shared_ptr<registry_store> store = *std::move(opened);
  // What cannot be read is better known now than when the first node joins.
  if (auto known = store->load(); !known) return known.error();
  return store;
}

// Nodes that are started beside the head have joined by then.
constexpr std::chrono::milliseconds first_look{3000};

/// Which node has which number: the scheduler knows workers by number, operators and sources of workers by name.
class member_names {
 public:
  void open(caf::actor registry) {
    std::lock_guard lock(mutex_);
    registry_ = std::move(registry);
  }
  void add(const member_info& of) {
    std::lock_guard lock(mutex_);
    names_[of.number] = of.name;
  }
  std::string name_of(worker_id worker) const {
    std::lock_guard lock(mutex_);
    const auto found = names_.find(worker.value);
    return found == names_.end() ? std::string() : found->second;
  }
  void tell_registry(stop_node stop) const {
    std::lock_guard lock(mutex_);
    if (registry_) caf::anon_send(registry_, std::move(stop));
  }

 private:
  mutable std::mutex mutex_;
  caf::actor registry_;
  std::map<std::uint32_t, std::string> names_;
};

}  // namespace

struct node::implementation {
  node_options options;
  std::shared_ptr<engine_factory> engines;
  std::shared_ptr<const chat_template> chat;
  std::string template_source;
  std::shared_ptr<troupe::metrics> figures;

  std::unique_ptr<cast_system> cast;
  caf::actor scheduler, gateway, supervisor, registry;
  std::shared_ptr<gateway_service> service;
  std::shared_ptr<signal_box<bool>> stopped = std::make_shared<signal_box<bool>>();
  std::shared_ptr<member_names> members = std::make_shared<member_names>();

  scheduler_config make_scheduler_config(std::shared_ptr<const policies::dispatch_policy> dispatch) const {
    scheduler_config config{.dispatch = std::move(dispatch), .queue_capacity = options.max_queue, .metrics = figures};
    config.dispatching = options.dispatching;
    config.local_order = options.scheduler;
    config.backlog_as_suits = options.worker_backlog == 0;
    if (options.worker_backlog != 0) config.worker_backlog = options.worker_backlog;
    config.rescheduling_later = options.reschedule;
    config.rescheduling_later.headroom = options.dispatching.headroom;
    if (options.rescheduling == "llumnix") config.rescheduling = config.rescheduling_later;
    config.lengths = std::make_shared<policies::length_histogram>();  // of the scheduler's thread alone
    config.tenant_weights = options.tenant_weights;
    if (options.scaling.max_workers == 0) return config;
    config.scaling = options.scaling;
    config.scale_every = options.scale_every;
    config.scale_after = std::max(std::chrono::milliseconds(0), first_look - options.scale_every);
    config.start_worker = options.source.start;
    config.may_stop = [members = members, owns = options.source.owns](worker_id worker) {
      const auto name = members->name_of(worker);
      return owns && !name.empty() && owns(name);
    };
    config.stop_worker = [members = members, stop = options.source.stop](worker_id worker) {
      const auto name = members->name_of(worker);
      if (name.empty()) return;
      members->tell_registry(stop_node{name});
      if (stop) stop(name);
    };
    return config;
  }

  void spawn_cast(std::shared_ptr<const policies::dispatch_policy> dispatch) {
    auto& system = cast->system();
    scheduler = system.spawn(scheduler_actor, make_scheduler_config(std::move(dispatch)));
    const auto board = std::make_shared<status_board>();
    gateway = system.spawn(gateway_actor, gateway_config{scheduler, board, figures});
    service = std::make_shared<gateway_service>(gateway, board);
    if (options.local_worker) spawn_worker();
  }

  void spawn_worker() {
    supervisor_config supervising;
    supervising.scheduler = scheduler;
    supervising.make_driver = [engines = engines](worker_id worker, engine_driver::listener report) {
      return engines->make_driver(worker, std::move(report));
    };
    supervising.batching = options.batching;
    if (cast->bridge() != nullptr) supervising.bulk = make_bulk_port(*cast->bridge());
    supervising.on_restart = [figures = figures] { figures->count_worker_restart(); };
    supervisor = cast->system().spawn(supervisor_actor, supervising);
  }

  result<> open_cluster() {
    auto store = open_store(options.cluster.state, to_string(cast->listening()));
    if (!store) return store.error();
    registry_config config;
    config.scheduler = scheduler;
    config.content = engines->content();
    config.store = *std::move(store);
    config.node_of = [](const caf::actor& member) {
      const auto id = transport::bridge::node_of(member);
      return std::vector<std::byte>(id.bytes.begin(), id.bytes.end());
    };
    config.stop_head = [stopped = stopped] { stopped->put(true); };
    config.on_joined = [members = members](const member_info& of) { members->add(of); };
    registry = cast->system().spawn<caf::detached>(registry_actor, config);  // its store blocks
    members->open(registry);
    cast->bridge()->publish("registry", registry);
    cast->bridge()->publish("scheduler", scheduler);
    return {};
  }

  // The first report of the worker says that it is able; without it a request sent at once would be refused.
  bool wait_until_ready(std::chrono::milliseconds longest) const {
    const auto end = std::chrono::steady_clock::now() + longest;
    while (!service->status().ready) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  ~implementation() {
    if (!cast) return;
    members->open(nullptr);
    for (const auto& actor : {supervisor, gateway, registry, scheduler})
      if (actor) caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    service.reset();
    supervisor = gateway = registry = scheduler = caf::actor{};
    cast.reset();  // waits for all actors, and they for their engines
  }
};

node::node(std::unique_ptr<implementation> made) : implementation_(std::move(made)) {}
node::~node() = default;

result<std::unique_ptr<node>> node::start(const node_options& options) {
  auto made = std::make_unique<implementation>();
  made->options = options;
  auto dispatch = policies::make_dispatch_policy(options.dispatch, options.dispatching);
  if (!dispatch) return dispatch.error();
  auto engines = engine_factory::load(options);
  if (!engines) return engines.error();
  made->engines = *std::move(engines);
  const auto& file = *made->engines->file();
  auto chat = read_template(options, file);
  if (!chat) return chat.error();
  made->chat = *std::move(chat);
  made->template_source = options.chat_template.empty()
                              ? std::string(file.get_string("tokenizer.chat_template").value_or(""))
                              : options.chat_template;
  made->figures = std::make_shared<metrics>(metrics_options{std::string(version()), options.metrics_model_name.empty()
                                                                                        ? made->engines->model_name()
                                                                                        : options.metrics_model_name});
  if (options.local_worker)
    if (auto prepared = made->engines->prepare(); !prepared) return prepared.error();

  const bool heads_a_cluster = !options.cluster.listen.empty();
  if (heads_a_cluster) {
    auto cast = cast_system::make_networked(options.cluster);
    if (!cast) return cast.error();
    made->cast = *std::move(cast);
  } else {
    made->cast = cast_system::make_local();
  }
  made->spawn_cast(*std::move(dispatch));
  if (heads_a_cluster)
    if (auto opened = made->open_cluster(); !opened) return opened.error();
  if (options.local_worker && !made->wait_until_ready(std::chrono::seconds(10)))
    return make_error(errc::unavailable, "The worker did not become ready within 10 s.");
  return std::unique_ptr<node>(new node(std::move(made)));
}

generation_service& node::service() {
  return *implementation_->service;
}
std::shared_ptr<generation_service> node::shared_service() {
  return implementation_->service;
}
std::shared_ptr<const tokenizer> node::shared_tokenizer() const {
  return implementation_->engines->vocabulary();
}
std::shared_ptr<vocabulary_grammars> node::shared_grammars() const {
  return implementation_->engines->grammars();
}
std::shared_ptr<const chat_template> node::shared_chat_template() const {
  return implementation_->chat;
}
std::shared_ptr<metrics> node::shared_metrics() const {
  return implementation_->figures;
}
void node::refresh_metrics() const {
  auto* const bridge = implementation_->cast->bridge();
  if (bridge == nullptr) return;
  const auto& counted = bridge->mesh().counters();
  const std::uint64_t lost = counted.peers_lost;
  implementation_->figures->set_transport({counted.peers_up - std::min<std::uint64_t>(counted.peers_up, lost), lost,
                                           counted.bytes_sent, counted.bytes_received, counted.refusals()});
}
std::uint32_t node::max_context() const {
  return implementation_->engines->max_context();
}
std::string node::cluster_address() const {
  const auto& where = implementation_->cast->listening();
  return where.port == 0 ? std::string() : to_string(where);
}
bool node::wait_for_stop(std::chrono::milliseconds longest) const {
  return implementation_->stopped->wait_for(longest).has_value();
}
const std::string& node::model_name() const {
  return implementation_->engines->model_name();
}

bool node::chat_template_uses(std::string_view variable) const {
  return implementation_->chat && implementation_->template_source.find(variable) != std::string::npos;
}

}  // namespace troupe
