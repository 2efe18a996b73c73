// How sessions end: silence, crashes, byes and too much that lies; and what must not end them.
#include "catch.hpp"
#include "mesh_world.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

constexpr auto dead_after = milliseconds(1000);
constexpr auto beat = milliseconds(200);

struct pair_of_nodes {
  mesh_world world;
  mesh_node& a = world.add("127.0.0.1", 1);
  mesh_node& b = world.add("127.0.0.2", 2);
  peer_pointer b_at_a = world.connect(a, b);
  peer_pointer a_at_b = b.up.at(0);

  /// How long until a node has lost its peer.
  duration time_to_loss(mesh_node& at) {
    const auto began = world.now;
    REQUIRE(world.run_until([&] { return !at.lost.empty(); }));
    return world.now - began;
  }
  void check_gone() {
    world.run_for(milliseconds(100));
    for (const auto* node : {&a, &b}) {
      CHECK(node->lost.size() == 1);
      CHECK(node->mesh->counters().peers_lost == 1);
      CHECK(node->n_up() == 0);
    }
    CHECK(!a.send(b_at_a, "late"));
    CHECK(!b.send(a_at_b, "late"));
    world.run_for(milliseconds(2000));
    CHECK(a.lost.size() == 1);
    CHECK(b.lost.size() == 1);
  }
};

}  // namespace

TEST_CASE("a silent partition is noticed within the limit and a beat", "[mesh][liveness]") {
  for (int offset_ms = 0; offset_ms < 400; offset_ms += 7) {
    CAPTURE(offset_ms);
    pair_of_nodes pair;
    pair.world.run_for(milliseconds(offset_ms));
    const bool both_ways = offset_ms % 2 == 0;
    pair.world.network.cut(pair.a.host, pair.b.host);
    if (both_ways) pair.world.network.cut(pair.b.host, pair.a.host);
    // b hears nothing any more.
    const auto time = pair.time_to_loss(pair.b);
    CHECK(time <= dead_after + milliseconds(2));
    CHECK(time >= dead_after - beat - milliseconds(2));
    CHECK(pair.b.lost[0].second == "no sign of life");
    // a is told by b's closing the link, or notices by itself.
    pair.world.run_for(both_ways ? beat : milliseconds(10));
    CHECK(pair.a.lost.size() == 1);
    pair.check_gone();
    // When it heals they find each other again.
    pair.world.network.heal(pair.a.host, pair.b.host);
    pair.world.network.heal(pair.b.host, pair.a.host);
    const auto again = pair.b.mesh->find_or_connect(pair.a.mesh->self());
    CHECK(pair.b.send(again, "hello again"));
    REQUIRE(pair.world.run_until([&] { return pair.a.from(pair.b).size() == 1; }));
    CHECK(again != pair.a_at_b);
  }
}

TEST_CASE("what is lost on the way is not delivered later", "[mesh][liveness]") {
  pair_of_nodes pair;
  pair.world.network.cut(pair.a.host, pair.b.host);
  CHECK(pair.a.send(pair.b_at_a, "into the void"));
  pair.world.run_for(milliseconds(500));
  pair.world.network.heal(pair.a.host, pair.b.host);
  // The hole shows with the next frame, long before the silence would.
  const auto time = pair.time_to_loss(pair.b);
  CHECK(time <= beat + milliseconds(2));
  CHECK(pair.b.lost[0].second == "a frame out of sequence");
  CHECK(pair.b.n_refused("wrong_session") == 1);
  CHECK(pair.b.received.empty());
  pair.check_gone();
}

TEST_CASE("a crash is told, what had left before it still arrives", "[mesh][liveness]") {
  pair_of_nodes pair;
  CHECK(pair.a.send(pair.b_at_a, "last words"));
  pair.a.mesh->poll(pair.world.now);
  pair.world.network.crash(pair.a.host);
  CHECK(pair.a.send(pair.b_at_a, "from a dead process"));
  const auto time = pair.time_to_loss(pair.b);
  CHECK(time <= milliseconds(6));
  CHECK(pair.b.from(pair.a) == std::vector<std::string>{"last words"});
  CHECK(pair.b.lost[0].second == "the process is gone");
  // A new process on the same host is another node, and outlives the old one's object.
  const auto host = pair.a.host;
  auto& reborn = pair.world.add(host, 7);
  pair.world.remove(pair.a);
  pair.world.connect(reborn, pair.b);
  CHECK(reborn.n_up() == 1);
  pair.world.run_for(std::chrono::seconds(5));
  CHECK(pair.b.n_up() == 1);
}

