// A worker that is cut off stops, its requests go on elsewhere, and when it is back it is a member like any other.
#include "sim_seeds.hpp"

using namespace troupe;
using namespace troupe::simulator;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t head = 0;

/// Streams of which at least one runs on the node.
std::vector<std::shared_ptr<client_stream>> start_streams(simulated_world& world, std::size_t node) {
  std::vector<std::shared_ptr<client_stream>> streams;
  for (int i = 0; i < 4; ++i)
    streams.push_back(world.submit(world.make_request(20, 120)));
  REQUIRE(world.run_until(
      [&] {
        return std::ranges::any_of(streams, [&](const auto& stream) {
          return world.find_request(stream->id) == node && stream->tokens.size() > 5;
        });
      },
      std::chrono::seconds(10)));
  return streams;
}

void check_whole(const simulated_world& world, const std::vector<std::shared_ptr<client_stream>>& streams) {
  INFO(describe(world.violations()));
  CHECK(world.violations().empty());
  for (const auto& stream : streams)
    CHECK(stream->whole());
}

}  // namespace

TEST_CASE("a worker that is cut off from everybody stops within its lease and rejoins", "[sim][partition]") {
  for (std::uint64_t seed = 1; seed <= n_seeds(20); ++seed) {
    CAPTURE(seed);
    simulated_world world({.seed = seed});
    REQUIRE(world.settle());
    const auto streams = start_streams(world, 1);
    const time_point cut_at = world.now();
    for (const std::size_t other : {head, std::size_t{2}}) {
      world.cut(1, other);
      world.cut(other, 1);
    }
    // The lease: dead_after, and the beat that may just have come.
    CHECK(world.run_until([&] { return world.engine(1) == nullptr; }, milliseconds(1300)));
    CHECK(world.now() - cut_at >= milliseconds(700));
    CHECK(world.run_until([&] { return !world.number(1).has_value(); }, milliseconds(1300)));
    world.run_for(milliseconds(3000));
    for (const auto& stream : streams)
      CHECK(world.find_request(stream->id) != 1u);
    world.heal_all();
    CHECK(world.settle());
    check_whole(world, streams);
    CHECK(world.number(1).has_value());
  }
}

TEST_CASE("a link that is dead in one direction is dead", "[sim][partition]") {
  for (std::uint64_t seed = 1; seed <= n_seeds(20); ++seed) {
    CAPTURE(seed);
    simulated_world world({.seed = seed});
    REQUIRE(world.settle());
    const auto streams = start_streams(world, 1);
    if (seed % 2 == 0)
      world.cut(1, head);
    else
      world.cut(head, 1);
    CHECK(world.run_until([&] { return world.engine(1) == nullptr && !world.number(1); }, milliseconds(3000)));
    world.heal_all();
    CHECK(world.settle());
    check_whole(world, streams);
  }
}

TEST_CASE("a worker that froze for longer than its lease is a zombie nobody listens to", "[sim][partition]") {
  for (std::uint64_t seed = 1; seed <= n_seeds(20); ++seed) {
    CAPTURE(seed);
    simulated_world world({.seed = seed});
    REQUIRE(world.settle());
    const auto streams = start_streams(world, 1);
    world.freeze(1);
    CHECK(world.run_until([&] { return !world.number(1); }, milliseconds(1500)));
    world.run_for(milliseconds(200 + static_cast<int>(seed) * 100));
    world.thaw(1);
    CHECK(world.settle());
    check_whole(world, streams);
  }
}

TEST_CASE("a deadline is for the whole answer, however often it is begun", "[sim][partition]") {
  for (std::uint64_t seed = 1; seed <= n_seeds(10); ++seed) {
    CAPTURE(seed);
    simulated_world world({.seed = seed});
    REQUIRE(world.settle());
    auto request = world.make_request(20, 200);
    request.objective.deadline = milliseconds(2000);
    const time_point submitted = world.now();
    const auto stream = world.submit(request);
    world.run_for(milliseconds(1000));
    const auto at = world.find_request(request.id);
    REQUIRE(at.has_value());
    world.crash(*at);
    CHECK(world.run_until([&] { return stream->ends == 1; }, std::chrono::seconds(20)));
    CHECK(world.now() - submitted < milliseconds(2100));
    CHECK(world.now() - submitted > milliseconds(1900));
    world.heal_all();
    CHECK(world.settle());
    check_whole(world, {});
  }
}

TEST_CASE("a request that is cancelled while it moves is not computed any further", "[sim][partition]") {
  for (std::uint64_t seed = 1; seed <= n_seeds(100); ++seed) {
    CAPTURE(seed);
    simulated_world world({.seed = seed});
    REQUIRE(world.settle());
    const auto stream = world.submit(world.make_request(40, 200));
    world.run_until([&] { return stream->tokens.size() > 3; }, std::chrono::seconds(5));
    world.migrate(stream->id, 3 - *world.find_request(stream->id));
    world.run_for(std::chrono::microseconds(world.random().below(120'000)));
    world.cancel(stream->id);
    world.run_until([&] { return world.at_rest(); }, milliseconds(500));
    std::string why;
    CHECK(world.at_rest(&why));
    INFO(why);
    check_whole(world, {});
  }
}

TEST_CASE("two workers that cannot reach each other do not disturb the cluster", "[sim][partition]") {
  for (std::uint64_t seed = 1; seed <= n_seeds(20); ++seed) {
    CAPTURE(seed);
    simulated_world world({.seed = seed});
    REQUIRE(world.settle());
    const auto streams = start_streams(world, 1);
    world.cut(1, 2);
    world.cut(2, 1);
    for (const auto& stream : streams)
      world.migrate(stream->id, 2);
    CHECK(world.settle());
    check_whole(world, streams);
    CHECK(world.number(1).has_value());
  }
}
