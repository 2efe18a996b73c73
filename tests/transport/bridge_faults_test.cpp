// Bridges when things go wrong: nodes that are lost, come back or send nonsense, types that one side does not know.
#include "base/random.hpp"
#include "bridge_stage.hpp"
#include "catch.hpp"
#include "mesh_world.hpp"

#include <algorithm>
#include <cstring>

#include <malloc.h>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

using lines = std::shared_ptr<std::vector<std::string>>;
lines new_lines() {
  return std::make_shared<std::vector<std::string>>();
}

std::string error_text(const caf::error& failure) {
  return "error " + caf::to_string(failure);
}

/// Never answers.
caf::behavior silent(caf::event_based_actor* self) {
  return {[self](const std::string&) { return self->make_response_promise(); }};
}
caf::behavior echo(caf::event_based_actor* self) {
  self->set_default_handler(caf::reflect);
  return {[](const std::string& text) { return text; }};
}

template <class Answer = std::string, class T>
caf::actor ask(bridge_node& from, const caf::actor& whom, const lines& to, const T& x) {
  return from.spawn([=](caf::event_based_actor* self) -> caf::behavior {
    self->request(whom, caf::infinite, x)
        .then([to](const Answer&) { to->push_back("answered"); },
              [to](const caf::error& failure) { to->push_back(error_text(failure)); });
    return {[](std::uint8_t) {}};
  });
}

struct bridged_pair {
  bridge_world world;
  bridge_node& a;
  bridge_node& b;
  bridged_pair(bool a_knows_more = false, bool b_knows_more = false)
      : a(world.add("127.0.0.1", a_knows_more)), b(world.add("127.0.0.2", b_knows_more)) {}
  caf::actor at_a(const caf::actor& of_b, const std::string& name = "it") {
    b.bridge().publish(name, of_b);
    return world.resolve(a, b, name);
  }
};

const std::string receiver_down = error_text(caf::sec::request_receiver_down);

}  // namespace

TEST_CASE("a lost node: requests are answered, monitors and links told, once", "[bridge][faults]") {
  const int how = GENERATE(0, 1, 2, 3);
  CAPTURE(how);
  bridged_pair pair;
  const auto to = pair.at_a(pair.b.spawn(silent));
  const auto answers = new_lines(), told = new_lines();
  for (int i = 0; i < 50; ++i)
    ask(pair.a, to, answers, std::string("hello"));
  pair.a.spawn([=](caf::event_based_actor* self) -> caf::behavior {
    self->set_down_handler([told](caf::down_msg& down) { told->push_back("down " + caf::to_string(down.reason)); });
    self->set_exit_handler([told](caf::exit_msg& exit) { told->push_back("exit " + caf::to_string(exit.reason)); });
    self->monitor(to);
    self->link_to(to);
    return {[](std::uint8_t) {}};
  });
  pair.world.settle();
  CHECK(answers->empty());
  if (how == 0) {
    pair.world.network.crash(pair.b.host);
    pair.b.frozen = true;
  }
  if (how == 1) {
    pair.world.network.cut(pair.a.host, pair.b.host);
    pair.world.network.cut(pair.b.host, pair.a.host);
  }
  if (how == 2) pair.b.bridge().disconnect(pair.a.id());
  if (how == 3) pair.world.remove(pair.b);
  pair.world.run_for(milliseconds(1500));
  CHECK(*answers == std::vector<std::string>(50, receiver_down));
  std::ranges::sort(*told);
  const auto reason = caf::to_string(caf::make_error(caf::exit_reason::remote_link_unreachable));
  CHECK(*told == std::vector<std::string>{"down " + reason, "exit " + reason});
  // Later ones fail at once.
  ask(pair.a, to, answers, std::string("anybody?"));
  pair.world.settle();
  CHECK(answers->size() == 51);
  CHECK(answers->back() == receiver_down);
  CHECK(std::ranges::count_if(pair.a.events, [](const auto& event) { return event.starts_with("node lost"); }) == 1);
}

