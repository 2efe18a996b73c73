// A whole cluster in one thread and on one virtual clock: a head (scheduler, gateway, registry) and nodes of workers,
// all with the actors that are shipped, each node with its own actor system and transport over one memory network. Who
// acts next - which node, which of its actors, its transport or an engine - is drawn from the seed, one message at a
// time.
//
//   step()     somebody acts; false: nobody has anything to do now
//   run_*()    steps, and moves the clock to the next event whenever nobody has
//
// Node 0 is the head. Cost: a few microseconds a message.
#pragma once

#include "actors/gateway/gateway.hpp"
#include "actors/protocols/membership.hpp"
#include "actors/registry/registry_store.hpp"
#include "actors/worker/worker.hpp"
#include "simulator/simulated_cast.hpp"
#include "simulator/simulated_driver.hpp"
#include "simulator/simulated_engine.hpp"
#include "simulator/simulated_node.hpp"
#include "simulator/watched_bulk_port.hpp"
#include "simulator/world_observer.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace troupe::simulator {

struct simulated_world_options {
  std::uint64_t seed = 1;
  std::vector<std::uint8_t> roles{worker_role::both, worker_role::both};  // of the nodes, from node 1 on
  simulated_engine_options engine{};
  transport::network_model network{.latency = std::chrono::microseconds(500)};
  std::uint32_t link_spread = 1;  // each link, in each direction, is up to so many times slower than the model says
  bool sealed = false;            // hosts that are not of loopback, with a secret
  std::size_t queue_capacity = 64;
  std::uint32_t worker_backlog = 2;
  std::size_t relocation_part_bytes = 1;  // a layer each
  std::string dispatch = "least_loaded";
  std::shared_ptr<registry_store> store{};  // nullptr: in memory
  // What a node says of itself, and its engine.
  std::function<void(std::size_t node, join_cluster& introduction)> introduce{};
  std::function<void(std::size_t node, simulated_engine_options& engine)> equip{};
};

enum class crash_kind : std::uint8_t {
  process,  // what was sent still arrives, and the others hear of it soon: kill -9
  host      // nothing arrives any more, and nobody is told: the power is gone
};

class simulated_world {
 public:
  explicit simulated_world(simulated_world_options opts);
  ~simulated_world();
  simulated_world(const simulated_world&) = delete;
  simulated_world& operator=(const simulated_world&) = delete;

  time_point now() const { return now_; }
  random_stream& random() { return random_; }
  world_observer& observer() { return observer_; }
  const std::vector<std::string>& violations() const { return observer_.violations(); }
  std::size_t n_nodes() const { return nodes_.size(); }

  // What clients and operators do.
  generation_request make_request(std::uint32_t n_prompt, std::uint32_t max_tokens);
  std::shared_ptr<client_stream> submit(const generation_request& request);
  void cancel(request_id request);
  void migrate(request_id request, std::size_t to);
  void drain(std::size_t node);

  // What befalls nodes and links.
  void crash(std::size_t node, crash_kind kind = crash_kind::process);
  void start(std::size_t node);
  void freeze(std::size_t node);
  void thaw(std::size_t node);
  void cut(std::size_t from, std::size_t to);
  void heal(std::size_t from, std::size_t to);
  void spoil_frames(const transport::fault_rates& rates);
  /// Ends all of it: links healed, frozen nodes thawed, crashed nodes started.
  void heal_all();
  bool is_up(std::size_t node) const { return nodes_[node].node != nullptr && !nodes_[node].dying; }
  bool is_frozen(std::size_t node) const { return nodes_[node].frozen; }

  bool step();
  void run_for(duration time);
  /// False when it did not come true in time.
  bool run_until(const std::function<bool()>& what, duration limit);

  /// Every node that may be a member is one and its worker reports; nobody has a request or anything left of one.
  /// Otherwise `why` names the first that is not so.
  bool at_rest(std::string* why = nullptr) const;
  /// Demands I12 and what has to be true at rest.
  bool settle(duration limit = std::chrono::seconds(30));

  // For tests that look closer.
  const caf::actor& scheduler() const { return head_.scheduler; }
  const caf::actor& gateway() const { return head_.gateway; }
  const caf::actor& registry() const { return head_.registry; }
  caf::actor member(std::size_t node) const { return nodes_[node].member; }
  simulated_node& node(std::size_t node) { return *nodes_[node].node; }
  /// Why a node left for good.
  const std::optional<std::string>& gone(std::size_t node) const { return nodes_[node].gone; }
  service_status status() const { return head_.service->status(); }
  /// The number of a node in the cluster, which is the id of its worker.
  std::optional<worker_id> number(std::size_t node) const;
  /// Where the scheduler believes a request to be.
  std::optional<std::size_t> find_request(request_id request) const;
  const simulated_engine* engine(std::size_t node) const;

 private:
  struct engine_place {
    simulated_driver* driver = nullptr;
    simulated_engine* engine = nullptr;
  };
  struct world_node {
    std::string name;
    std::string host;
    std::uint8_t roles = worker_role::both;
    std::unique_ptr<simulated_node> node;  // nullptr: down
    caf::actor member;
    caf::actor supervisor;
    std::shared_ptr<watched_bulk_port> bulk;
    std::vector<engine_place> engines;
    std::uint64_t n_starts = 0;
    bool frozen = false;
    bool idle = false;  // its transport had nothing to do
    bool dying = false;
    crash_kind dies_by = crash_kind::process;
    std::optional<std::string> gone;
  };
  enum class action : std::uint8_t { job, engine, transport };

  void start_head();
  void start_worker_node(std::size_t at);
  std::unique_ptr<simulated_node> make_node(std::size_t at);
  std::unique_ptr<engine_driver> make_driver(std::size_t at, worker_id worker, engine_driver::listener report);
  void act(std::size_t at, action what);
  void turn_engine(world_node& at);
  void bury(std::size_t at);
  void advance(time_point limit);
  void apply_cuts();
  std::optional<std::string> find_unrest() const;
  std::optional<std::string> find_unrest_of_head() const;
  std::optional<std::string> find_unrest_of_node(std::size_t at) const;

  simulated_world_options options_;
  random_stream random_;
  time_point now_{std::chrono::seconds(1000)};
  world_observer observer_;
  transport::memory_network network_;
  std::shared_ptr<const transport::cluster_secret> secret_;
  std::vector<world_node> nodes_;
  std::set<std::pair<std::size_t, std::size_t>> cuts_;
  std::set<std::size_t> without_power_;
  head_cast head_;
  std::vector<std::shared_ptr<client_stream>> streams_;
  std::vector<std::pair<std::size_t, action>> candidates_;  // reused by step
};

}  // namespace troupe::simulator
