// Actors of several systems talk over bridges as if they were of one.
#include "bridge_stage.hpp"
#include "catch.hpp"

#include <algorithm>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

using lines = std::shared_ptr<std::vector<std::string>>;

lines new_lines() {
  return std::make_shared<std::vector<std::string>>();
}

/// Answers each message with itself.
caf::behavior echo(caf::event_based_actor* self) {
  self->set_default_handler(caf::reflect);
  return {[](const std::string& text) { return text; }};
}

/// Notes texts, deaths and ends of links.
auto noting(lines to) {
  return [to](caf::event_based_actor* self) -> caf::behavior {
    self->set_down_handler([to](caf::down_msg& down) { to->push_back("down " + caf::to_string(down.reason)); });
    self->set_exit_handler([to](caf::exit_msg& exit) { to->push_back("exit " + caf::to_string(exit.reason)); });
    return {[to](const std::string& text) { to->push_back(text); },
            [to](const note& x) { to->push_back("note " + std::to_string(x.number)); }};
  };
}

/// Runs something inside an actor.
using task = std::function<void(caf::event_based_actor*)>;
caf::actor run_in(bridge_node& node, task what) {
  return node.spawn([what](caf::event_based_actor* self) -> caf::behavior {
    self->set_exit_handler([](caf::exit_msg&) {});
    what(self);
    return {[](const std::string&) {}};
  });
}

std::string error_text(const caf::error& failure) {
  return "error " + caf::to_string(failure);
}

/// Asks and notes the answer, a text.
template <class... Ts>
void ask(bridge_node& from, const caf::actor& whom, const lines& to, const Ts&... xs) {
  run_in(from, [=](caf::event_based_actor* self) {
    self->request(whom, caf::infinite, xs...)
        .then([to](const std::string& text) { to->push_back(text); },
              [to](const caf::error& failure) { to->push_back(error_text(failure)); });
  });
}

struct two_nodes {
  bridge_world world;
  bridge_node& a = world.add("127.0.0.1");
  bridge_node& b = world.add("127.0.0.2");
  /// An actor of b as a knows it.
  caf::actor at_a(const caf::actor& of_b, const std::string& name = "it") {
    b.bridge().publish(name, of_b);
    return world.resolve(a, b, name);
  }
};

template <class T>
void check_echo(two_nodes& pair, const caf::actor& to, const T& x) {
  int n_same = 0, n_other = 0;
  run_in(pair.a, [&](caf::event_based_actor* self) {
    self->request(to, caf::infinite, x)
        .then([&](const T& answer) { ++(answer == x ? n_same : n_other); }, [&](const caf::error&) { ++n_other; });
  });
  pair.world.settle();
  CHECK(n_same == 1);
  CHECK(n_other == 0);
}

}  // namespace

TEST_CASE("a message there, an answer back", "[bridge]") {
  two_nodes pair;
  const auto got = new_lines(), answers = new_lines();
  const auto receiver = pair.at_a(pair.b.spawn(noting(got)), "receiver");
  const auto asked = pair.at_a(pair.b.spawn(echo), "asked");
  CHECK(bridge::node_of(receiver) == pair.b.id());
  for (const auto text : {"one", "two", "three"})
    caf::anon_send(receiver, std::string(text));
  ask(pair.a, asked, answers, std::string("hello"));
  pair.world.settle();
  CHECK(*got == std::vector<std::string>{"one", "two", "three"});
  CHECK(*answers == std::vector<std::string>{"hello"});
}

TEST_CASE("every type of the wire keeps its value", "[bridge]") {
  two_nodes pair;
  const auto to = pair.at_a(pair.b.spawn(echo));
  check_echo(pair, to, true);
  check_echo(pair, to, std::int8_t{-100});
  check_echo(pair, to, std::int16_t{-30000});
  check_echo(pair, to, std::int32_t{-2000000000});
  check_echo(pair, to, INT64_MIN);
  check_echo(pair, to, std::uint8_t{200});
  check_echo(pair, to, std::uint16_t{60000});
  check_echo(pair, to, std::uint32_t{4000000000});
  check_echo(pair, to, UINT64_MAX);
  check_echo(pair, to, 0.25f);
  check_echo(pair, to, -0.1);
  check_echo(pair, to, std::string("text \0 with a zero", 18));
  check_echo(pair, to, std::vector<char>{'a', '\0', 'c'});
  check_echo(pair, to, caf::unit);
  check_echo(pair, to, caf::atom("some_atom"));
  check_echo(pair, to, note{7, "seven", {1, 2, 3}});
  // Handles: one of each side and none.
  const auto own = pair.a.spawn(echo);
  check_echo(pair, to, own);
  check_echo(pair, to, to);
  check_echo(pair, to, own.address());
  check_echo(pair, to, to.address());
  check_echo(pair, to, caf::actor_cast<caf::strong_actor_ptr>(to));
  check_echo(pair, to, caf::strong_actor_ptr());
}

