#include "transport/bridge/bridge.hpp"

#include "base/assert.hpp"
#include "transport/bridge/proxy.hpp"

#include <cstring>
#include <future>
#include <utility>

#include <caf/detail/sync_request_bouncer.hpp>
#include <unistd.h>

namespace troupe::transport {
namespace {

enum class kind : std::uint8_t { letter = 1, monitor, down, link, unlink, resolve, resolved };

constexpr std::uint8_t has_path = 1;

void bounce(const caf::strong_actor_ptr& sender, caf::message_id id) {
  caf::detail::sync_request_bouncer refuse{caf::make_error(caf::sec::request_receiver_down)};
  refuse(sender, id);
}

// One for each thread that sends: it grows to the largest message and stays.
wire::byte_buffer& scratch() {
  thread_local wire::byte_buffer buffer;
  buffer.clear();
  return buffer;
}

}  // namespace

struct bridge::message_head {
  enum kind kind = kind::letter;
  std::uint8_t flags = 0;
  std::uint16_t reserved = 0;
  std::uint32_t reserved_too = 0;
  std::uint64_t message_id = 0;
  std::uint64_t source = 0;
  std::uint64_t target = 0;
};

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
    : system_(system), options_(std::move(options)), unit_(&system) {}

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
  unit_.hand_over();
  proxies_.clear();
  mesh_.reset();
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
    } else if (now - last_event >= options_->spin) {
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
  head.kind = kind::resolve;
  head.message_id = question;
  send_text(at, head, name);
}

void bridge::take_resolve(const peer_pointer& from, const message_head& head, std::span<const std::byte> content) {
  wire::reader reader(content);
  std::string name;
  message_head answer;
  answer.kind = kind::resolved;
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
  thread_local const bridge* last_bridge = nullptr;
  if (last == local->id() && last_bridge == this) return;
  if (!system_.registry().get(local->id())) system_.registry().put(local->id(), local);
  last = local->id();
  last_bridge = this;
}

caf::strong_actor_ptr bridge::resolve(const node_id& node, std::uint64_t id) {
  if (node == self_) return find_local(id);
  const auto at = mesh_->find_or_connect(node);
  return at ? find_or_make_proxy(at, id) : nullptr;
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
  head.kind = kind::monitor;
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
  std::vector<std::function<void(result<caf::actor>)>> unanswered;
  std::erase_if(resolving_, [&](auto& question) {
    if (question.second.at != lost) return false;
    unanswered.push_back(std::move(question.second.done));
    return true;
  });
  for (const auto& done : unanswered)
    done(make_error(errc::unavailable, "The node was lost: " + std::string(why) + "."));
}

void bridge::on_refusal(std::string_view who, std::string_view why) {
  if (options_->on_event) options_->on_event("refused", who, why);
}

// --- out ----------------------------------------------------------------------------------------------------------

void bridge::send(const peer_pointer& to, const message_head& head, std::span<const std::byte> content) {
  auto& buffer = scratch();
  std::memcpy(buffer.extend(sizeof head), &head, sizeof head);
  buffer.append(content);
  mesh_->send(to, buffer.bytes());
}

void bridge::send_text(const peer_pointer& to, const message_head& head, const std::string& text) {
  auto& buffer = scratch();
  std::memcpy(buffer.extend(sizeof head), &head, sizeof head);
  wire::writer(buffer).write(text);
  mesh_->send(to, buffer.bytes());
}

void bridge::send_letter(const peer_pointer& to, std::uint64_t target, caf::mailbox_element& letter) {
  auto& buffer = scratch();
  message_head head;
  head.flags = letter.stages.empty() ? 0 : has_path;
  head.message_id = letter.mid.integer_value();
  head.source = letter.sender && letter.sender->node() == system_.node() ? letter.sender->id() : 0;
  head.target = target;
  std::memcpy(buffer.extend(sizeof head), &head, sizeof head);
  bool sendable = true;
  if (!letter.stages.empty()) {
    caf::message_builder path;
    for (const auto& stage : letter.stages)
      path.append(stage);
    sendable = options_->codec.encode(path.to_message(), to->node(), *this, buffer);
  }
  sendable = sendable && options_->codec.encode(letter.content(), to->node(), *this, buffer);
  if (!sendable) {
    if (options_->on_event) options_->on_event("not sent", to_string(to->node()), caf::to_string(letter.content()));
    return bounce(letter.sender, letter.mid);
  }
  if (head.source != 0) {
    expose(letter.sender);
    if (letter.mid.is_request()) requests_.add(to.get(), letter.sender, letter.mid.response_id());
  }
  if (!mesh_->send(to, buffer.bytes())) {
    requests_.remove(to.get(), head.source, letter.mid.response_id());
    bounce(letter.sender, letter.mid);
  }
}

