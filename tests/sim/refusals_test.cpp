// What is refused: nodes that do not belong, requests for which there is no room, K and V that do not fit.
#include "actors/registry/registry.hpp"
#include "sim_seeds.hpp"

#include <filesystem>

#include <unistd.h>

using namespace troupe;
using namespace troupe::simulator;
using std::chrono::milliseconds;

namespace {

/// Fails as the test says.
class failing_store final : public registry_store {
 public:
  result<std::map<std::string, member_record>> load() override {
    if (loads_fail) return make_error(errc::unavailable, "The store is away.");
    return kept_->load();
  }
  result<> save(const std::string& name, const member_record& record) override {
    if (saves_fail) return make_error(errc::unavailable, "The store is away.");
    return kept_->save(name, record);
  }
  bool loads_fail = false;
  bool saves_fail = false;

 private:
  std::unique_ptr<registry_store> kept_ = make_memory_registry_store();
};

/// A cluster of two nodes, the second of which introduces itself as the test says.
simulated_world_options with_stranger(std::function<void(join_cluster&)> change) {
  simulated_world_options shape;
  shape.introduce = [change = std::move(change)](std::size_t node, join_cluster& introduction) {
    if (node == 2) change(introduction);
  };
  return shape;
}

void check(const simulated_world& world) {
  INFO(describe(world.violations()));
  CHECK(world.violations().empty());
}

}  // namespace

TEST_CASE("a node of another version or with another model is refused for good", "[sim][membership]") {
  const auto change = GENERATE(0, 1, 2, 3);
  simulated_world world(with_stranger([&](join_cluster& introduction) {
    if (change == 0) introduction.content.version = "another";
    if (change == 1) introduction.content.digest_low ^= 1;
    if (change == 2) introduction.content.digest_high ^= 1;
    if (change == 3) introduction.name.assign(65, 'x');
  }));
  CHECK(world.run_until([&] { return world.gone(2).has_value(); }, std::chrono::seconds(5)));
  CHECK(world.settle());
  const auto stream = world.submit(world.make_request(20, 10));
  CHECK(world.settle());
  CHECK(stream->whole());
  check(world);
}

TEST_CASE("a second node of a name waits until the first is gone", "[sim][membership]") {
  simulated_world world(with_stranger([](join_cluster& introduction) { introduction.name = "node-1"; }));
  world.run_for(std::chrono::seconds(20));
  const bool first_is_in = world.engine(1) != nullptr;
  CHECK(first_is_in != (world.engine(2) != nullptr));
  const std::size_t in = first_is_in ? 1 : 2;
  world.crash(in);
  CHECK(world.run_until([&] { return world.engine(3 - in) != nullptr; }, std::chrono::seconds(5)));
  check(world);
}

TEST_CASE("a decode worker without room leaves requests where they are", "[sim][refusal]") {
  for (std::uint64_t seed = 1; seed <= n_seeds(10); ++seed) {
    CAPTURE(seed);
    simulated_world_options shape;
    shape.seed = seed;
    shape.roles = {worker_role::prefill, worker_role::decode};
    shape.equip = [&](std::size_t node, simulated_engine_options& engine) {
      if (node == 2 && seed % 2 == 0) engine.blocks = 4;
      if (node == 2 && seed % 2 == 1) engine.max_sequences = 1;
    };
    simulated_world world(shape);
    REQUIRE(world.settle());
    std::uint32_t n_refused = 0;
    world.observer().on_moment = [&](const moment& m) {
      if (m.when == "after" && m.what == "relocation_refused") ++n_refused;
    };
    std::vector<std::shared_ptr<client_stream>> streams;
    for (int i = 0; i < 6; ++i)
      streams.push_back(world.submit(world.make_request(50, 20)));
    CHECK(world.settle());
    check(world);
    CHECK(n_refused > 0);
    for (const auto& stream : streams)
      CHECK(stream->whole());
  }
}

TEST_CASE("K and V of another fingerprint are refused", "[sim][refusal]") {
  simulated_world_options shape;
  shape.equip = [](std::size_t node, simulated_engine_options& engine) { engine.fingerprint = node; };
  simulated_world world(shape);
  REQUIRE(world.settle());
  std::uint32_t n_refused = 0;
  world.observer().on_moment = [&](const moment& m) {
    if (m.when == "after" && m.what == "relocation_refused") ++n_refused;
    if (m.what == "relocation_accepted") FAIL("accepted");
  };
  const auto stream = world.submit(world.make_request(50, 40));
  world.run_until([&] { return stream->tokens.size() > 3; }, std::chrono::seconds(5));
  world.migrate(stream->id, 3 - *world.find_request(stream->id));
  CHECK(world.settle());
  CHECK(n_refused == 1);
  CHECK(stream->whole());
  check(world);
}

TEST_CASE("numbers and drained nodes survive the head's restart", "[sim][membership]") {
  const auto folder = std::filesystem::temp_directory_path() / ("troupe-registry-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const auto file = folder / "cluster.sqlite";
  std::filesystem::remove(file);
  std::map<std::size_t, worker_id> numbers;
  for (int run = 0; run < 2; ++run) {
    CAPTURE(run);
    auto store = open_sqlite_registry_store(file);
    REQUIRE(store.has_value());
    // Another seed, so that the nodes join in another order.
    simulated_world world({.seed = 10u + static_cast<std::uint64_t>(run),
                           .roles = {worker_role::both, worker_role::both, worker_role::both},
                           .store = *std::move(store)});
    REQUIRE(world.settle());
    for (std::size_t at = 1; at < world.n_nodes(); ++at) {
      REQUIRE(world.number(at).has_value());
      if (run == 0) numbers[at] = *world.number(at);
      CHECK(*world.number(at) == numbers[at]);
    }
    if (run == 0) {
      world.drain(1);
      world.settle();
    }
    // A drained node takes nothing, also after it was away.
    for (int round = 0; round < 2; ++round) {
      std::vector<std::shared_ptr<client_stream>> streams;
      for (int i = 0; i < 4; ++i)
        streams.push_back(world.submit(world.make_request(20, 20)));
      world.run_until([&] { return streams[3]->tokens.size() > 3; }, std::chrono::seconds(5));
      for (const auto& stream : streams)
        CHECK(world.find_request(stream->id) != 1u);
      CHECK(world.settle());
      for (const auto& stream : streams)
        CHECK(stream->whole());
      if (run == 0) break;
      world.crash(1);
      world.run_for(milliseconds(100));
      world.start(1);
      CHECK(world.settle());
    }
    check(world);
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("a number that is not kept is not given", "[sim][refusal][membership]") {
  const auto store = std::make_shared<failing_store>();
  store->loads_fail = store->saves_fail = true;
  simulated_world world({.roles = {worker_role::both, worker_role::both}, .store = store});
  world.run_for(milliseconds(5000));
  CHECK(!world.number(1).has_value());
  store->loads_fail = false;
  world.run_for(milliseconds(5000));
  CHECK(!world.number(1).has_value());
  CHECK(!world.number(2).has_value());
  store->saves_fail = false;
  REQUIRE(world.settle());
  REQUIRE(world.number(1).has_value());
  REQUIRE(world.number(2).has_value());
  CHECK(world.number(1) != world.number(2));
  CHECK(store->load()->size() == 2);
  // Who is known joins again without the store.
  const auto number = world.number(1);
  store->saves_fail = true;
  world.crash(1);
  world.run_for(milliseconds(100));
  world.start(1);
  REQUIRE(world.settle());
  CHECK(world.number(1) == number);
  check(world);
}