TEST_CASE("messages of many elements, and of none", "[bridge]") {
  two_nodes pair;
  const auto got = new_lines();
  const auto to = pair.at_a(pair.b.spawn([got](caf::event_based_actor*) -> caf::behavior {
    return {[got](std::uint64_t number, const std::string& text, const note& x, const caf::actor& who) {
              got->push_back(std::to_string(number) + text + x.text);
              caf::anon_send(who, std::string("called"));
            },
            [got]() { got->push_back("nothing"); }};
  }));
  const auto called = new_lines();
  caf::anon_send(to, std::uint64_t{5}, std::string(" five "), note{5, "note", {}}, pair.a.spawn(noting(called)));
  to->enqueue(nullptr, caf::make_message_id(), caf::message(), nullptr);
  pair.world.settle();
  CHECK(*got == std::vector<std::string>{"5 five note", "nothing"});
  CHECK(*called == std::vector<std::string>{"called"});
}

TEST_CASE("errors as answers keep code, category and text", "[bridge]") {
  two_nodes pair;
  const auto answers = new_lines();
  const auto to = pair.at_a(pair.b.spawn([](caf::event_based_actor*) -> caf::behavior {
    return {[](const std::string& text) -> caf::result<std::string> {
      return caf::make_error(caf::sec::cannot_open_file, text);
    }};
  }));
  ask(pair.a, to, answers, std::string("the reason"));
  ask(pair.a, to, answers, std::uint64_t{1});  // no handler
  pair.world.settle();
  REQUIRE(answers->size() == 2);
  CHECK(answers->at(0) == error_text(caf::make_error(caf::sec::cannot_open_file, std::string("the reason"))));
  CHECK(answers->at(1).find("unexpected_message") != std::string::npos);
}

TEST_CASE("requests are delegated on the far node, back home and to a third node", "[bridge]") {
  bridge_world world;
  auto& a = world.add("127.0.0.1");
  auto& b = world.add("127.0.0.2");
  auto& c = world.add("127.0.0.3");
  const auto answers = new_lines();
  const auto answering = [](std::string name) {
    return [name](caf::event_based_actor*) -> caf::behavior {
      return {[name](const std::string& text) { return text + " from " + name; }};
    };
  };
  const auto delegating = [](caf::actor to) {
    return [to](caf::event_based_actor* self) -> caf::behavior {
      return {[self, to](const std::string& text) { return self->delegate(to, text); }};
    };
  };
  const auto at_a = a.spawn(answering("a")), at_b = b.spawn(answering("b")), at_c = c.spawn(answering("c"));
  a.bridge().publish("it", at_a);
  c.bridge().publish("it", at_c);
  const auto a_as_b_knows_it = world.resolve(b, a, "it"), c_as_b_knows_it = world.resolve(b, c, "it");
  b.bridge().publish("to_b", b.spawn(delegating(at_b)));
  b.bridge().publish("to_a", b.spawn(delegating(a_as_b_knows_it)));
  b.bridge().publish("to_c", b.spawn(delegating(c_as_b_knows_it)));
  ask(a, world.resolve(a, b, "to_b"), answers, std::string("one"));
  ask(a, world.resolve(a, b, "to_a"), answers, std::string("two"));
  c.bridge().learn(a.id(), a.where);  // the answer goes there directly
  ask(a, world.resolve(a, b, "to_c"), answers, std::string("three"));
  world.settle();
  std::ranges::sort(*answers);
  CHECK(*answers == std::vector<std::string>{"one from b", "three from c", "two from a"});
}

TEST_CASE("requests pass through composed actors", "[bridge]") {
  two_nodes pair;
  const auto answers = new_lines();
  const auto adding = [](std::string what) {
    return [what](caf::event_based_actor*) -> caf::behavior {
      return {[what](const std::string& text) { return text + what; }};
    };
  };
  const auto f = pair.at_a(pair.b.spawn(adding("f")), "f"), g = pair.at_a(pair.b.spawn(adding("g")), "g");
  const auto own = pair.a.spawn(adding("h"));
  ask(pair.a, f * g, answers, std::string("1: "));
  ask(pair.a, f * own * g, answers, std::string("2: "));
  ask(pair.a, own * f * own, answers, std::string("3: "));
  pair.world.settle();
  std::ranges::sort(*answers);
  CHECK(*answers == std::vector<std::string>{"1: gf", "2: ghf", "3: hfh"});
}