TEST_CASE("a bye ends a session at once on both sides", "[mesh][liveness]") {
  pair_of_nodes pair;
  CHECK(pair.a.send(pair.b_at_a, "before"));
  pair.a.mesh->disconnect(*pair.b_at_a);
  pair.world.run_for(milliseconds(2));
  CHECK(pair.b.from(pair.a) == std::vector<std::string>{"before"});
  REQUIRE(pair.b.lost.size() == 1);
  CHECK(pair.b.lost[0].second == "it said bye");
  REQUIRE(pair.a.lost.size() == 1);
  CHECK(pair.a.lost[0].second == "this node closed the session");
  CHECK(pair.a.refusals.empty());
  CHECK(pair.b.refusals.empty());
  pair.check_gone();
  pair.a.mesh->disconnect(*pair.b_at_a);  // again: nothing
  pair.world.run_for(milliseconds(2));
}

TEST_CASE("a node that was kept from running kills nobody", "[mesh][liveness]") {
  SECTION("one side, for less than the limit") {
    for (int pause_ms = 100; pause_ms <= 790; pause_ms += 30) {
      CAPTURE(pause_ms);
      pair_of_nodes pair;
      for (int i = 0; i < 5; ++i) {
        pair.b.frozen = true;
        pair.world.run_for(milliseconds(pause_ms));
        pair.b.frozen = false;
        pair.world.run_for(milliseconds(220));
      }
      CHECK(pair.a.lost.empty());
      CHECK(pair.b.lost.empty());
    }
  }
  SECTION("one side, for long: the other gives it up, and is not given up itself") {
    pair_of_nodes pair;
    pair.b.frozen = true;
    const auto time = pair.time_to_loss(pair.a);
    CHECK(time <= dead_after + milliseconds(2));
    pair.world.run_for(std::chrono::seconds(5));
    pair.b.frozen = false;
    pair.world.run_for(milliseconds(1));
    REQUIRE(pair.b.lost.size() == 1);
    CHECK(pair.b.lost[0].second == "the other side closed the connection");
    CHECK(pair.b.n_refused("timeout") == 0);
  }
  SECTION("both, as when their machine sleeps; and then silence is noticed as soon as ever") {
    pair_of_nodes pair;
    pair.a.frozen = pair.b.frozen = true;
    pair.world.run_for(std::chrono::seconds(10));
    pair.a.frozen = pair.b.frozen = false;
    pair.world.run_for(milliseconds(1));
    CHECK(pair.a.lost.empty());
    CHECK(pair.b.lost.empty());
    pair.world.network.cut(pair.a.host, pair.b.host);
    pair.world.network.cut(pair.b.host, pair.a.host);
    CHECK(pair.time_to_loss(pair.a) <= dead_after + beat);
    pair.world.run_for(beat);
    CHECK(pair.b.lost.size() == 1);
  }
  SECTION("one side that hears the other again at once notices silence as soon as ever") {
    pair_of_nodes pair;
    pair.b.frozen = true;
    pair.world.run_for(milliseconds(790));
    pair.b.frozen = false;
    pair.world.run_for(milliseconds(1));
    pair.world.network.cut(pair.a.host, pair.b.host);
    pair.world.network.cut(pair.b.host, pair.a.host);
    CHECK(pair.time_to_loss(pair.b) <= dead_after + beat);
  }
  SECTION("in the middle of a handshake") {
    mesh_world world;
    auto& a = world.add("127.0.0.1", 1);
    auto& b = world.add("127.0.0.2", 2);
    bool connected = false;
    a.mesh->connect(b.where, [&](const result<peer_pointer>& at) { connected = at.has_value(); });
    a.mesh->poll(world.now);
    a.frozen = b.frozen = true;
    world.run_for(std::chrono::seconds(30));
    a.frozen = b.frozen = false;
    CHECK(world.run_until([&] { return connected; }));
  }
}

