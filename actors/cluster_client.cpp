#include "actors/cluster_client.hpp"

#include "actors/cast_system.hpp"
#include "base/signal_box.hpp"

#include <chrono>
#include <optional>
#include <utility>

namespace troupe {
namespace {

constexpr std::chrono::seconds patience{5};

result<caf::actor> resolve(transport::bridge& bridge, const transport::address& head, const std::string& name) {
  const auto answer = std::make_shared<signal_box<result<caf::actor>>>();
  bridge.resolve(head, name, [answer](result<caf::actor> found) { answer->put(std::move(found)); });
  auto found = answer->wait_for(patience);
  if (!found) return make_error(errc::unavailable, "No answer from " + to_string(head) + ".");
  return *std::move(found);
}

}  // namespace

struct cluster_client::implementation {
  std::unique_ptr<cast_system> cast;
  caf::actor registry;
  caf::actor scheduler;

  template <class Answer, class Question>
  result<Answer> ask(const caf::actor& whom, Question question) {
    caf::scoped_actor self(cast->system());
    std::optional<Answer> got;
    self->request(whom, patience, std::move(question))
        .receive([&](Answer& answer) { got = std::move(answer); }, [](const caf::error&) {});
    if (!got) return make_error(errc::unavailable, "The head does not answer.");
    return *std::move(got);
  }

  result<std::string> command(result<command_done> answer) {
    if (!answer) return answer.error();
    if (!answer->done) return make_error(errc::not_found, answer->message);
    return answer->message;
  }

  ~implementation() {
    registry = scheduler = nullptr;
    cast.reset();
  }
};

cluster_client::cluster_client(std::unique_ptr<implementation> made) : implementation_(std::move(made)) {}
cluster_client::~cluster_client() = default;

result<std::unique_ptr<cluster_client>> cluster_client::connect(const cluster_options& options) {
  const auto head = transport::parse_address(options.join);
  if (!head) return make_error(head.error().code, head.error().message, "join");
  auto made = std::make_unique<implementation>();
  // A few small messages, maybe of another user of this host: shared memory is for its own user.
  auto by_tcp = options;
  if (by_tcp.transports.empty()) by_tcp.transports = "tcp";
  auto cast = cast_system::make_networked(by_tcp);
  if (!cast) return cast.error();
  made->cast = *std::move(cast);
  for (const auto& [name, handle] :
       {std::pair{"registry", &made->registry}, std::pair{"scheduler", &made->scheduler}}) {
    auto found = resolve(*made->cast->bridge(), *head, name);
    if (!found) return found.error();
    *handle = *std::move(found);
  }
  return std::unique_ptr<cluster_client>(new cluster_client(std::move(made)));
}

result<cluster_overview> cluster_client::overview() {
  auto members = implementation_->ask<members_changed>(implementation_->registry, ask_status{});
  if (!members) return members.error();
  auto workers = implementation_->ask<workers_status>(implementation_->scheduler, ask_workers{});
  if (!workers) return workers.error();
  auto requests = implementation_->ask<requests_status>(implementation_->scheduler, ask_requests{});
  if (!requests) return requests.error();
  return cluster_overview{std::move(members->members), std::move(workers->workers), workers->requests_queued,
                          std::move(requests->requests)};
}

result<std::string> cluster_client::migrate(request_id request, const std::string& node) {
  const auto members = implementation_->ask<members_changed>(implementation_->registry, ask_status{});
  if (!members) return members.error();
  for (const auto& of : members->members)
    if (of.name == node)
      return implementation_->command(implementation_->ask<command_done>(
          implementation_->scheduler, migrate_request{request, worker_id{of.number}}));
  return make_error(errc::not_found, "No node is named '" + node + "'.");
}

result<std::string> cluster_client::drain(const std::string& node) {
  return implementation_->command(implementation_->ask<command_done>(implementation_->registry, drain_node{node}));
}

result<policies_status> cluster_client::policies() {
  return implementation_->ask<policies_status>(implementation_->scheduler, ask_policies{});
}

result<std::string> cluster_client::set_policy(const std::string& kind, const std::string& name) {
  return implementation_->command(
      implementation_->ask<command_done>(implementation_->scheduler, troupe::set_policy{kind, name}));
}

result<std::string> cluster_client::stop(const std::string& node) {
  return implementation_->command(implementation_->ask<command_done>(implementation_->registry, stop_node{node}));
}

}  // namespace troupe