TEST_CASE("who monitors is told once, with the reason", "[bridge]") {
  two_nodes pair;
  const auto dying = pair.b.spawn(echo);
  const auto to = pair.at_a(dying);
  const auto got = new_lines(), at_b = new_lines();
  const auto watch = [&](bridge_node& node, const caf::actor& whom, const lines& into) {
    node.spawn([whom, behavior = noting(into)](caf::event_based_actor* self) {
      self->monitor(whom);
      return behavior(self);
    });
  };
  watch(pair.a, to, got);
  watch(pair.b, dying, at_b);
  pair.world.settle();
  CHECK(got->empty());
  caf::anon_send(dying, caf::exit_msg{{}, caf::make_error(caf::sec::bad_function_call, std::string("why"))});
  pair.world.settle();
  REQUIRE(got->size() == 1);
  CHECK(*got == *at_b);
  CHECK(got->at(0).find("why") != std::string::npos);
  // Later, the handle says so at once.
  const auto late = new_lines(), answers = new_lines();
  watch(pair.a, to, late);
  ask(pair.a, to, answers, std::string("anybody there?"));
  pair.world.settle();
  CHECK(*late == *got);
  CHECK(*answers == std::vector<std::string>{error_text(caf::sec::request_receiver_down)});
  // And one that is published but dead is found so.
  watch(pair.a, pair.world.resolve(pair.a, pair.b, "it"), late);
  pair.world.settle();
  CHECK(late->size() == 2);
}

TEST_CASE("a link tells the other side once, whichever side made it and whichever ends", "[bridge]") {
  const bool a_links = GENERATE(true, false);
  const bool a_dies = GENERATE(true, false);
  const bool first_unlinked = GENERATE(true, false);
  CAPTURE(a_links, a_dies, first_unlinked);
  two_nodes pair;
  const auto got_a = new_lines(), got_b = new_lines();
  /// Links and unlinks on demand.
  const auto linking = [](lines to) {
    return [to](caf::event_based_actor* self) -> caf::behavior {
      self->set_exit_handler([to](caf::exit_msg& exit) { to->push_back("exit " + caf::to_string(exit.reason)); });
      return {[self](const std::string& what, const caf::actor& whom) {
                if (what == "link") self->link_to(whom);
                if (what == "unlink") self->unlink_from(whom);
              },
              [self](const std::string&) { self->quit(caf::exit_reason::user_shutdown); }};
    };
  };
  const auto own_a = pair.a.spawn(linking(got_a)), own_b = pair.b.spawn(linking(got_b));
  const auto b_at_a = pair.at_a(own_b);
  pair.a.bridge().publish("a", own_a);
  const auto a_at_b = pair.world.resolve(pair.b, pair.a, "a");
  const auto tell = [&](const std::string& what) {
    if (a_links) caf::anon_send(own_a, what, b_at_a);
    if (!a_links) caf::anon_send(own_b, what, a_at_b);
    pair.world.settle();
  };
  tell("link");
  if (first_unlinked) tell("unlink");
  CHECK(got_a->empty());
  CHECK(got_b->empty());
  caf::anon_send(a_dies ? own_a : own_b, std::string("quit"));
  pair.world.settle();
  const auto& survivor = a_dies ? got_b : got_a;
  if (first_unlinked) CHECK(survivor->empty());
  if (!first_unlinked)
    CHECK(*survivor == std::vector<std::string>{"exit " + caf::to_string(caf::error(caf::exit_reason::user_shutdown))});
  CHECK((a_dies ? got_a : got_b)->empty());
}

TEST_CASE("a link to an actor that is dead ends at once", "[bridge]") {
  two_nodes pair;
  const auto dying = pair.b.spawn(echo);
  const auto to = pair.at_a(dying);
  pair.world.settle();
  pair.b.bridge().mesh();
  caf::anon_send_exit(dying, caf::exit_reason::user_shutdown);
  pair.b.turn(pair.world.now);  // a has not heard of it yet
  const auto got = new_lines();
  pair.a.spawn([to, behavior = noting(got)](caf::event_based_actor* self) {
    self->link_to(to);
    return behavior(self);
  });
  pair.world.settle();
  REQUIRE(got->size() == 1);
  CHECK(got->at(0).starts_with("exit "));
}

TEST_CASE("an exit message from somebody who is not linked arrives", "[bridge]") {
  two_nodes pair;
  const auto got = new_lines();
  const auto to = pair.at_a(pair.b.spawn(noting(got)));
  run_in(pair.a, [&](caf::event_based_actor* self) { self->send_exit(to, caf::exit_reason::user_shutdown); });
  pair.world.settle();
  CHECK(got->size() == 1);
}