void bridge::send_link(const peer_pointer& to, bool link, caf::strong_actor_ptr local, std::uint64_t remote) {
  mesh_->post([=, this] {
    expose(local);
    message_head head;
    head.kind = link ? kind::link : kind::unlink;
    head.source = local->id();
    head.target = remote;
    send(to, head);
  });
}

// --- in -----------------------------------------------------------------------------------------------------------

bool bridge::on_message(const peer_pointer& from, std::span<const std::byte> message) {
  message_head head;
  if (message.size() < sizeof head) return false;
  std::memcpy(&head, message.data(), sizeof head);
  const auto content = message.subspan(sizeof head);
  bool fine = true;
  switch (head.kind) {
    case kind::letter:
      take_letter(from, head, content, fine);
      break;
    case kind::monitor:
      take_monitor(from, head.target);
      break;
    case kind::down:
      take_down(from, head.source, content);
      break;
    case kind::link:
    case kind::unlink:
      take_link(from, head);
      break;
    case kind::resolve:
      take_resolve(from, head, content);
      break;
    case kind::resolved:
      take_resolved(from, head);
      break;
    default:
      fine = false;
  }
  return fine;
}

void bridge::take_letter(const peer_pointer& from, const message_head& head, std::span<const std::byte> content,
                         bool& fine) {
  const auto id = caf::make_message_id(head.message_id);
  caf::strong_actor_ptr source;
  if (head.source != 0) source = find_or_make_proxy(from, head.source);
  if (id.is_response()) requests_.remove(from.get(), head.target, id);
  const auto target = find_local(head.target);
  if (!target) return bounce(source, id);
  caf::mailbox_element::forwarding_stack stages;
  caf::message decoded;
  std::string failure;
  if ((head.flags & has_path) != 0) {
    caf::message path;
    std::size_t used = 0;
    fine = options_->codec.decode_first(content, from->node(), *this, path, used, failure);
    for (std::size_t i = 0; fine && i < path.size(); ++i)
      if (path.match_element<caf::strong_actor_ptr>(i)) stages.push_back(path.get_as<caf::strong_actor_ptr>(i));
    content = content.subspan(used);
  }
  if (!fine || !options_->codec.decode(content, from->node(), *this, decoded, failure)) {
    // A type that this version does not know is no attack: the letter is answered, the session goes on.
    if (options_->on_event) options_->on_event("not understood", to_string(from->node()), failure);
    fine = true;
    return bounce(source, id);
  }
  target->enqueue(caf::make_mailbox_element(std::move(source), id, std::move(stages), std::move(decoded)), &unit_);
}

void bridge::take_monitor(const peer_pointer& from, std::uint64_t target) {
  const auto tell = [this, from, target](const caf::error& reason) {
    auto& buffer = scratch();
    message_head head;
    head.kind = kind::down;
    head.source = target;
    std::memcpy(buffer.extend(sizeof head), &head, sizeof head);
    options_->codec.encode(caf::make_message(reason), from->node(), *this, buffer);
    if (running_.load(std::memory_order_relaxed)) mesh_->send(from, buffer.bytes());
  };
  const auto local = find_local(target);
  if (!local) return tell(caf::exit_reason::unknown);
  local->get()->attach_functor(tell);
}

void bridge::take_down(const peer_pointer& from, std::uint64_t id, std::span<const std::byte> content) {
  caf::message reason;
  std::string failure;
  const bool decoded = options_->codec.decode(content, from->node(), *this, reason, failure);
  const auto of = proxies_.find(from.get());
  if (of == proxies_.end()) return;
  const auto found = of->second.find(id);
  if (found == of->second.end()) return;
  const auto gone = std::move(found->second);
  of->second.erase(found);
  const bool told = decoded && reason.match_elements<caf::error>();
  static_cast<caf::actor_proxy*>(gone->get())
      ->kill_proxy(&unit_, told ? reason.get_as<caf::error>(0) : caf::make_error(caf::exit_reason::unknown));
}

void bridge::take_link(const peer_pointer& from, const message_head& head) {
  const auto remote = find_or_make_proxy(from, head.source);
  const auto local = find_local(head.target);
  auto* const stands_for = static_cast<caf::actor_proxy*>(remote->get());
  if (!local) {
    message_head answer;
    answer.kind = kind::down;
    answer.source = head.target;
    return send(from, answer);
  }
  if (head.kind == kind::link) {
    stands_for->add_link(local->get());
  } else {
    stands_for->remove_link(local->get());
  }
}

}  // namespace troupe::transport