TEST_CASE("a node that was restarted is found again; old handles stay dead", "[bridge][faults]") {
  bridge_world world;
  auto& a = world.add("127.0.0.1");
  std::vector<caf::actor> handles;
  for (int round = 0; round < 5; ++round) {
    auto& b = world.add("127.0.0.2");
    b.bridge().publish("it", b.spawn(echo));
    handles.push_back(world.resolve(a, b, "it"));
    const auto answers = new_lines();
    for (const auto& handle : handles)
      ask(a, handle, answers, std::string("hello"));
    world.settle();
    std::vector<std::string> expected(handles.size() - 1, receiver_down);
    expected.insert(expected.begin(), "answered");
    std::ranges::sort(*answers);
    CHECK(*answers == expected);
    if (round % 2 == 0) world.network.crash(b.host);
    world.remove(b);
    world.settle();
  }
  CHECK(a.bridge().mesh().counters().peers_lost == 5);
}

TEST_CASE("after a partition the same node is another peer, and its actors are found anew", "[bridge][faults]") {
  bridged_pair pair;
  const auto actor_of_b = pair.b.spawn(echo);
  const auto before = pair.at_a(actor_of_b);
  pair.world.network.cut(pair.a.host, pair.b.host);
  pair.world.network.cut(pair.b.host, pair.a.host);
  pair.world.run_for(milliseconds(1500));
  pair.world.network.heal(pair.a.host, pair.b.host);
  pair.world.network.heal(pair.b.host, pair.a.host);
  const auto after = pair.world.resolve(pair.a, pair.b, "it");
  CHECK(caf::actor_cast<caf::abstract_actor*>(before) != caf::actor_cast<caf::abstract_actor*>(after));
  const auto answers = new_lines();
  ask(pair.a, after, answers, std::string("hello"));
  ask(pair.a, before, answers, std::string("hello"));
  pair.world.settle();
  std::ranges::sort(*answers);
  CHECK(*answers == std::vector<std::string>{"answered", receiver_down});
}

TEST_CASE("what cannot be sent is an error to who asks and to who waits", "[bridge][faults]") {
  bridged_pair pair;
  const auto answers = new_lines();
  const auto to = pair.at_a(pair.b.spawn([](caf::event_based_actor*) -> caf::behavior {
    return {[](const std::string&) { return local_note{1}; },
            [](std::uint64_t size) { return std::vector<char>(size); }, [](const note&) {}};
  }));
  ask(pair.a, to, answers, local_note{2});                                // the request
  ask<local_note>(pair.a, to, answers, std::string());                    // the answer
  ask<std::vector<char>>(pair.a, to, answers, std::uint64_t{16u << 20});  // an answer that is too large
  caf::anon_send(to, local_note{3});                                      // nobody hears of this one, but it is noted
  pair.world.settle();
  CHECK(*answers == std::vector<std::string>(3, error_text(caf::sec::invalid_argument)));
  CHECK(pair.a.events.size() == 2);
  CHECK(pair.b.events.size() == 2);
  CHECK(pair.b.events[0].starts_with("not sent: "));
  ask(pair.a, to, answers, note{});
  pair.world.settle();
  CHECK(pair.a.bridge().mesh().counters().peers_lost == 0);
}

TEST_CASE("a type that only the sender knows is an error, not the end", "[bridge][faults]") {
  const bool sender_asks = GENERATE(true, false);
  CAPTURE(sender_asks);
  // As request it bounces, as answer it becomes an error.
  bridged_pair pair(sender_asks, !sender_asks);
  const auto answers = new_lines();
  const auto to = pair.at_a(pair.b.spawn([](caf::event_based_actor*) -> caf::behavior {
    return {[](const std::string&) { return rare_note{1}; }, [](const rare_note&) { return std::string("known"); }};
  }));
  if (sender_asks) ask(pair.a, to, answers, rare_note{1});
  if (!sender_asks) ask<rare_note>(pair.a, to, answers, std::string());
  pair.world.settle();
  CHECK(*answers == std::vector<std::string>{error_text(caf::sec::unexpected_message)});
  const auto& events = sender_asks ? pair.b.events : pair.a.events;
  CHECK(events == std::vector<std::string>{"not understood: no type is called 'rare_note'"});
  CHECK(pair.a.bridge().mesh().counters().peers_lost == 0);
}

