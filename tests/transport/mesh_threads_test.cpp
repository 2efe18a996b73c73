// Threads that send while another turns the meshes. What ThreadSanitizer is for.
#include "catch.hpp"
#include "mesh_world.hpp"

#include <atomic>
#include <thread>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

/// Turns a world on a thread of its own until it is told to stop.
class turning_thread {
 public:
  explicit turning_thread(mesh_world& world)
      : thread_([this, &world] {
          for (const auto& node : world.nodes)
            node->mesh->adopt_thread();
          while (!done_) {
            world.run_for(std::chrono::microseconds(100));
            for (const auto& node : world.nodes)
              node->mesh->sleep();  // returns at once on this fabric, and takes the same steps as a real one
          }
        }) {}
  ~turning_thread() {
    done_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace

TEST_CASE("many threads send messages, memory and tasks", "[mesh][threads]") {
  constexpr std::uint32_t n_threads = 3, n_messages = 3000, n_transfers = 50;
  mesh_world world({.latency = std::chrono::microseconds(50)});
  const auto small = [](mesh_options& options) { options.outbox.soft_bytes = 20'000; };
  auto& a = world.add("10.0.0.1", 1, small);
  auto& b = world.add("10.0.0.2", 2, small);
  const auto b_at_a = world.connect(a, b);
  std::atomic<std::uint32_t> n_received{0}, n_tasks{0}, n_sent{0}, n_arrived{0};
  std::uint32_t next[n_threads] = {};
  std::atomic<bool> in_order{true};
  b.on_each = [&](const peer_pointer&, std::span<const std::byte> message) {
    std::uint32_t words[2];
    std::memcpy(words, message.data(), sizeof words);
    if (next[words[0]]++ != words[1]) in_order = false;
    ++n_received;
    return true;
  };
  std::vector<std::byte> from(n_threads * 10'000, std::byte{7}), to(n_threads * 10'000);
  {
    turning_thread turning(world);
    std::vector<std::thread> senders;
    for (std::uint32_t thread = 0; thread < n_threads; ++thread) {
      senders.emplace_back([&, thread] {
        std::vector<std::byte> message(8 + 40 * thread);
        for (std::uint32_t i = 0; i < n_messages; ++i) {
          const std::uint32_t words[] = {thread, i};
          std::memcpy(message.data(), words, sizeof words);
          if (!a.mesh->send(b_at_a, message)) return;
          if (i % 100 == 0) a.mesh->post([&] { ++n_tasks; });
          if (i % (n_messages / n_transfers) != 0) continue;
          const auto part = [thread](auto& of) { return std::span(of).subspan(10'000 * thread, 10'000); };
          const auto ticket =
              b.mesh->incoming_bulk().open(id_of(1), {part(to)}, [&](bool arrived) { n_arrived += arrived; });
          a.mesh->send_bulk({b_at_a, *ticket, 0, {part(from)}, [&](bool sent) { n_sent += sent; }});
          while (n_arrived < n_sent)
            std::this_thread::yield();
        }
      });
    }
    for (auto& sender : senders)
      sender.join();
    for (int i = 0; i < 5000 && (n_received < n_threads * n_messages || n_arrived < n_threads * n_transfers); ++i)
      std::this_thread::sleep_for(milliseconds(1));
    CHECK(!a.mesh->counters().refusals().contains("wrong_session"));
  }
  CHECK(n_received == n_threads * n_messages);
  CHECK(in_order);
  CHECK(n_tasks == n_threads * n_messages / 100);
  CHECK(n_sent == n_threads * n_transfers);
  CHECK(n_arrived == n_threads * n_transfers);
  CHECK(a.mesh->counters().peers_lost == 0);
}

TEST_CASE("threads that wait for room are woken when the peer is lost", "[mesh][threads]") {
  mesh_world world({.latency = std::chrono::microseconds(50), .bytes_per_second = 1e5});
  auto& a = world.add("127.0.0.1", 1, [](mesh_options& options) {
    options.outbox.soft_bytes = 20'000;
    options.max_unsent_bytes = 1000;
  });
  auto& b = world.add("127.0.0.2", 2);
  const auto at = world.connect(a, b);
  std::atomic<int> n_ended{0};
  std::vector<std::thread> senders;
  {
    turning_thread turning(world);
    for (int thread = 0; thread < 3; ++thread) {
      senders.emplace_back([&] {
        const std::vector<std::byte> message(1000);
        while (a.mesh->send(at, message)) {
        }
        ++n_ended;
      });
    }
    std::this_thread::sleep_for(milliseconds(20));
    a.mesh->post([&] { a.mesh->disconnect(*at); });
    for (auto& sender : senders)
      sender.join();
  }
  CHECK(n_ended == 3);
  CHECK(!at->alive());
}
