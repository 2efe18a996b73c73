#include "bench/transport/bulk_work.hpp"

#include "bench/clock.hpp"
#include "bench/transport/actor_work.hpp"
#include "transport/bridge/bridge.hpp"

#include <chrono>
#include <cstdint>
#include <cstring>
#include <future>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <sys/mman.h>

namespace troupe::bench {
namespace {

using play_atom = caf::atom_constant<caf::atom("play")>;      // bytes, huge pages? -> the other's first ticket
using ticket_atom = caf::atom_constant<caf::atom("ticket")>;  // for the next transfer to me
using open_atom = caf::atom_constant<caf::atom("open")>;      // bytes, parts, huge pages? -> a ticket for all
using turn_atom = caf::atom_constant<caf::atom("turn")>;
using arrived_atom = caf::atom_constant<caf::atom("arrived")>;

/// Memory that has been written to: what was not would be the kernel's one page of zeros, and read from the cache.
class memory {
 public:
  memory() = default;
  memory(const memory&) = delete;
  memory& operator=(const memory&) = delete;
  ~memory() { free(); }

  void assign(std::size_t bytes, std::byte content, bool on_huge_pages) {
    free();
    size_ = bytes;
    mapped_bytes_ = (bytes + huge_page - 1) / huge_page * huge_page + huge_page;
    // Small pages are shared ones, as those of ucx_perftest.
    const int kind = on_huge_pages ? MAP_PRIVATE : MAP_SHARED;
    void* const mapped = ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) give_up("no memory to be had");
    mapped_ = static_cast<std::byte*>(mapped);
    if (on_huge_pages) ::madvise(mapped_, mapped_bytes_, MADV_HUGEPAGE);
    std::memset(mapped_, static_cast<int>(content), mapped_bytes_);
  }
  /// Begins with a page, huge or not.
  std::span<std::byte> span() const {
    const auto address = reinterpret_cast<std::uintptr_t>(mapped_);
    return {mapped_ + (huge_page - address % huge_page), size_};
  }

 private:
  static constexpr std::size_t huge_page = std::size_t{2} << 20;
  void free() {
    if (mapped_ != nullptr) ::munmap(mapped_, mapped_bytes_);
    mapped_ = nullptr;
  }

  std::byte* mapped_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  std::size_t size_ = 0;
};

/// A ticket of n places, all of them `place`; `whom` is told when they have been filled. A transfer that is lost tells
/// nobody: its process or the other one is ending.
std::uint64_t open_ticket(transport::bridge& at, const caf::actor& from, std::span<std::byte> place, std::size_t n,
                          const caf::actor& whom) {
  const auto ticket = at.mesh().incoming_bulk().open(
      transport::bridge::node_of(from), std::vector<std::span<std::byte>>(n, place), [&at, whom](bool arrived) {
        if (arrived) whom->enqueue(nullptr, caf::make_message_id(), caf::make_message(arrived_atom::value), at.unit());
      });
  if (!ticket) give_up(ticket.error().message);
  return *ticket;
}

void send_bulk(transport::bridge& at, const caf::actor& to, std::uint64_t ticket, std::span<const std::byte> what,
               std::size_t n) {
  at.mesh().post([&at, node = transport::bridge::node_of(to), ticket, what, n] {
    const std::vector<std::span<const std::byte>> parts(n, what);
    at.mesh().send_bulk({at.mesh().find_or_connect(node), ticket, 0, parts, {}});
  });
}

/// One side of transfers back and forth. A turn: open the next ticket, tell it, send. The next is due when the other
/// side's ticket and its memory have come, in whichever order.
struct player_state {
  transport::bridge* at = nullptr;
  caf::actor self;
  caf::actor other;
  memory in;
  memory out;
  std::uint64_t ticket = 0;  // of the other side; 0: not known
  bool arrived = false;

