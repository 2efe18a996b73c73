// Actor systems of one process that a memory network joins: one thread, virtual time, CAF's scheduler for tests. Slow
// to compile, as everything with CAF.
#pragma once

#include "base/fields.hpp"
#include "transport/bridge/bridge.hpp"
#include "transport/memory_fabric.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <caf/all.hpp>

namespace troupe::test {

using std::chrono::milliseconds;

/// What the actors of these tests send, beside CAF's own types.
struct note {
  std::uint64_t number = 0;
  std::string text;
  std::vector<std::uint32_t> more;
  friend bool operator==(const note&, const note&) = default;
};
TROUPE_FIELDS(note, number, text, more)
/// Known to the codec of nodes that were told so.
struct rare_note {
  std::uint64_t number = 0;
};
TROUPE_FIELDS(rare_note, number)
/// Known to no codec.
struct local_note {
  std::uint64_t number = 0;
};
TROUPE_FIELDS(local_note, number)

transport::message_codec make_test_codec(bool with_rare_notes);
/// Adds the types above.
void add_types(caf::actor_system_config& config);

/// One actor system and its bridge.
class bridge_node {
 public:
  std::string host;
  transport::address where;
  std::vector<std::string> events;  // of the bridge: "event: why"
  bool frozen = false;

  caf::actor_system& system() { return *system_; }
  transport::bridge& bridge() { return transport::bridge::of(*system_); }
  transport::node_id id() { return bridge().self(); }

  /// Spawns an actor that is killed with the node.
  template <class F>
  caf::actor spawn(F behavior) {
    actors_.push_back(system_->spawn(std::move(behavior)));
    return actors_.back();
  }
  /// One round. True when something happened.
  bool turn(time_point now);
  ~bridge_node();

 private:
  friend class bridge_world;
  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> system_;
  std::vector<caf::actor> actors_;
};

class bridge_world {
 public:
  using change_options = std::function<void(transport::bridge_options&)>;

  time_point now{std::chrono::seconds(1000)};
  transport::memory_network network{[this] { return now; }, {.latency = milliseconds(1)}};
  std::vector<std::unique_ptr<bridge_node>> nodes;

  /// A listening node on this host: of 127.….
  bridge_node& add(const std::string& host, bool with_rare_notes = false, const change_options& change = {});
  void remove(bridge_node& node);

  bool run_until(const std::function<bool()>& what, duration limit = std::chrono::seconds(5));
  void run_for(duration time) { run_until({}, time); }
  void settle() { run_for(milliseconds(20)); }

  /// A published actor of another node; fails the test when there is none.
  caf::actor resolve(bridge_node& from, bridge_node& at, const std::string& name);
  std::string failure_to_resolve(bridge_node& from, const transport::address& where, const std::string& name);
};

}  // namespace troupe::test

CAF_BEGIN_TYPE_ID_BLOCK(transport_tests, first_custom_type_id)
CAF_ADD_TYPE_ID(transport_tests, (troupe::test::note))
CAF_ADD_TYPE_ID(transport_tests, (troupe::test::rare_note))
CAF_ADD_TYPE_ID(transport_tests, (troupe::test::local_note))
CAF_END_TYPE_ID_BLOCK(transport_tests)