TEST_CASE("more elements than a message may have are refused on both sides", "[bridge][faults]") {
  const auto codec = make_test_codec(false);
  struct no_handles final : handle_codec {
    void expose(const caf::strong_actor_ptr&) override {}
    caf::strong_actor_ptr resolve(const node_id&, std::uint64_t) override { return nullptr; }
    const node_id& self() const override { return id; }
    node_id id;
  } handles;
  const auto message_of = [](std::size_t n) {
    caf::message_builder builder;
    for (std::size_t i = 0; i < n; ++i)
      builder.append(std::uint8_t{1});
    return builder.to_message();
  };
  for (const std::size_t n : {0u, 1u, 2u, 63u, 64u, 65u, 1000u}) {
    CAPTURE(n);
    wire::byte_buffer bytes;
    CHECK(codec.encode(message_of(n), {}, handles, bytes) == (n <= max_message_elements));
  }
  // Three bytes an element on the wire, a hundred in memory.
  wire::byte_buffer many;
  wire::writer writer(many);
  const std::uint32_t n = 1'000'000;
  writer.begin_array(2 * n);
  for (std::uint32_t i = 0; i < n; ++i) {
    writer.write(std::string_view("unit"));
    writer.begin_array(0);
  }
  caf::message decoded;
  std::string failure;
  CHECK(!codec.decode(many.bytes(), {}, handles, decoded, failure));
  CHECK(failure == "a message has at most 64 elements");
}

TEST_CASE("requests that are asked while a bridge stops are answered", "[bridge][faults]") {
  bridged_pair pair;
  pair.world.network.cut(pair.b.host, pair.a.host);
  std::vector<std::string> answers;
  pair.a.bridge().resolve(pair.b.where, "it", [&](const result<caf::actor>& answer) {
    answers.push_back(answer ? "found" : answer.error().message);
  });
  pair.world.run_for(milliseconds(5));
  pair.world.network.heal(pair.b.host, pair.a.host);
  pair.world.remove(pair.a);
  CHECK(answers.size() == 1);
}

namespace {

/// A mesh that speaks to a bridge, with the same network and no actors.
mesh_node& add_plain_mesh(bridge_world& world, mesh_node& node, const std::string& host) {
  mesh_options options;
  options.self = id_of(200);
  options.fill_random = [random = random_stream(5)](std::span<std::byte> bytes) mutable -> result<> {
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
    return {};
  };
  node.mesh = std::make_unique<mesh>(world.network.make_fabric(host), std::move(options), node);
  node.mesh->adopt_thread();
  return node;
}

peer_pointer connect_plain(bridge_world& world, mesh_node& node, bridge_node& to) {
  peer_pointer at;
  node.mesh->connect(to.where, [&](const result<peer_pointer>& peer) { at = peer ? *peer : nullptr; });
  world.run_until([&] {
    node.mesh->poll(world.now);
    return at != nullptr && at->alive();
  });
  REQUIRE(at != nullptr);
  return at;
}

void run_with(bridge_world& world, mesh_node& node, duration time) {
  const auto end = world.now + time;
  world.run_until(
      [&] {
        node.mesh->poll(world.now);
        return world.now >= end;
      },
      time + milliseconds(1));
}

/// A bridge's message: any kind, plausible ids, any content.
std::vector<std::byte> random_message(random_stream& random, std::uint64_t an_id, const wire::byte_buffer& letter) {
  std::vector<std::byte> message(32);
  message[0] = static_cast<std::byte>(random.below(12) == 0 ? random.below(256) : 1 + random.below(7));
  message[1] = static_cast<std::byte>(random.below(4) == 0 ? random.below(8) : 0);
  const std::uint64_t fields[] = {random.below(4) == 0 ? random() : (random.below(2) << 63) | random.below(5),
                                  random.below(5), random.below(2) == 0 ? an_id : random.below(20)};
  std::memcpy(message.data() + 8, fields, sizeof fields);
  message.insert(message.end(), letter.bytes().begin(), letter.bytes().end());
  for (std::uint64_t n = random.below(4); n > 0; --n)
    message[random.below(message.size())] ^= std::byte{1} << random.below(8);
  if (random.below(20) == 0) message.resize(random.below(message.size()));
  return message;
}

}  // namespace

