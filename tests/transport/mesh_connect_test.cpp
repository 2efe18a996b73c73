// How meshes come together, and who is turned away with which reason.
#include "catch.hpp"
#include "mesh_world.hpp"
#include "transport/frame.hpp"

#include <algorithm>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

void check_messages_both_ways(mesh_world& world, mesh_node& a, mesh_node& b) {
  const auto b_at_a = a.up.back(), a_at_b = b.up.back();
  std::vector<std::string> from_a, from_b;
  for (int i = 0; i < 100; ++i) {
    from_a.push_back("a" + std::to_string(i) + std::string(static_cast<std::size_t>(i * 97 % 3000), '.'));
    from_b.push_back("b" + std::to_string(i));
    CHECK(a.send(b_at_a, from_a.back()));
    CHECK(b.send(a_at_b, from_b.back()));
    if (i % 10 == 0) world.run_for(milliseconds(1));
  }
  world.run_for(milliseconds(50));
  CHECK(b.from(a) == from_a);
  CHECK(a.from(b) == from_b);
}

}  // namespace

TEST_CASE("two nodes connect and talk, plainly on one host and sealed between hosts", "[mesh]") {
  const bool sealed = GENERATE(false, true);
  CAPTURE(sealed);
  mesh_world world;
  auto& a = world.add(sealed ? "10.0.0.1" : "127.0.0.1", 1);
  auto& b = world.add(sealed ? "10.0.0.2" : "127.0.0.2", 2);
  std::size_t n_sealed = 0, n_plain = 0;
  a.tap->on_send = [&](link_id, wire::byte_buffer& frame) {
    const auto parsed = parse_frame(frame.bytes());
    CHECK(parsed.error == frame_error::none);
    if (parsed.header.type != frame_type::handshake)
      ((parsed.header.flags & frame_flags::sealed) != 0 ? n_sealed : n_plain) += 1;
    return true;
  };
  const auto at = world.connect(a, b);
  CHECK(at->node() == id_of(2));
  CHECK(b.up.at(0)->node() == id_of(1));
  check_messages_both_ways(world, a, b);
  CHECK(n_sealed * n_plain == 0);
  CHECK((n_sealed > 0) == sealed);
  world.run_for(std::chrono::seconds(60));
  CHECK(a.lost.empty());
  CHECK(b.lost.empty());
  CHECK(a.mesh->counters().peers_up == 1);
  CHECK(a.mesh->counters().messages_received == 100);
  CHECK(a.mesh->counters().refusals().empty());
  CHECK(b.mesh->counters().frames_received == a.mesh->counters().frames_sent + 2);  // those of the handshake
}

TEST_CASE("with a trusted fabric frames between hosts are plain", "[mesh]") {
  mesh_world world;
  const auto trusts = [](mesh_options& options) { options.trusted_fabric = true; };
  auto& a = world.add("10.0.0.1", 1, trusts);
  auto& b = world.add("10.0.0.2", 2, trusts);
  auto& c = world.add("10.0.0.3", 3);
  world.connect(a, b);
  check_messages_both_ways(world, a, b);
  // Who does not trust the fabric is not talked into it, and may still ask for a seal.
  CHECK(contains(world.failure_to_connect(a, c.where), "banned"));
  CHECK(c.n_refused("banned") == 1);
  world.connect(c, a);
}

TEST_CASE("a plain session is for this host, whatever the other side says of itself", "[mesh][security]") {
  mesh_world world;
  auto& b = world.add("10.0.0.2", 2);
  // A neighbour of 10.0.0.2 that believes its link to stay on its host, and so asks for a plain session. It claims to
  // listen nowhere, or where only this host could reach it.
  const std::string claimed = GENERATE("", "127.0.0.1:7100", "localhost:1");
  auto& a = world.add("10.0.0.1", 1, [](mesh_options& options) { options.trusted_fabric = true; });
  a.tap->on_send = [&](link_id, wire::byte_buffer& frame) {
    const auto parsed = parse_frame(frame.bytes());
    const auto message = security::parse_handshake_message(parsed.payload);
    if (message && std::holds_alternative<security::hello_message>(*message)) {
      auto hello = std::get<security::hello_message>(*message);
      CHECK(hello.sender.purpose == link_purpose::plain);
      hello.sender.address = claimed;
      wire::byte_buffer changed;
      changed.extend(frame_header_bytes);
      changed.append(security::encode(hello));
      write_frame_header(changed.bytes(), parsed.header);
      frame = std::move(changed);
    }
    return true;
  };
  CHECK(contains(world.failure_to_connect(a, b.where), "banned"));
  CHECK(b.n_refused("banned") == 1);
  CHECK(b.up.empty());
}

