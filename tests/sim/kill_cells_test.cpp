// The kill cells of the relocation protocol: for the hand-off and for the migration each of the seven steps, each side
// that may die, and each of three moments - before the step's message is sent, when it is applied but not acknowledged,
// and when it is acknowledged. 84 cells; each has to be hit, and after each everything has to be right.
#include "base/failpoint.hpp"
#include "sim_seeds.hpp"

#include <cstdio>
#include <vector>

using namespace troupe;
using namespace troupe::simulator;

namespace {

enum class side : std::size_t { source = 1, target = 2 };  // as nodes are numbered here

/// What has to come to pass, one after the other.
struct sign {
  side where;
  const char* when;
  const char* what;
};
struct cell {
  const char* step;
  const char* at;
  std::vector<sign> signs;
};

constexpr side source = side::source;
constexpr side target = side::target;
constexpr sign paused{source, "engine", "pause"};
constexpr sign committed{target, "engine", "commit"};

const std::vector<cell>& all_cells() {
  static const std::vector<cell> cells{
      {"offer", "before it is sent", {{source, "engine", "snapshot"}}},
      {"offer", "applied", {{target, "after", "offer_relocation"}}},
      {"offer", "acknowledged", {{source, "before", "relocation_accepted"}}},
      {"accept", "before it is sent", {{target, "engine", "reserve"}}},
      {"accept", "applied", {{source, "after", "relocation_accepted"}}},
      {"accept", "acknowledged", {{source, "call", "bulk.send"}}},
      {"copy", "before it is sent", {{source, "after", "relocation_accepted"}, {source, "engine", "hold"}}},
      {"copy", "applied", {{target, "call", "bulk.received"}}},
      {"copy", "acknowledged", {{source, "call", "bulk.sent"}}},
      {"pause", "before", {{source, "call", "bulk.sent"}, {source, "engine", "hold"}}},
      {"pause", "applied", {paused}},
      {"pause", "acknowledged", {paused, {source, "before", "task"}}},
      {"last copy", "before it is sent", {paused, {source, "call", "bulk.send"}}},
      {"last copy", "applied", {paused, {target, "call", "bulk.received"}}},
      {"last copy", "acknowledged", {paused, {source, "call", "bulk.sent"}}},
      {"commit", "before it is sent", {paused, {source, "after", "task"}}},
      {"commit", "applied", {committed}},
      {"commit", "acknowledged", {{source, "before", "relocation_done"}}},
      {"done", "before it is sent", {committed, {target, "after", "task"}}},
      {"done", "applied", {{source, "after", "relocation_done"}}},
      {"done", "acknowledged", {{source, "after", "relocation_done"}, {source, "engine", "remove"}}},
  };
  return cells;
}

struct kill_outcome {
  bool hit = false;
  std::vector<std::string> violations;
};

/// One life: a request that moves from node 1 to node 2, one of which dies at the cell's moment and is started again.
kill_outcome run_cell(const cell& of, side victim, bool hand_off, std::uint64_t seed) {
  random_stream random(random_bits(seed, 3));
  simulated_world_options shape;
  shape.seed = seed;
  if (hand_off) shape.roles = {worker_role::prefill, worker_role::decode};
  shape.network.latency = std::chrono::microseconds(200 + random.below(3000));
  shape.sealed = false;  // so that parts are parts and no frames
  shape.engine.prefix_caching = random.below(2) == 0;
  const auto kind = random.below(2) == 0 ? crash_kind::process : crash_kind::host;
  simulated_world world(shape);
  world.settle();

  kill_outcome outcome;
  std::size_t n_signs = 0;
  world.observer().on_moment = [&](const moment& m) {
    if (outcome.hit) return;
    const sign& waited = of.signs[n_signs];
    if (m.node != static_cast<std::size_t>(waited.where) || m.when != waited.when || m.what != waited.what) return;
    if (++n_signs < of.signs.size()) return;
    outcome.hit = true;
    world.crash(static_cast<std::size_t>(victim), kind);
  };
  // Two of them, so that more than the one that moves is lost.
  std::vector<std::shared_ptr<client_stream>> streams;
  for (int i = 0; i < 2; ++i)
    streams.push_back(world.submit(world.make_request(static_cast<std::uint32_t>(50 + random.below(40)),
                                                      static_cast<std::uint32_t>(30 + random.below(20)))));
  const auto ask = [&] {
    for (const auto& stream : streams)
      if (!hand_off && !outcome.hit && world.find_request(stream->id) == 1u) world.migrate(stream->id, 2);
  };
  const auto settled = [&] { return outcome.hit || (streams[0]->ends == 1 && streams[1]->ends == 1); };
  world.run_until([&] { return settled() || streams[0]->tokens.size() + streams[1]->tokens.size() > 3; },
                  std::chrono::seconds(20));
  ask();
  world.run_until(settled, std::chrono::seconds(20));
  world.run_for(std::chrono::milliseconds(random.below(1500)));
  world.start(static_cast<std::size_t>(victim));
  world.settle();
  for (const auto& stream : streams)
    if (!stream->whole()) world.observer().violate("a stream is not whole");
  outcome.violations = world.violations();
  return outcome;
}

void check_cells(bool hand_off) {
  const std::uint64_t last = last_seed(5);
  int n_hit = 0;
  int n_runs = 0;
  for (const auto& of : all_cells()) {
    for (const side victim : {source, target}) {
      int n_hit_here = 0;
      for (std::uint64_t seed = first_seed(); seed <= last; ++seed) {
        const auto outcome = run_cell(of, victim, hand_off, seed);
        n_hit_here += outcome.hit ? 1 : 0;
        ++n_runs;
        CAPTURE(seed, of.step, of.at);
        INFO("dies: " << (victim == source ? "source" : "target"));
        INFO(describe(outcome.violations));
        CHECK(outcome.violations.empty());
      }
      CAPTURE(of.step, of.at);
      // A sequence that is paused at the end of a block has no last copy.
      CHECK(n_hit_here > 0);
      n_hit += n_hit_here;
    }
  }
  std::printf("%s: %d of %d runs hit their cell\n", hand_off ? "hand-off" : "migration", n_hit, n_runs);
}

}  // namespace

