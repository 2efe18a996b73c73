// Two nodes that connect to each other at the same time, in every order that latencies make: one session comes up, and
// what was queued arrives once.
#include "catch.hpp"
#include "mesh_world.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

enum class way { by_address, by_id, by_both };

const std::vector<std::string> words = {"one", "two", "three", "four", "five"};

/// What a side does when its time has come. With an address there is nobody to send to before the answer.
void begin(mesh_node& from, mesh_node& to, way how, int& n_answers) {
  const auto send_all = [&from](const peer_pointer& at) {
    for (const auto& word : words)
      CHECK(from.send(at, word));
  };
  if (how != way::by_id) {
    from.mesh->connect(to.where, [&n_answers, send_all, how](const result<peer_pointer>& at) {
      ++n_answers;
      INFO((at ? std::string() : at.error().message));
      REQUIRE(at.has_value());
      CHECK((*at)->alive());
      if (how == way::by_address) send_all(*at);
    });
  }
  if (how != way::by_address) {
    from.mesh->learn(to.mesh->self(), to.where);
    send_all(from.mesh->find_or_connect(to.mesh->self()));
  }
}

void check_one_session(mesh_node& at, mesh_node& other) {
  CHECK(at.mesh->counters().peers_up == 1);
  CHECK(at.mesh->counters().peers_lost == 0);
  CHECK(at.n_up() == 1);
  CHECK(at.from(other) == words);
}

struct schedule {
  int first_number;  // of the node that begins
  way first;
  way second;
  int pause_us;  // until the other begins
  int there_us;  // latency
  int back_us;
};

void check(const schedule& plan) {
  CAPTURE(plan.first_number, static_cast<int>(plan.first), static_cast<int>(plan.second), plan.pause_us, plan.there_us,
          plan.back_us);
  mesh_world world;
  auto& a = world.add("127.0.0.1", plan.first_number);
  auto& b = world.add("127.0.0.2", 3 - plan.first_number);
  world.network.set_latency(a.host, b.host, std::chrono::microseconds(plan.there_us));
  world.network.set_latency(b.host, a.host, std::chrono::microseconds(plan.back_us));
  int n_answers_a = 0, n_answers_b = 0;
  begin(a, b, plan.first, n_answers_a);
  world.run_for(std::chrono::microseconds(plan.pause_us));
  begin(b, a, plan.second, n_answers_b);
  CHECK(world.run_until([&] { return a.from(b) == words && b.from(a) == words; }, milliseconds(300)));
  world.run_for(milliseconds(50));
  CHECK(n_answers_a == (plan.first != way::by_id));
  CHECK(n_answers_b == (plan.second != way::by_id));
  check_one_session(a, b);
  check_one_session(b, a);
}

}  // namespace

TEST_CASE("simultaneous connections: one session stays, queued messages arrive once", "[mesh][simultaneous]") {
  int n = 0;
  for (const int first_number : {1, 2})
    for (const way first : {way::by_address, way::by_id, way::by_both})
      for (const way second : {way::by_address, way::by_id, way::by_both})
        for (int pause_us = 0; pause_us <= 8000; pause_us += 250)
          for (const auto& [there, back] :
               {std::pair{1000, 1000}, {1000, 2500}, {2500, 1000}, {300, 3000}, {3000, 300}, {1700, 1600}}) {
            check({first_number, first, second, pause_us, there, back});
            ++n;
          }
  CHECK(n == 3564);
}

TEST_CASE("simultaneous connections whose links are late each in its own way", "[mesh][simultaneous]") {
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    CAPTURE(seed);
    random_stream random(seed);
    const int first_number = 1 + static_cast<int>(random.below(2));
    mesh_world world;
    auto& a = world.add("127.0.0.1", first_number);
    auto& b = world.add("127.0.0.2", 3 - first_number);
    for (auto* node : {&a, &b}) {
      for (int i = 0; i < 12; ++i)
        node->faults->order(fault_direction::out, fault::delay, 1, std::chrono::microseconds(random.below(6000)));
    }
    int n_answers_a = 0, n_answers_b = 0;
    const auto how_a = static_cast<way>(random.below(3)), how_b = static_cast<way>(random.below(3));
    begin(a, b, how_a, n_answers_a);
    world.run_for(std::chrono::microseconds(random.below(5000)));
    begin(b, a, how_b, n_answers_b);
    world.run_for(milliseconds(100));
    CHECK(n_answers_a == (how_a != way::by_id));
    CHECK(n_answers_b == (how_b != way::by_id));
    check_one_session(a, b);
    check_one_session(b, a);
  }
}