TEST_CASE("a host that the fabric does not know is not this one", "[mesh][security]") {
  mesh_world world;
  auto& a = world.add("127.0.0.1", 1);
  auto& b = world.add("127.0.0.2", 2);
  b.tap->pretended_host = "10.1.2.3";
  CHECK(contains(world.failure_to_connect(a, b.where), "banned"));
  // And who dials a name that leads elsewhere asks for a seal, which is fine with the other side.
  a.tap->pretended_host = "10.1.2.4";
  world.connect(a, b);
  check_messages_both_ways(world, a, b);
}

TEST_CASE("connecting to nobody fails soon", "[mesh]") {
  mesh_world world;
  auto& a = world.add("127.0.0.1", 1);
  CHECK(contains(world.failure_to_connect(a, {"127.0.0.9", 7100}), "nobody listens there"));
  CHECK(a.mesh->counters().peers_lost == 0);
  // And where nothing answers, after the handshake's limit.
  auto& b = world.add("127.0.0.2", 2);
  world.network.cut("127.0.0.1", "127.0.0.2");
  const auto began = world.now;
  CHECK(contains(world.failure_to_connect(a, b.where), "took too long"));
  CHECK(world.now - began < milliseconds(2300));
  CHECK(a.n_refused("timeout") == 1);
}

TEST_CASE("another secret, another cluster, oneself: refused by name on both sides", "[mesh]") {
  mesh_world world;
  auto& a = world.add("127.0.0.1", 1);
  auto& b = world.add("127.0.0.2", 2, [](mesh_options& options) { options.secret = secret_of(2); });
  auto& c = world.add("127.0.0.3", 3, [](mesh_options& options) { options.cluster = "another"; });
  auto& d = world.add("127.0.0.4", 4, [](mesh_options& options) { options.secret = nullptr; });
  CHECK(contains(world.failure_to_connect(a, b.where), "wrong_secret"));
  CHECK(a.n_refused("wrong_secret") == 1);
  CHECK(b.n_refused("wrong_secret") == 1);
  CHECK(contains(world.failure_to_connect(a, c.where), "The other node refused: wrong_cluster"));
  CHECK(c.n_refused("wrong_cluster") == 1);
  CHECK(contains(world.failure_to_connect(a, d.where), "wrong_secret"));
  CHECK(contains(world.failure_to_connect(a, a.where), "self_connection"));
  CHECK(a.refusals.size() >= 4);
  for (const auto& node : world.nodes) {
    CHECK(node->up.empty());
    CHECK(node->lost.empty());
  }
}

TEST_CASE("handshakes that take too long and too many of them at once are refused", "[mesh]") {
  mesh_world world;
  auto& a = world.add("127.0.0.1", 1);
  auto& silent = world.add_stranger("127.0.0.9");
  for (int i = 0; i < 20; ++i)
    REQUIRE(silent.fabric->connect(a.where));
  world.run_for(milliseconds(100));
  CHECK(a.n_refused("busy") == 4);
  CHECK(silent.lost.size() == 4);
  auto& b = world.add("127.0.0.2", 2);
  CHECK(contains(world.failure_to_connect(b, a.where), "closed the connection"));
  CHECK(a.n_refused("busy") == 5);
  world.run_for(milliseconds(2000));
  CHECK(a.n_refused("timeout") == 16);
  CHECK(silent.lost.size() == 20);
  CHECK(silent.frames.size() == 16);  // they were told
  world.connect(b, a);
  // Those who are up do not count as waiting.
  for (int i = 3; i < 30; ++i)
    world.connect(world.add("127.0.0." + std::to_string(100 + i), i), a);
  CHECK(a.n_up() == 28);
}

TEST_CASE("no random bytes, no handshake", "[mesh][security]") {
  mesh_world world;
  bool fails = false;
  auto& a = world.add("127.0.0.1", 1);
  auto& b = world.add("127.0.0.2", 2, [&](mesh_options& options) {
    options.fill_random = [&fails, good = options.fill_random](std::span<std::byte> bytes) -> result<> {
      if (fails) return make_error(errc::internal, "no random bytes today");
      return good(bytes);
    };
  });
  fails = true;
  CHECK(contains(world.failure_to_connect(b, a.where), "no random bytes today"));
  CHECK(contains(world.failure_to_connect(a, b.where), "closed the connection"));
  CHECK(b.n_refused("internal_error") == 1);
  b.mesh->learn(id_of(1), a.where);
  const auto never = b.mesh->find_or_connect(id_of(1));
  CHECK(b.send(never, "lost"));
  world.run_for(milliseconds(10));
  CHECK(!never->alive());
  REQUIRE(b.lost.size() == 1);
  CHECK(contains(b.lost[0].second, "no random bytes today"));
  std::byte place{};
  CHECK(!b.mesh->incoming_bulk().open(id_of(1), {std::span(&place, 1)}, {}));
  fails = false;
  world.connect(a, b);
}