  void prepare(transport::bridge& bridge, const caf::actor& me, const caf::actor& opponent, std::size_t bytes,
               bool huge) {
    at = &bridge;
    self = me;
    other = opponent;
    in.assign(bytes, std::byte{0}, huge);
    out.assign(bytes, std::byte{1}, huge);
  }
  std::uint64_t open() { return open_ticket(*at, other, in.span(), 1, self); }
  bool is_my_turn() const { return arrived && ticket != 0; }
  void turn() {
    caf::anon_send(other, ticket_atom::value, open());
    arrived = false;
    send_bulk(*at, other, std::exchange(ticket, 0), out.span(), 1);
  }
};

caf::behavior player(caf::stateful_actor<player_state>* self, transport::bridge* at) {
  const auto go_on = [=] {
    if (self->state.is_my_turn()) self->state.turn();
  };
  return {[=](play_atom, std::uint64_t bytes, bool huge) {
            self->state.prepare(*at, self, caf::actor_cast<caf::actor>(self->current_sender()), bytes, huge);
            return self->state.open();
          },
          [=](ticket_atom, std::uint64_t ticket) {
            self->state.ticket = ticket;
            go_on();
          },
          [=](arrived_atom) {
            self->state.arrived = true;
            go_on();
          }};
}

struct timing_state : player_state {
  std::vector<double> round_trips_us;
  std::size_t warming_up = 0;
  clock::time_point sent;
  double cpu_before = 0;
};

/// The side that begins, and holds the clock.
caf::behavior timer(caf::stateful_actor<timing_state>* self, transport::bridge* at, const caf::actor& opponent,
                    const endpoint_task& task, std::promise<measurement>* done) {
  const auto turn = [=] {
    self->state.sent = clock::now();
    self->state.turn();
  };
  const auto go_on = [=] {
    auto& state = self->state;
    if (!state.is_my_turn()) return;
    const double us = 1e6 * seconds_since(state.sent);
    if (state.warming_up == 0) {
      state.round_trips_us.push_back(us);
    } else if (--state.warming_up == 0) {
      state.cpu_before = cpu_seconds_of_both(task);
    }
    if (state.round_trips_us.size() < task.count) {
      if (task.pause_us == 0) return turn();
      return self->delayed_send(self, std::chrono::microseconds(task.pause_us), turn_atom::value);
    }
    measurement made;
    made.cpu_us = 1e6 * (cpu_seconds_of_both(task) - state.cpu_before) / static_cast<double>(task.count);
    set_latencies(made, std::move(state.round_trips_us));
    done->set_value(made);
    self->quit();
  };
  self->state.prepare(*at, self, opponent, task.bytes, task.huge_pages);
  self->state.warming_up = warm_up_of(task.count);
  self->request(opponent, caf::infinite, play_atom::value, std::uint64_t{task.bytes}, task.huge_pages)
      .then([=](std::uint64_t ticket) {
        self->state.ticket = ticket;
        turn();
      });
  return {[=](ticket_atom, std::uint64_t ticket) {
            self->state.ticket = ticket;
            go_on();
          },
          [=](arrived_atom) {
            self->state.arrived = true;
            go_on();
          },
          [=](turn_atom) { turn(); }};
}

struct sink_state {
  memory in;
  caf::actor sender;
};

caf::behavior sink(caf::stateful_actor<sink_state>* self, transport::bridge* at) {
  return {[=](open_atom, std::uint64_t bytes, std::uint64_t parts, bool huge) {
            self->state.in.assign(bytes, std::byte{0}, huge);
            self->state.sender = caf::actor_cast<caf::actor>(self->current_sender());
            return open_ticket(*at, self->state.sender, self->state.in.span(), parts, self);
          },
          [=](arrived_atom) { self->send(self->state.sender, arrived_atom::value); }};
}

}  // namespace

caf::actor spawn_bulk_player(caf::actor_system& system, transport::bridge& at) {
  return system.spawn(player, &at);
}

caf::actor spawn_bulk_sink(caf::actor_system& system, transport::bridge& at) {
  return system.spawn(sink, &at);
}

measurement measure_bulk_latency(caf::actor_system& system, transport::bridge& at, const caf::actor& other,
                                 const endpoint_task& task) {
  std::promise<measurement> done;
  system.spawn(timer, &at, other, task, &done);
  return done.get_future().get();
}

measurement measure_bulk_rate(caf::actor_system& system, transport::bridge& at, const caf::actor& to,
                              const endpoint_task& task) {
  memory out;
  out.assign(task.bytes, std::byte{1}, task.huge_pages);
  caf::scoped_actor self(system);
  const auto send = [&](std::size_t parts) {
    std::uint64_t ticket = 0;
    self->request(to, caf::infinite, open_atom::value, std::uint64_t{task.bytes}, std::uint64_t{parts}, task.huge_pages)
        .receive([&](std::uint64_t opened) { ticket = opened; },
                 [&](const caf::error& e) { give_up("no ticket: " + system.render(e)); });
    const auto start = clock::now();
    send_bulk(at, to, ticket, out.span(), parts);
    self->receive([](arrived_atom) {});
    return seconds_since(start);
  };
  send(warm_up_of(task.count));
  measurement made;
  made.per_second = static_cast<double>(task.count) / send(task.count);
  return made;
}

}  // namespace troupe::bench
