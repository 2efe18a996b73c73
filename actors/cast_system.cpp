#include "actors/cast_system.hpp"

#include "base/thread_slice.hpp"
#include "runtime/observe/log.hpp"
#include "transport/security/cluster_secret.hpp"
#include "transport/security/secure_random.hpp"
#include "transport/ucx/ucx_fabric.hpp"

#include <string>
#include <utility>

namespace troupe {
namespace {

// The actors only pass messages on; the engine has threads of its own.
constexpr std::size_t actor_threads = 2;

/// Nobody beyond this machine is let in without proof.
result<std::shared_ptr<const transport::cluster_secret>> load_secret(const cluster_options& options) {
  using secret_pointer = std::shared_ptr<const transport::cluster_secret>;
  if (!options.secret_file.empty()) {
    auto secret = transport::read_cluster_secret(options.secret_file);
    if (!secret) return make_error(secret.error().code, secret.error().message, "cluster-secret-file");
    return secret_pointer(std::make_shared<const transport::cluster_secret>(*std::move(secret)));
  }
  for (const auto& [flag, text] : {std::pair{"cluster-listen", options.listen}, std::pair{"join", options.join}}) {
    if (text.empty()) continue;
    const auto where = transport::parse_address(text);
    if (!where) return make_error(where.error().code, where.error().message, flag);
    if (transport::is_loopback(where->host)) continue;
    return make_error(errc::invalid_argument,
                      "A cluster beyond this machine (--" + std::string(flag) + " " + text +
                          ") needs a secret that its nodes share: make one with `troupe secret FILE`, copy it to every "
                          "host and give it with --cluster-secret-file FILE.",
                      "cluster-secret-file");
  }
  return secret_pointer(std::make_shared<const transport::cluster_secret>(transport::cluster_secret::none()));
}

void log_event(std::string_view event, std::string_view who, std::string_view why) {
  log(why == transport::said_bye ? log_level::info : log_level::warning, "transport", std::string(event),
      {{"node", std::string(who)}, {"reason", std::string(why)}});
}

/// Actors pass messages on; what computes has threads of its own.
class short_turns final : public caf::thread_hook {
  void init(caf::actor_system&) override {}
  void thread_started() override { take_short_turns(); }
  void thread_terminates() override {}
};

}  // namespace

struct cast_system::configuration : caf::actor_system_config {
  configuration() {
    add_thread_hook<short_turns>();
    set("scheduler.policy", caf::atom("sharing"));  // sleeps when idle; work stealing polls
    set("scheduler.max-threads", actor_threads);
    set("logger.verbosity", caf::atom("quiet"));
    add_message_types<caf::id_block::troupe>();
  }
};

transport::message_codec make_wire_codec() {
  transport::message_codec codec;
#define TROUPE_ADD_TO_CODEC(type) codec.add<type>(#type);
  TROUPE_WIRE_MESSAGES(TROUPE_ADD_TO_CODEC)
#undef TROUPE_ADD_TO_CODEC
  return codec;
}

cast_system::cast_system() : configuration_(std::make_unique<configuration>()) {}
cast_system::~cast_system() = default;

std::unique_ptr<cast_system> cast_system::make_local() {
  std::unique_ptr<cast_system> made(new cast_system());
  made->system_ = std::make_unique<caf::actor_system>(*made->configuration_);
  return made;
}

result<std::unique_ptr<cast_system>> cast_system::make_networked(const cluster_options& options) {
  auto secret = load_secret(options);
  if (!secret) return secret.error();
  transport::ucx_options ucx;
  ucx.transports = options.transports;
  const auto& near = options.listen.empty() ? options.join : options.listen;
  if (const auto where = transport::parse_address(near)) ucx.bind_host = where->host;
  // Before the actors, so that a machine without a usable UCX is an error and not an abort.
  auto fabric = transport::make_ucx_fabric(ucx);
  if (!fabric) return fabric.error();

  auto bridging = std::make_shared<transport::bridge_options>();
  bridging->make_fabric = [made = std::make_shared<std::unique_ptr<transport::fabric>>(*std::move(fabric))] {
    return result<std::unique_ptr<transport::fabric>>(std::move(*made));
  };
  bridging->codec = make_wire_codec();
  bridging->spin = options.spin;
  bridging->on_event = log_event;
  auto& mesh = bridging->mesh;
  mesh.cluster = options.name;
  mesh.secret = *std::move(secret);
  mesh.trusted_fabric = options.trusted_fabric;
  mesh.beat_every = options.beat_every;
  mesh.dead_after = options.dead_after;
  mesh.fill_random = transport::fill_with_secure_random;

  std::unique_ptr<cast_system> made(new cast_system());
  transport::bridge::install(*made->configuration_, std::move(bridging));
  made->system_ = std::make_unique<caf::actor_system>(*made->configuration_);
  made->bridge_ = &transport::bridge::of(*made->system_);
  if (options.listen.empty()) return made;
  const auto where = transport::parse_address(options.listen);
  if (!where) return make_error(where.error().code, where.error().message, "cluster-listen");
  const auto bound = made->bridge_->listen(*where);
  if (!bound) return bound.error();
  made->listening_ = *bound;
  return made;
}

}  // namespace troupe