TEST_CASE("a node known by its id is connected to when it is needed", "[mesh]") {
  mesh_world world;
  auto& a = world.add("127.0.0.1", 1);
  auto& b = world.add("127.0.0.2", 2);
  CHECK(a.mesh->find_or_connect(id_of(2)) == nullptr);
  a.mesh->learn(id_of(2), b.where);
  const auto at = a.mesh->find_or_connect(id_of(2));
  REQUIRE(at != nullptr);
  CHECK(a.mesh->find_or_connect(id_of(2)) == at);
  for (const auto text : {"one", "two", "three"})
    CHECK(a.send(at, text));
  REQUIRE(world.run_until([&] { return b.from(a).size() == 3; }));
  CHECK(b.from(a) == std::vector<std::string>{"one", "two", "three"});
  CHECK(a.up == std::vector{at});
  // The other side knows the address from the handshake: it finds its way back after a loss.
  a.mesh->disconnect(*at);
  world.run_for(milliseconds(10));
  CHECK(!at->alive());
  REQUIRE(b.lost.size() == 1);
  CHECK(b.lost[0].second == "it said bye");
  const auto back = b.mesh->find_or_connect(id_of(1));
  REQUIRE(back != nullptr);
  CHECK(b.send(back, "again"));
  REQUIRE(world.run_until([&] { return a.from(b).size() == 1; }));
}

TEST_CASE("somebody else at a node's address is not talked to", "[mesh][security]") {
  mesh_world world;
  auto& a = world.add("127.0.0.1", 1);
  auto& b = world.add("127.0.0.2", 2);
  a.mesh->learn(id_of(7), b.where);
  const auto at = a.mesh->find_or_connect(id_of(7));
  CHECK(a.send(at, "for seven"));
  world.run_for(milliseconds(100));
  CHECK(!at->alive());
  CHECK(a.n_refused("banned") == 1);
  CHECK(b.n_refused("banned") == 1);
  REQUIRE(a.lost.size() == 1);
  CHECK(a.lost[0].first == at);
  CHECK(b.received.empty());
  CHECK(a.up.empty());
  CHECK(a.mesh->find_or_connect(id_of(2)) == nullptr);
}

TEST_CASE("addresses are remembered up to a bound", "[mesh]") {
  mesh_world world;
  auto& a = world.add("127.0.0.1", 1, [](mesh_options& options) { options.max_addresses = 8; });
  auto& b = world.add("127.0.0.2", 2);
  world.connect(a, b);
  for (int i = 3; i < 100; ++i)
    a.mesh->learn(id_of(i), {"127.0.0.9", static_cast<std::uint16_t>(i)});
  int n_known = 0;
  for (int i = 3; i < 100; ++i)
    n_known += a.mesh->find_or_connect(id_of(i)) != nullptr;
  CHECK(n_known == 7);  // and b's, which is connected
  a.mesh->disconnect(*a.up[0]);
  world.run_for(milliseconds(10));
  CHECK(a.mesh->find_or_connect(id_of(2)) != nullptr);
}

TEST_CASE("a mesh that stops answers everybody", "[mesh]") {
  mesh_world world;
  auto& a = world.add("127.0.0.1", 1);
  auto& b = world.add("127.0.0.2", 2);
  auto& c = world.add("127.0.0.3", 3);
  world.connect(a, b);
  std::vector<std::string> answers;
  const auto note = [&](const result<peer_pointer>& peer) { answers.push_back(peer ? "up" : peer.error().message); };
  std::vector<std::byte> memory(1000);
  int n_bulk_done = 0;
  REQUIRE(a.mesh->incoming_bulk().open(id_of(2), {memory}, [&](bool arrived) { n_bulk_done += arrived ? 100 : 1; }));
  a.mesh->send_bulk({a.up[0], 1, 0, {memory}, [&](bool sent) { n_bulk_done += sent ? 100 : 1; }});
  a.mesh->connect(c.where, note);
  a.mesh->poll(world.now);
  a.mesh->connect(c.where, note);
  a.mesh->send_bulk({a.up[0], 1, 0, {memory}, [&](bool sent) { n_bulk_done += sent ? 100 : 1; }});
  a.mesh->stop();
  CHECK(answers == std::vector<std::string>(2, "Cannot connect: this node is shutting down."));
  CHECK(n_bulk_done == 3);
  CHECK(!a.up[0]->alive());
  CHECK(!a.send(a.up[0], "too late"));
  CHECK(!a.mesh->poll(world.now));
  a.mesh->stop();
  a.frozen = true;  // its fabric is gone
  world.run_for(milliseconds(10));
  REQUIRE(b.lost.size() == 1);
  CHECK(b.lost[0].second == "it said bye");
  CHECK(b.mesh->counters().peers_lost == 1);
  CHECK(c.up.empty());
}
