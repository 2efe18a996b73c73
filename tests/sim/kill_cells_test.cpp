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

/// What fails at the cell's moment.
enum class failing { source_node, target_node, link };

struct kill_outcome {
  bool hit = false;
  std::vector<std::string> violations;
};

simulated_world_options draw_shape(random_stream& random, bool hand_off, std::uint64_t seed) {
  simulated_world_options shape;
  shape.seed = seed;
  if (hand_off) shape.roles = {worker_role::prefill, worker_role::decode};
  shape.network.latency = std::chrono::microseconds(200 + random.below(3000));
  if (random.below(2) == 0) shape.link_spread = 60;
  shape.sealed = false;  // so that parts are parts and no frames
  shape.engine.prefix_caching = random.below(2) == 0;
  return shape;
}

/// One life: two requests that move from node 1 to node 2; one of these dies at the cell's moment, or what connects
/// them, and is restored later.
class kill_run {
 public:
  kill_run(const cell& of, failing what, bool hand_off, std::uint64_t seed)
      : cell_(of),
        what_(what),
        hand_off_(hand_off),
        random_(random_bits(seed, 3)),
        world_(draw_shape(random_, hand_off, seed)) {}

  kill_outcome run() {
    world_.settle();
    world_.observer().on_moment = [&](const moment& m) { see(m); };
    for (int i = 0; i < 2; ++i)
      streams_.push_back(world_.submit(world_.make_request(static_cast<std::uint32_t>(50 + random_.below(40)),
                                                           static_cast<std::uint32_t>(30 + random_.below(120)))));
    const auto settled = [&] { return outcome_.hit || (streams_[0]->ends == 1 && streams_[1]->ends == 1); };
    world_.run_until([&] { return settled() || streams_[0]->tokens.size() + streams_[1]->tokens.size() > 3; },
                     std::chrono::seconds(20));
    for (const auto& stream : streams_)
      if (!hand_off_ && !outcome_.hit && world_.find_request(stream->id) == 1u) world_.migrate(stream->id, 2);
    world_.run_until(settled, std::chrono::seconds(20));
    world_.run_for(std::chrono::milliseconds(random_.below(3000)));
    world_.heal_all();
    world_.settle();
    for (const auto& stream : streams_)
      if (!stream->whole()) world_.observer().violate("a stream is not whole");
    outcome_.violations = world_.violations();
    return outcome_;
  }

 private:
  void see(const moment& m) {
    if (outcome_.hit) return;
    const sign& waited = cell_.signs[n_signs_];
    if (m.node != static_cast<std::size_t>(waited.where) || m.when != waited.when || m.what != waited.what) return;
    if (++n_signs_ < cell_.signs.size()) return;
    outcome_.hit = true;
    if (what_ != failing::link)
      return world_.crash(what_ == failing::source_node ? 1 : 2,
                          random_.below(2) == 0 ? crash_kind::process : crash_kind::host);
    const auto directions = random_.below(3);
    if (directions != 1) world_.cut(1, 2);
    if (directions != 2) world_.cut(2, 1);
  }

  const cell& cell_;
  failing what_;
  bool hand_off_;
  random_stream random_;
  simulated_world world_;
  kill_outcome outcome_;
  std::size_t n_signs_ = 0;
  std::vector<std::shared_ptr<client_stream>> streams_;
};

void check_cells(bool hand_off, std::initializer_list<failing> what) {
  const std::uint64_t last = last_seed(8);
  int n_hit = 0;
  int n_runs = 0;
  for (const auto& of : all_cells()) {
    for (const failing fails : what) {
      int n_hit_here = 0;
      for (std::uint64_t seed = first_seed(); seed <= last; ++seed) {
        const auto outcome = kill_run(of, fails, hand_off, seed).run();
        n_hit_here += outcome.hit ? 1 : 0;
        ++n_runs;
        CAPTURE(seed, of.step, of.at, static_cast<int>(fails));
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
  check_cells(true, {failing::source_node, failing::target_node});
}

TEST_CASE("whoever dies at whatever moment of a migration, every stream is whole", "[sim][kill]") {
  check_cells(false, {failing::source_node, failing::target_node});
}

TEST_CASE("source and target that lose each other at whatever moment, and live", "[sim][kill]") {
  check_cells(true, {failing::link});
  check_cells(false, {failing::link});
}

TEST_CASE("a migration that nobody disturbs comes to its end", "[sim][kill]") {
  for (std::uint64_t seed = 1; seed <= n_seeds(100); ++seed) {
    CAPTURE(seed);
    random_stream random(seed);
    simulated_world world(draw_shape(random, false, seed));
    world.settle();
    int n_done = 0;
    int n_aborted = 0;
    world.observer().on_moment = [&](const moment& m) {
      if (m.when != "after") return;
      n_done += m.what == "relocation_done";
      n_aborted += m.what == "abort_relocation" || m.what == "relocation_refused";
    };
    const auto stream = world.submit(world.make_request(static_cast<std::uint32_t>(20 + random.below(60)), 150));
    world.run_until([&] { return stream->tokens.size() > 3; }, std::chrono::seconds(20));
    world.migrate(stream->id, 3 - *world.find_request(stream->id));
    world.settle();
    INFO(describe(world.violations()));
    CHECK(world.violations().empty());
    CHECK(stream->whole());
    CHECK(n_done == 1);
    CHECK(n_aborted == 0);
  }
}

TEST_CASE("a message of a relocation that is lost costs time and nothing else", "[sim][kill]") {
  for (const bool hand_off : {true, false}) {
    for (const char* name : {"relocation.offer", "relocation.accept", "relocation.copy", "relocation.pause",
                             "relocation.commit", "relocation.broken", "relocation.taken", "relocation.done"}) {
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

TEST_CASE("a chunk that is lost begins a request anew, however slow the engine is", "[sim][kill]") {
  for (std::uint64_t seed = 1; seed <= n_seeds(20); ++seed) {
    CAPTURE(seed);
    simulated_world_options shape;
    shape.seed = seed;
    shape.roles = {worker_role::both};
    // The end of the old run is reported when the new one is there already.
    shape.engine.cost = simulator::flat_cost(static_cast<double>(40 + 10 * (seed % 20)));
    simulated_world world(shape);
    world.settle();
    arm_failpoint("request.chunk", static_cast<std::uint32_t>(1 + seed % 7));
    const auto stream = world.submit(world.make_request(30, 20));
    world.settle();
    disarm_failpoints();
    INFO(describe(world.violations()));
    CHECK(world.violations().empty());
    CHECK(stream->whole());
  }
}
