#include "actors/worker_node.hpp"

#include "actors/cast_system.hpp"
#include "actors/host_name.hpp"
#include "actors/member/member.hpp"
#include "actors/supervisor/supervisor.hpp"
#include "actors/worker/engine_factory.hpp"
#include "base/signal_box.hpp"
#include "runtime/observe/log.hpp"
#include "transport/ucx/socket_address.hpp"

#include <utility>

#include <unistd.h>

namespace troupe {
namespace {

transport::node_id to_node_id(const std::vector<std::byte>& bytes) {
  transport::node_id id;
  if (bytes.size() == id.bytes.size()) std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

}  // namespace

struct worker_node::implementation {
  worker_node_options options;
  transport::address head;
  std::shared_ptr<engine_factory> engines;
  std::unique_ptr<cast_system> cast;
  caf::actor member;
  std::shared_ptr<signal_box<std::string>> ended = std::make_shared<signal_box<std::string>>();
  join_cluster introduction;

  member_config make_member_config() {
    auto* const bridge = cast->bridge();
    member_config config;
    config.introduction = introduction;
    config.find_registry = [bridge, where = head](const caf::actor& asking) {
      bridge->resolve(where, "registry", [asking](const result<caf::actor>& registry) {
        if (registry)
          caf::anon_send(asking, registry_found{}, *registry);
        else
          caf::anon_send(asking, registry_missing{registry.error().message});
      });
    };
    config.start_workers = [engines = engines, roles = introduction.roles, bulk = make_bulk_port(*bridge),
                            stages = options.worker.relocation_stages, batching = options.worker.batching](
                               caf::local_actor* parent, worker_id id, const caf::actor& scheduler) {
      supervisor_config supervising;
      supervising.scheduler = scheduler;
      supervising.first_worker = id;
      supervising.roles = roles;
      supervising.bulk = bulk;
      supervising.relocation_stages = stages;
      supervising.batching = batching;
      supervising.make_driver = [engines](worker_id worker, engine_driver::listener report) {
        return engines->make_driver(worker, std::move(report));
      };
      return caf::actor(parent->home_system().spawn(supervisor_actor, supervising));
    };
    config.on_members = [bridge](const members_changed& all) {
      for (const auto& of : all.members)
        if (const auto where = transport::parse_address(of.address)) bridge->learn(to_node_id(of.node), *where);
    };
    config.on_gone = [ended = ended](const std::string& why) { ended->put(why); };
    return config;
  }

  ~implementation() {
    if (!cast) return;
    caf::anon_send_exit(member, caf::exit_reason::user_shutdown);
    member = nullptr;
    cast.reset();  // waits for all actors, and they for their engines
  }
};

worker_node::worker_node(std::unique_ptr<implementation> made) : implementation_(std::move(made)) {}
worker_node::~worker_node() = default;

result<std::unique_ptr<worker_node>> worker_node::start(const worker_node_options& options) {
  auto made = std::make_unique<implementation>();
  made->options = options;
  const auto head = transport::parse_address(options.cluster.join);
  if (!head) return make_error(head.error().code, head.error().message, "join");
  made->head = *head;
  const auto roles = parse_roles(options.cluster.roles);
  if (!roles)
    return make_error(errc::invalid_argument,
                      "'" + options.cluster.roles + "' names no roles; there are worker, prefill and decode.", "roles");
  auto engines = engine_factory::load(options.worker);
  if (!engines) return engines.error();
  made->engines = *std::move(engines);
  if (auto prepared = made->engines->prepare(); !prepared) return prepared.error();

  // Other workers send K and V here, so a node listens even when nobody asked for an address.
  auto cluster = options.cluster;
  if (cluster.listen.empty()) {
    const auto host = transport::find_local_host_towards(*head);
    if (!host) return make_error(host.error().code, host.error().message, "join");
    cluster.listen = to_string(transport::address{*host, 0});
  }
  auto cast = cast_system::make_networked(cluster);
  if (!cast) return cast.error();
  made->cast = *std::move(cast);

  auto& introduction = made->introduction;
  introduction.host = host_name();
  introduction.process = static_cast<std::uint32_t>(::getpid());
  introduction.name =
      cluster.node_name.empty() ? introduction.host + "-" + std::to_string(introduction.process) : cluster.node_name;
  introduction.address = to_string(made->cast->listening());
  introduction.roles = *roles;
  introduction.content = made->engines->content();
  made->member = made->cast->system().spawn(member_actor, made->make_member_config());
  return std::unique_ptr<worker_node>(new worker_node(std::move(made)));
}

std::optional<std::string> worker_node::wait_for_end(std::chrono::milliseconds longest) const {
  return implementation_->ended->wait_for(longest);
}

const std::string& worker_node::name() const {
  return implementation_->introduction.name;
}

}  // namespace troupe
