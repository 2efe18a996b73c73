#include "transport/bridge/bridge.hpp"

#include "base/assert.hpp"
#include "base/thread_slice.hpp"
#include "transport/bridge/message_head.hpp"
#include "transport/bridge/proxy.hpp"
#include "transport/bridge/remote_monitor.hpp"

#include <cstring>
#include <future>
#include <utility>

#include <unistd.h>

namespace troupe::transport {
namespace {

std::atomic<std::uint64_t> n_bridges{0};

// How many times longer than after other events the thread polls while bulk memory is on its way: a part takes longer
// than a message, and to be woken for each costs a fifth of a MiB's transfer within a host.
constexpr int bulk_patience = 20;

}  // namespace

// --- the module ---------------------------------------------------------------------------------------------------

void bridge::install(caf::actor_system_config& config, std::shared_ptr<bridge_options> options) {
  config.module_factories.push_back([options = std::move(options)](caf::actor_system& system) {
    return static_cast<caf::actor_system::module*>(new bridge(system, options));
  });
}

bridge& bridge::of(caf::actor_system& system) {
  return static_cast<bridge&>(system.network_manager());
}

bridge::bridge(caf::actor_system& system, std::shared_ptr<bridge_options> options)
    : system_(system), options_(std::move(options)), instance_(++n_bridges), unit_(&system) {}

bridge::~bridge() = default;

void bridge::init(caf::actor_system_config&) {
  caf::node_id::default_data::host_id_type host;
  const auto filled = options_->mesh.fill_random(std::as_writable_bytes(std::span(host)));
  TROUPE_ASSERT(filled.has_value(), "a node has an id of its own");
  const caf::node_id node{caf::make_counted<caf::node_id::default_data>(static_cast<std::uint32_t>(::getpid()), host)};
  assign_node(system_, node);
  self_ = to_node_id(node);
}

void bridge::start() {
  auto fabric = options_->make_fabric();
  TROUPE_ASSERT(fabric.has_value(), fabric.has_value() ? "" : fabric.error().message.c_str());
  auto mesh_options = options_->mesh;
  mesh_options.self = self_;
  mesh_.reset(new transport::mesh(*std::move(fabric), std::move(mesh_options), *this));  // a private base
  running_ = true;
  if (!options_->own_thread) return mesh_->adopt_thread();
  thread_ = std::thread([this] {
    take_short_turns();
    system_.thread_started();
    mesh_->adopt_thread();
    run();
    system_.thread_terminates();
  });
}

void bridge::stop() {
  if (!running_.exchange(false)) return;
  mesh_->post([] {});
  if (thread_.joinable()) thread_.join();
  // The mesh itself stays: actors that still run may send, to peers that are gone.
  mesh_->stop();
  for (auto& [question, asked] : std::exchange(resolving_, {}))
    asked.done(make_error(errc::unavailable, "This node is shutting down."));
  // Actors may end after this bridge, when it cannot tell any more.
  for (const auto& [by, actors] : monitored_)
    detach_monitors(by, actors);
  unit_.hand_over();
  proxies_.clear();
  requests_.clear();
  std::lock_guard lock(names_mutex_);
  names_.clear();
}

bool bridge::turn(time_point now) {
  const bool any = mesh_->poll(now);
  return unit_.run(options_->inline_budget) || any;
}

void bridge::run() {
  auto last_event = std::chrono::steady_clock::now();
  while (running_.load(std::memory_order_relaxed)) {
    const auto now = std::chrono::steady_clock::now();
    if (turn(now)) {
      last_event = now;
    } else if (now - last_event >= (mesh_->is_sending_bulk() ? bulk_patience : 1) * options_->spin) {
      mesh_->sleep();
    } else {
      __builtin_ia32_pause();
    }
  }
}

// --- names and nodes ----------------------------------------------------------------------------------------------

result<address> bridge::listen(const address& where) {
  if (!options_->own_thread) return mesh_->listen(where);
  std::promise<result<address>> bound;
  mesh_->post([&] { bound.set_value(mesh_->listen(where)); });
  return bound.get_future().get();
}

void bridge::publish(const std::string& name, const caf::actor& actor) {
  expose(caf::actor_cast<caf::strong_actor_ptr>(actor));
  std::lock_guard lock(names_mutex_);
  names_.insert_or_assign(name, actor);
}

void bridge::learn(const node_id& node, const address& where) {
  mesh_->post([=, this] { mesh_->learn(node, where); });
}

void bridge::disconnect(const node_id& node) {
  mesh_->post([=, this] {
    for (const auto& [at, of] : proxies_)
      if (at->node() == node) return mesh_->disconnect(*at);
  });
}

void bridge::resolve(const address& where, const std::string& name, std::function<void(result<caf::actor>)> done) {
  mesh_->post([=, this] {
    mesh_->connect(where, [=, this](const result<peer_pointer>& at) {
      if (!at) return done(at.error());
      ask(*at, name, done);
    });
  });
}

void bridge::ask(const peer_pointer& at, const std::string& name, std::function<void(result<caf::actor>)> done) {
  const std::uint64_t question = next_question_++;
  resolving_.emplace(question, resolving{at, std::move(done)});
  message_head head;
  head.kind = message_kind::resolve;
  head.message_id = question;
  send_text(at, head, name);
}

void bridge::take_resolve(const peer_pointer& from, const message_head& head, std::span<const std::byte> content) {
  wire::reader reader(content);
  std::string name;
  message_head answer;
  answer.kind = message_kind::resolved;
  answer.message_id = head.message_id;
  if (reader.read(name)) {
    std::lock_guard lock(names_mutex_);
    if (const auto found = names_.find(name); found != names_.end()) answer.source = found->second.id();
  }
  send(from, answer);
}

void bridge::take_resolved(const peer_pointer& from, const message_head& head) {
  const auto found = resolving_.find(head.message_id);
  if (found == resolving_.end() || found->second.at != from) return;
  const auto done = std::move(found->second.done);
  resolving_.erase(found);
  if (head.source == 0) return done(make_error(errc::not_found, "The node publishes no actor of that name."));
  done(caf::actor_cast<caf::actor>(find_or_make_proxy(from, head.source)));
}

// --- handles ------------------------------------------------------------------------------------------------------

void bridge::expose(const caf::strong_actor_ptr& local) {
  // Actors keep their ids for good, so the last one exposed by this thread need not be looked up.
  thread_local caf::actor_id last = 0;
  thread_local std::uint64_t last_bridge = 0;
  if (last == local->id() && last_bridge == instance_) return;
  if (!system_.registry().get(local->id())) system_.registry().put(local->id(), local);
  last = local->id();
  last_bridge = instance_;
}

caf::strong_actor_ptr bridge::resolve(const node_id& node, std::uint64_t id) {
  if (node == self_) return find_local(id);
  const auto at = mesh_->find_or_connect(node);
  return at ? find_or_make_proxy(at, id) : nullptr;
}

bool bridge::has_proxy(const peer_pointer& at, std::uint64_t id) const {
  const auto of = proxies_.find(at.get());
  return of != proxies_.end() && of->second.contains(id);
}

caf::strong_actor_ptr bridge::find_or_make_proxy(const peer_pointer& at, std::uint64_t id) {
  auto& known = proxies_[at.get()][id];
  if (known) return known;
  caf::node_id::default_data::host_id_type host;
  std::uint32_t process = 0;
  std::memcpy(host.data(), at->node().bytes.data(), host.size());
  std::memcpy(&process, at->node().bytes.data() + host.size(), sizeof process);
  const caf::node_id node{caf::make_counted<caf::node_id::default_data>(process, host)};
  caf::actor_config config;
  known =
      caf::make_actor<proxy, caf::strong_actor_ptr>(static_cast<caf::actor_id>(id), node, &system_, config, *this, at);
  message_head head;
  head.kind = message_kind::monitor;
  head.target = id;
  send(at, head);
  return known;
}

void bridge::on_peer_lost(const peer_pointer& lost, std::string_view why) {
  if (options_->on_event) options_->on_event("node lost", to_string(lost->node()), why);
  for (const auto& [requester, response] : requests_.take(lost.get()))
    requester->enqueue(nullptr, response, caf::make_message(caf::make_error(caf::sec::request_receiver_down)), &unit_);
  if (const auto found = proxies_.find(lost.get()); found != proxies_.end()) {
    const proxies all = std::move(found->second);
    proxies_.erase(found);
    for (const auto& [id, actor] : all)
      static_cast<caf::actor_proxy*>(actor->get())->kill_proxy(&unit_, caf::exit_reason::remote_link_unreachable);
  }
  if (auto monitors = monitored_.extract(lost.get())) detach_monitors(lost.get(), monitors.mapped());
  std::vector<std::function<void(result<caf::actor>)>> unanswered;
  std::erase_if(resolving_, [&](auto& question) {
    if (question.second.at != lost) return false;
    unanswered.push_back(std::move(question.second.done));
    return true;
  });
  for (const auto& done : unanswered)
    done(make_error(errc::unavailable, "The node was lost: " + std::string(why) + "."));
}

void bridge::detach_monitors(const peer* by, const std::unordered_set<std::uint64_t>& actors) {
  for (const std::uint64_t id : actors)
    if (const auto local = find_local(id)) local->get()->detach(remote_monitor::token{by});
}

void bridge::on_refusal(std::string_view who, std::string_view why) {
  if (options_->on_event) options_->on_event("refused", who, why);
}

}  // namespace troupe::transport