TEST_CASE("messages arrive in order and once, up to the loss", "[mesh][liveness]") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    random_stream random(seed);
    pair_of_nodes pair;
    std::vector<std::string> sent;
    const auto n_before_loss = random.below(200);
    for (std::uint64_t i = 0; i < 300; ++i) {
      sent.push_back(std::to_string(i) + std::string(random.below(500), 'x'));
      if (!pair.a.send(pair.b_at_a, sent.back())) break;
      if (i == n_before_loss) {
        if (seed % 3 == 0) pair.world.network.crash(pair.a.host);
        if (seed % 3 == 1) pair.world.network.cut(pair.a.host, pair.b.host);
        if (seed % 3 == 2) pair.a.mesh->disconnect(*pair.b_at_a);
      }
      if (random.below(3) == 0) pair.world.run_for(std::chrono::microseconds(random.below(2000)));
    }
    pair.world.run_for(milliseconds(1500));
    const auto& got = pair.b.from(pair.a);
    CHECK(got.size() <= sent.size());
    CHECK(std::equal(got.begin(), got.end(), sent.begin()));
    CHECK(pair.b.lost.size() == 1);
  }
}

TEST_CASE("a peer that lets too much lie is given up, and nothing follows what was refused", "[mesh][liveness]") {
  mesh_world world({.latency = milliseconds(1), .bytes_per_second = 1e6});
  const auto small = [](mesh_options& options) {
    options.outbox.soft_bytes = 100'000;
    options.outbox.hard_bytes = 500'000;
    options.max_unsent_bytes = 50'000;
  };
  auto& a = world.add("127.0.0.1", 1, small);
  auto& b = world.add("127.0.0.2", 2);
  auto& c = world.add("127.0.0.3", 3);
  const auto at = world.connect(a, b);
  world.connect(a, c);
  const std::string large(10'000, 'x');
  int n_sent = 0;
  while (a.send(at, large)) {
    ++n_sent;
    a.mesh->poll(world.now);
  }
  CHECK(n_sent > 50);
  CHECK(n_sent < 65);
  CHECK(!a.send(at, "small"));
  world.run_for(milliseconds(1));
  REQUIRE(a.lost.size() == 1);
  CHECK(a.lost[0].second == "it lets too much lie");
  CHECK(!at->alive());
  world.run_for(std::chrono::seconds(1));
  CHECK(b.lost.size() == 1);
  CHECK(b.from(a).size() < static_cast<std::size_t>(n_sent));
  CHECK(a.n_up() == 1);  // c is not harmed
  // One that is still being connected to is given up as well.
  a.mesh->learn(id_of(9), {"127.0.0.9", 1});
  const auto waiting = a.mesh->find_or_connect(id_of(9));
  world.network.cut(a.host, "127.0.0.9");
  a.mesh->poll(world.now);
  while (a.send(waiting, large)) {
  }
  a.mesh->poll(world.now);
  CHECK(!waiting->alive());
  REQUIRE(a.lost.size() == 2);
  CHECK(a.lost[1].second == "it lets too much lie");
}

TEST_CASE("a long message on a slow link is no silence", "[mesh][liveness]") {
  // 4 Mbit/s: 34 s for the message.
  mesh_world world({.latency = milliseconds(1), .bytes_per_second = 5e5});
  auto& a = world.add("10.0.0.1", 1);
  auto& b = world.add("10.0.0.2", 2);
  const auto at = world.connect(a, b);
  CHECK(a.send(at, std::string(max_message_bytes, 'y')));
  CHECK(a.send(at, "behind"));
  CHECK(world.run_until([&] { return b.from(a).size() == 2; }, std::chrono::seconds(60)));
  CHECK(b.from(a).front().size() == max_message_bytes);
  CHECK(a.lost.empty());
  CHECK(b.lost.empty());
}

TEST_CASE("a message that is too large is refused and harms nobody", "[mesh][liveness]") {
  const bool sealed = GENERATE(false, true);
  mesh_world world;
  auto& a = world.add(sealed ? "10.0.0.1" : "127.0.0.1", 1);
  auto& b = world.add(sealed ? "10.0.0.2" : "127.0.0.2", 2);
  const auto at = world.connect(a, b);
  CHECK(a.send(at, "before"));
  CHECK(!a.send(at, std::string(max_message_bytes + 1, 'x')));
  CHECK(a.send(at, std::string(max_message_bytes, 'y')));
  CHECK(a.send(at, ""));
  world.run_for(milliseconds(10));
  const auto& got = b.from(a);
  REQUIRE(got.size() == 3);
  CHECK(got[0] == "before");
  CHECK(got[1].size() == max_message_bytes);
  CHECK(got[2].empty());
  CHECK(a.lost.empty());
}