TEST_CASE("handles in messages lead to their actors, of a third node as well", "[bridge]") {
  bridge_world world;
  auto& a = world.add("127.0.0.1");
  auto& b = world.add("127.0.0.2");
  auto& c = world.add("127.0.0.3");
  const auto at_a = new_lines(), at_c = new_lines();
  c.bridge().publish("c", c.spawn(noting(at_c)));
  const auto calling = [](caf::event_based_actor*) -> caf::behavior {
    return {[](const caf::actor& who, const std::string& text) {
      if (who) caf::anon_send(who, text);
      return std::string(who ? "called" : "nobody");
    }};
  };
  b.bridge().publish("b", b.spawn(calling));
  const auto of_b = world.resolve(a, b, "b"), of_c = world.resolve(a, c, "c");
  const auto answers = new_lines();
  ask(a, of_b, answers, a.spawn(noting(at_a)), std::string("to a"));
  ask(a, of_b, answers, of_c, std::string("unknown to b"));
  world.settle();
  CHECK(*at_a == std::vector<std::string>{"to a"});
  CHECK(at_c->empty());
  CHECK(*answers == std::vector<std::string>{"called", "nobody"});
  b.bridge().learn(c.id(), c.where);
  ask(a, of_b, answers, of_c, std::string("to c"));
  world.settle();
  CHECK(*at_c == std::vector<std::string>{"to c"});
  CHECK(answers->back() == "called");
  CHECK(b.bridge().mesh().counters().peers_up == 2);
  CHECK(c.bridge().mesh().counters().peers_up == 2);
}

TEST_CASE("names: unknown, of nobody, and many at once", "[bridge]") {
  two_nodes pair;
  CHECK(pair.world.failure_to_resolve(pair.a, pair.b.where, "nobody").find("no actor of that name") !=
        std::string::npos);
  CHECK(pair.world.failure_to_resolve(pair.a, {"127.0.0.9", 1}, "it").find("nobody listens") != std::string::npos);
  pair.b.bridge().publish("it", pair.b.spawn(echo));
  std::vector<caf::actor> found;
  for (int i = 0; i < 10; ++i)
    pair.a.bridge().resolve(pair.b.where, "it", [&](const result<caf::actor>& answer) {
      REQUIRE(answer.has_value());
      found.push_back(*answer);
    });
  pair.world.settle();
  REQUIRE(found.size() == 10);
  CHECK(std::ranges::all_of(found, [&](const auto& actor) { return actor == found[0]; }));
  CHECK(pair.b.bridge().mesh().counters().peers_up == 1);
  // Another one under the same name.
  pair.b.bridge().publish("it", pair.b.spawn(echo));
  CHECK(pair.world.resolve(pair.a, pair.b, "it") != found[0]);
}

TEST_CASE("messages of all sizes, up to the largest and beyond", "[bridge]") {
  two_nodes pair;
  const auto to = pair.at_a(pair.b.spawn(echo));
  for (const std::size_t size : {0u, 1u, 31u, 32u, 255u, 256u, 8000u, 65'535u, 65'536u, 1u << 20, (16u << 20) - 200}) {
    CAPTURE(size);
    check_echo(pair, to, std::vector<char>(size, 'x'));
  }
  const auto answers = new_lines();
  ask(pair.a, to, answers, std::string(16u << 20, 'x'));
  pair.world.settle();
  CHECK(*answers == std::vector<std::string>{error_text(caf::sec::invalid_argument)});
  check_echo(pair, to, std::string("still here"));
  CHECK(pair.a.events == std::vector<std::string>{"not sent: it is too large"});
}

TEST_CASE("many actors in both directions: each sender's messages come in order", "[bridge]") {
  static constexpr int n_actors = 30, n_messages = 300;
  two_nodes pair;
  const auto check_order = [](std::shared_ptr<int> n_received) {
    return [n_received](caf::event_based_actor*) -> caf::behavior {
      auto next = std::make_shared<std::vector<std::uint64_t>>(n_actors);
      return {[n_received, next](const note& x) {
        auto& expected = (*next)[x.number % n_actors];
        if (x.number / n_actors == expected++) ++*n_received;
      }};
    };
  };
  const auto n_at_a = std::make_shared<int>(), n_at_b = std::make_shared<int>();
  const auto of_b = pair.at_a(pair.b.spawn(check_order(n_at_b)));
  pair.a.bridge().publish("a", pair.a.spawn(check_order(n_at_a)));
  const auto of_a = pair.world.resolve(pair.b, pair.a, "a");
  for (std::uint64_t who = 0; who < n_actors; ++who) {
    const auto sending = [who](caf::actor to) {
      return [who, to](caf::event_based_actor* self) -> caf::behavior {
        self->send(self, std::uint64_t{0});
        return {[self, who, to](std::uint64_t i) {
          self->send(to, note{i * n_actors + who, std::string(i * who % 700, 'x'), {}});
          if (i + 1 < n_messages) self->send(self, i + 1);
        }};
      };
    };
    pair.a.spawn(sending(of_b));
    pair.b.spawn(sending(of_a));
  }
  pair.world.run_for(milliseconds(200));
  CHECK(*n_at_a == n_actors * n_messages);
  CHECK(*n_at_b == n_actors * n_messages);
}