TEST_CASE("whoever dies at whatever moment of a hand-off, every stream is whole", "[sim][kill]") {
  REQUIRE(all_cells().size() == 21);
  check_cells(true);
}

TEST_CASE("whoever dies at whatever moment of a migration, every stream is whole", "[sim][kill]") {
  check_cells(false);
}

TEST_CASE("a message of a relocation that is lost costs time and nothing else", "[sim][kill]") {
  for (const bool hand_off : {true, false}) {
    for (const char* name : {"relocation.offer", "relocation.accept", "relocation.copy", "relocation.pause",
                             "relocation.commit", "relocation.taken", "relocation.done"}) {
      for (std::uint64_t seed = 1; seed <= n_seeds(3); ++seed) {
        CAPTURE(name, seed, hand_off);
        simulated_world_options shape;
        shape.seed = seed;
        if (hand_off) shape.roles = {worker_role::prefill, worker_role::decode};
        simulated_world world(shape);
        world.settle();
        arm_failpoint(name);
        // Long enough to be computed twice for a while.
        const auto stream = world.submit(world.make_request(70, 180));
        world.run_until([&] { return stream->tokens.size() > 3; }, std::chrono::seconds(20));
        if (!hand_off)
          if (const auto at = world.find_request(stream->id)) world.migrate(stream->id, 3 - *at);
        world.settle();
        INFO(describe(world.violations()));
        CHECK(world.violations().empty());
        CHECK(stream->whole());
        disarm_failpoints();
      }
    }
  }
}
