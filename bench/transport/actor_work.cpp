#include "bench/transport/actor_work.hpp"

#include "bench/clock.hpp"
#include "bench/transport/child_process.hpp"

#include <chrono>
#include <cstdio>
#include <future>
#include <thread>
#include <utility>

#include <unistd.h>

namespace troupe::bench {
namespace {

using bytes = std::vector<char>;
using next_atom = caf::atom_constant<caf::atom("next")>;

struct sink_state {
  std::uint64_t n = 0;
};

caf::behavior sink(caf::stateful_actor<sink_state>* self) {
  return {[=](const bytes&) { ++self->state.n; }, [=](count_atom) { return std::exchange(self->state.n, 0); }};
}

struct asker_state {
  std::vector<double> round_trips_us;
  clock::time_point asked;
  std::size_t warming_up = 0;
  double cpu_before = 0;
};

/// Asks until it has task.count answers.
struct asker {
  caf::stateful_actor<asker_state>* self;
  caf::actor server;
  endpoint_task task;
  std::promise<measurement>* done;

  void begin(bytes payload) const {
    auto& state = self->state;
    state.warming_up = warm_up_of(task.count);
    state.round_trips_us.reserve(task.count);
    ask(std::move(payload));
  }

  void ask(bytes payload) const {
    self->state.asked = clock::now();
    self->request(server, caf::infinite, std::move(payload))
        .then([*this](bytes& answer) { take(answer); },
              [*this](const caf::error& e) { give_up("no answer: " + self->system().render(e)); });
  }

  void take(bytes& answer) const {
    auto& state = self->state;
    const double us = 1e6 * seconds_since(state.asked);
    if (answer.size() != task.bytes) give_up("an answer of another size");
    if (state.warming_up == 0) {
      state.round_trips_us.push_back(us);
    } else if (--state.warming_up == 0) {
      state.cpu_before = cpu_seconds_of_both(task);
    }
    if (state.round_trips_us.size() == task.count) return finish();
    if (task.pause_us == 0) return ask(std::move(answer));
    self->delayed_send(self, std::chrono::microseconds(task.pause_us), next_atom::value, std::move(answer));
  }

  void finish() const {
    measurement made;
    made.cpu_us = 1e6 * (cpu_seconds_of_both(task) - self->state.cpu_before) / static_cast<double>(task.count);
    set_latencies(made, std::move(self->state.round_trips_us));
    done->set_value(made);
    self->quit();
  }
};

}  // namespace

void give_up(const std::string& why) {
  std::fprintf(stderr, "troupe bench transport: %s\n", why.c_str());
  ::_exit(1);
}

actor_configuration::actor_configuration() {
  set("scheduler.policy", caf::atom("sharing"));
  set("logger.verbosity", caf::atom("quiet"));
}

caf::actor spawn_server(caf::actor_system& system, std::map<caf::atom_value, caf::actor> others) {
  others[caf::atom("sink")] = system.spawn(sink);
  return system.spawn([others = std::move(others)](caf::event_based_actor*) -> caf::behavior {
    return {[](bytes& x) { return std::move(x); },
            [others](find_atom, caf::atom_value name) -> caf::result<caf::actor> {
              const auto found = others.find(name);
              if (found == others.end()) return caf::sec::invalid_argument;
              return found->second;
            }};
  });
}

caf::actor find_actor(caf::actor_system& system, const caf::actor& server, caf::atom_value name) {
  caf::scoped_actor self(system);
  caf::actor found;
  self->request(server, caf::infinite, find_atom::value, name)
      .receive([&](const caf::actor& answer) { found = answer; },
               [&](const caf::error& e) { give_up("no such actor: " + system.render(e)); });
  return found;
}

double cpu_seconds_of_both(const endpoint_task& task) {
  return cpu_seconds_of(::getpid()) + cpu_seconds_of(task.server);
}

measurement measure_latency(caf::actor_system& system, const caf::actor& server, const endpoint_task& task) {
  std::promise<measurement> done;
  system.spawn([&, task](caf::stateful_actor<asker_state>* self) -> caf::behavior {
    const asker asks{self, server, task, &done};
    asks.begin(bytes(task.bytes, 'x'));
    return {[asks](next_atom, bytes& payload) { asks.ask(std::move(payload)); }};
  });
  return done.get_future().get();
}

measurement measure_rate(caf::actor_system& system, const caf::actor& server, const endpoint_task& task) {
  const auto to = find_actor(system, server, caf::atom("sink"));
  caf::scoped_actor self(system);
  // All of a batch have come when the count has.
  const auto send = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      self->send(to, bytes(task.bytes, 'x'));
    self->request(to, caf::infinite, count_atom::value)
        .receive(
            [&](std::uint64_t n) {
              if (n != count) give_up("messages were lost");
            },
            [&](const caf::error& e) { give_up("no count: " + system.render(e)); });
  };
  send(warm_up_of(task.count));
  const auto start = clock::now();
  send(task.count);
  measurement made;
  made.per_second = static_cast<double>(task.count) / seconds_since(start);
  return made;
}

measurement measure_idle(const endpoint_task& task) {
  std::this_thread::sleep_for(std::chrono::seconds(1));  // what connecting has left to do
  const auto start = clock::now();
  const double client = cpu_seconds_of(::getpid());
  const double server = cpu_seconds_of(task.server);
  std::this_thread::sleep_for(std::chrono::seconds(task.count));
  measurement made;
  made.idle_cpu =
      std::max(cpu_seconds_of(::getpid()) - client, cpu_seconds_of(task.server) - server) / seconds_since(start);
  return made;
}

}  // namespace troupe::bench