TEST_CASE("nonsense from a member harms nobody else", "[bridge][faults][fuzz]") {
  bridge_world world;
  auto& a = world.add("127.0.0.1", true);
  auto& b = world.add("127.0.0.2", true);
  const auto target = b.spawn(echo);
  b.bridge().publish("it", target);
  const auto to = world.resolve(a, b, "it");
  // Letters that are good until they are changed.
  struct own_handles final : handle_codec {
    void expose(const caf::strong_actor_ptr&) override {}
    caf::strong_actor_ptr resolve(const node_id&, std::uint64_t) override { return nullptr; }
    const node_id& self() const override { return id; }
    node_id id;
  } handles;
  const auto codec = make_test_codec(true);
  std::vector<wire::byte_buffer> letters(5);
  codec.encode(caf::make_message(std::string("text")), {}, handles, letters[0]);
  codec.encode(caf::make_message(note{1, "two", {3}}, caf::strong_actor_ptr()), {}, handles, letters[1]);
  codec.encode(caf::make_message(caf::exit_msg{{}, caf::make_error(caf::sec::runtime_error)}), {}, handles, letters[2]);
  codec.encode(caf::make_message(caf::make_error(caf::sec::runtime_error, std::string("x"))), {}, handles, letters[3]);
  mesh_node node;
  add_plain_mesh(world, node, "127.0.0.9");
  random_stream random(1);
  peer_pointer at;
  for (int i = 0; i < 20'000; ++i) {
    if (at == nullptr || !at->alive()) at = connect_plain(world, node, b);
    const auto message = random_message(random, target.id(), letters[random.below(letters.size())]);
    node.mesh->send(at, message);
    if (i % 16 == 0) run_with(world, node, milliseconds(3));
  }
  run_with(world, node, milliseconds(10));
  CHECK(b.bridge().mesh().counters().refusals().at("malformed_message") > 100);
  CHECK(node.lost.size() > 100);
  // Somebody may have sent the actor an exit message; the node lives, and a's session with it.
  CHECK(a.bridge().mesh().counters().peers_lost == 0);
  const auto answers = new_lines();
  b.bridge().publish("another", b.spawn(echo));
  ask(a, world.resolve(a, b, "another"), answers, std::string("hello"));
  world.settle();
  CHECK(*answers == std::vector<std::string>{"answered"});
}

TEST_CASE("short-lived actors, lost nodes and answered requests leave nothing behind", "[bridge][faults]") {
  bridge_world world;
  auto& a = world.add("127.0.0.1");
  auto& b = world.add("127.0.0.2");
  b.bridge().publish("it", b.spawn(echo));
  auto to = world.resolve(a, b, "it");
  const auto n_answered = std::make_shared<int>();
  // Each asker is an actor of its own, which b gets a handle of.
  const auto round = [&](int n) {
    for (int i = 0; i < n; ++i)
      a.system().spawn([to, n_answered](caf::event_based_actor* self) {
        self->request(to, caf::infinite, std::string("hello")).then([=](const std::string&) {
          ++*n_answered;
          self->quit();
        });
      });
    world.settle();
  };
  const auto in_use = [] { return ::mallinfo2().uordblks; };
  round(2000);
  const auto before = in_use();
  for (int i = 0; i < 10; ++i)
    round(2000);
  CHECK(*n_answered == 22'000);
  CHECK(in_use() < before + 200'000);
  // Sessions come and go; what a long-lived actor has of them goes as well.
  const auto reconnect = [&] {
    a.bridge().disconnect(b.id());
    world.settle();
    to = world.resolve(a, b, "it");
  };
  for (int i = 0; i < 20; ++i)
    reconnect();
  const auto with_sessions = in_use();
  for (int i = 0; i < 200; ++i)
    reconnect();
  CHECK(in_use() < with_sessions + 100'000);
  round(10);
  CHECK(*n_answered == 22'010);
}
