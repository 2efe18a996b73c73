// The proxy that spoils frames does what it is told, in both directions, and the same for the same seed.
#include "transport/fault_proxy.hpp"

#include "catch.hpp"
#include "mesh_world.hpp"

#include <algorithm>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

/// Two bare fabrics, the first behind a proxy.
struct spoiled_pair {
  time_point now{std::chrono::seconds(1)};
  memory_network network{[this] { return now; }, {.latency = milliseconds(1)}};
  fault_proxy* proxy = nullptr;
  stranger a;
  stranger b{network.make_fabric("b")};
  link_id at_a;

  explicit spoiled_pair(std::uint64_t seed = 1) : a(make_proxy(seed)) {
    at_a = *a.fabric->connect(*b.fabric->listen({"b", 1}));
    run(milliseconds(2));
    REQUIRE(b.accepted.size() == 1);
  }
  std::unique_ptr<fabric> make_proxy(std::uint64_t seed) {
    auto made = std::make_unique<fault_proxy>(
        network.make_fabric("a"), [this] { return now; }, seed);
    proxy = made.get();
    return made;
  }
  void run(duration time) {
    for (const auto end = now + time; now < end; now += std::chrono::microseconds(500)) {
      a.fabric->progress();
      b.fabric->progress();
    }
  }
  /// Sends numbered frames and returns the numbers that arrive.
  std::vector<int> pass(int n, bool to_b = true) {
    auto& receiver = to_b ? b : a;
    receiver.frames.clear();
    for (int i = 0; i < n; ++i) {
      const std::vector<std::byte> frame(8, static_cast<std::byte>(i));
      if (to_b) a.send(at_a, frame);
      if (!to_b) b.send(b.accepted[0], frame);
    }
    run(milliseconds(200));
    std::vector<int> numbers;
    for (const auto& [link, frame] : receiver.frames)
      numbers.push_back(frame.size() == 8 ? std::to_integer<int>(frame[7]) : -1);
    return numbers;
  }
};

}  // namespace

TEST_CASE("orders befall the next frames, in either direction", "[faults]") {
  for (const auto which : {fault_direction::out, fault_direction::in}) {
    const bool to_b = which == fault_direction::out;
    CAPTURE(to_b);
    spoiled_pair pair;
    auto& proxy = *pair.proxy;
    CHECK(pair.pass(4, to_b) == std::vector{0, 1, 2, 3});
    proxy.order(which, std::nullopt);
    proxy.order(which, fault::lose, 2);
    CHECK(pair.pass(4, to_b) == std::vector{0, 3});
    proxy.order(which, fault::duplicate);
    CHECK(pair.pass(3, to_b) == std::vector{0, 0, 1, 2});
    proxy.order(which, fault::reorder);
    CHECK(pair.pass(3, to_b) == std::vector{1, 0, 2});
    proxy.order(which, std::nullopt, 2);
    proxy.order(which, fault::reorder);
    CHECK(pair.pass(3, to_b) == std::vector{0, 1, 2});  // nothing follows: after reorder_limit
    proxy.order(which, fault::delay, 1, milliseconds(50));
    CHECK(pair.pass(3, to_b) == std::vector{0, 1, 2});  // late together
    proxy.order(which, fault::truncate);
    CHECK(pair.pass(2, to_b) == std::vector{-1, 1});
    proxy.order(which, fault::flip);
    auto& receiver = to_b ? pair.b : pair.a;
    pair.pass(1, to_b);
    REQUIRE(receiver.frames.size() == 1);
    const auto& frame = receiver.frames[0].second;
    CHECK(frame.size() == 8);
    int n_bits = 0;
    for (const auto byte : frame)
      n_bits += std::popcount(std::to_integer<unsigned>(byte));
    CHECK(n_bits == 1);
    CHECK(proxy.n_done(fault::lose) == 2);
    CHECK(proxy.n_done(fault::reorder) == 2);
    CHECK(proxy.n_done(fault::flip) == 1);
    // The other direction has had none of it.
    CHECK(pair.pass(3, !to_b) == std::vector{0, 1, 2});
  }
}

TEST_CASE("a delay lasts as long as was ordered, and is known beforehand", "[faults]") {
  spoiled_pair pair;
  pair.proxy->order(fault_direction::out, fault::delay, 1, milliseconds(50));
  const auto began = pair.now;
  pair.a.send(pair.at_a, std::vector<std::byte>(1));
  CHECK(pair.proxy->next_event() == began + milliseconds(50));
  CHECK(pair.proxy->unsent_bytes(pair.at_a) == 1);
  CHECK(!pair.proxy->sleep_until(began + milliseconds(100)));
  pair.run(milliseconds(50));
  CHECK(pair.b.frames.empty());
  pair.run(milliseconds(2));
  CHECK(pair.b.frames.size() == 1);
  CHECK(pair.proxy->next_event() == time_point::max());
}

TEST_CASE("chances come true as often as they should, and alike for a seed", "[faults]") {
  const auto faults_of = [](std::uint64_t seed) {
    spoiled_pair pair(seed);
    pair.proxy->set_rates(
        {.lose = 0.1, .duplicate = 0.05, .delay = 0.02, .reorder = 0.1, .truncate = 0.1, .flip = 0.1});
    for (int i = 0; i < 20; ++i) {
      pair.pass(250, true);
      pair.pass(250, false);
    }
    std::vector<std::uint64_t> counts;
    for (std::size_t what = 0; what < n_faults; ++what)
      counts.push_back(pair.proxy->n_done(static_cast<fault>(what)));
    CHECK(pair.proxy->n_frames() == 10'000);
    return counts;
  };
  const auto counts = faults_of(7);
  const std::uint64_t expected[] = {1000, 500, 200, 1000, 1000, 1000};
  for (std::size_t what = 0; what < n_faults; ++what) {
    CAPTURE(what);
    CHECK(counts[what] > expected[what] * 8 / 10);
    CHECK(counts[what] < expected[what] * 12 / 10);
  }
  CHECK(faults_of(7) == counts);
  CHECK(faults_of(8) != counts);
}

TEST_CASE("what is held goes with its link", "[faults]") {
  spoiled_pair pair;
  pair.proxy->order(fault_direction::out, fault::delay, 1, milliseconds(50));
  pair.proxy->order(fault_direction::in, fault::delay, 1, milliseconds(50));
  pair.a.send(pair.at_a, std::vector<std::byte>(1));
  pair.b.send(pair.b.accepted[0], std::vector<std::byte>(1));
  pair.run(milliseconds(3));
  pair.a.fabric->close(pair.at_a);
  pair.run(milliseconds(100));
  CHECK(pair.a.frames.empty());
  CHECK(pair.b.frames.empty());
  CHECK(pair.b.lost.size() == 1);
}