TEST_CASE("a side that dials twice has one session and two answers", "[mesh][simultaneous]") {
  for (int pause_us = 0; pause_us <= 8000; pause_us += 100) {
    for (const int n_dials : {2, 5}) {
      CAPTURE(pause_us, n_dials);
      mesh_world world;
      auto& a = world.add("127.0.0.1", 1);
      auto& b = world.add("127.0.0.2", 2);
      std::vector<peer_pointer> answers;
      for (int i = 0; i < n_dials; ++i) {
        a.mesh->connect(b.where, [&](const result<peer_pointer>& at) {
          INFO((at ? std::string() : at.error().message));
          REQUIRE(at.has_value());
          answers.push_back(*at);
        });
        world.run_for(std::chrono::microseconds(pause_us));
      }
      world.run_for(milliseconds(50));
      CHECK(answers == std::vector<peer_pointer>(static_cast<std::size_t>(n_dials), a.up.at(0)));
      CHECK(a.mesh->counters().peers_up == 1);
      CHECK(b.mesh->counters().peers_up == 1);
      CHECK(a.n_up() == 1);
      CHECK(b.n_up() == 1);
    }
  }
}

TEST_CASE("a claimed name keeps nobody out", "[mesh][simultaneous][security]") {
  // Somebody who knows an id but no secret sends its hello to b, and goes no further.
  mesh_world world;
  auto& a = world.add("127.0.0.1", 1);
  auto& b = world.add("127.0.0.2", 2);
  std::vector<std::byte> hello;
  a.tap->on_send = [&](link_id, wire::byte_buffer& frame) {
    if (hello.empty()) hello.assign(frame.bytes().begin(), frame.bytes().end());
    return true;
  };
  auto& listener = world.add("127.0.0.3", 3, [](mesh_options& options) { options.secret = secret_of(9); });
  world.failure_to_connect(a, listener.where);
  auto& claims = world.add_stranger("127.0.0.9");
  claims.send(*claims.fabric->connect(b.where), hello);
  world.run_for(milliseconds(10));
  REQUIRE(claims.frames.size() == 1);  // b's challenge
  CHECK(world.connect(b, a)->node() == id_of(1));
  world.run_for(milliseconds(10));
  world.run_for(std::chrono::seconds(3));
  CHECK(a.n_up() == 1);
  CHECK(b.n_up() == 1);
  CHECK(b.lost.empty());
}

TEST_CASE("three nodes all connect to each other at once", "[mesh][simultaneous]") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    random_stream random(seed);
    mesh_world world;
    std::vector<mesh_node*> nodes;
    for (int i = 1; i <= 3; ++i)
      nodes.push_back(&world.add("10.0.0." + std::to_string(i), i));  // sealed
    for (auto* from : nodes)
      for (auto* to : nodes)
        world.network.set_latency(from->host, to->host, std::chrono::microseconds(100 + random.below(4000)));
    int n_answers = 0;
    for (auto* from : nodes) {
      for (auto* to : nodes) {
        if (from == to) continue;
        begin(*from, *to, static_cast<way>(random.below(2)), n_answers);
        world.run_for(std::chrono::microseconds(random.below(3000)));
      }
    }
    world.run_for(milliseconds(100));
    for (auto* at : nodes) {
      CHECK(at->n_up() == 2);
      CHECK(at->mesh->counters().peers_up == 2);
      CHECK(at->lost.empty());
      for (auto* other : nodes)
        if (at != other) CHECK(at->from(*other) == words);
    }
  }
}
