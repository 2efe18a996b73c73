#include "base/bounded_queue.hpp"

#include "catch.hpp"

#include <chrono>
#include <memory>
#include <thread>

using namespace troupe;

TEST_CASE("at its bound a queue refuses and leaves the item with its owner", "[bounded_queue]") {
  bounded_queue<std::unique_ptr<int>> queue(2);
  CHECK(queue.push(std::make_unique<int>(1)));
  CHECK(queue.push(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  CHECK_FALSE(queue.push(std::move(third)));
  REQUIRE(third);
  const auto items = queue.drain();
  REQUIRE(items.size() == 2);
  CHECK(*items[0] == 1);
  CHECK(*items[1] == 2);
}

TEST_CASE("closing wakes who waits", "[bounded_queue]") {
  bounded_queue<int> queue(4);
  std::thread closer([&] { queue.close(); });
  CHECK(queue.wait_and_drain().empty());
  closer.join();
  CHECK_FALSE(queue.push(1));
}

TEST_CASE("many producers lose nothing", "[bounded_queue]") {
  bounded_queue<int> queue(10'000);
  std::vector<std::thread> producers;
  for (int t = 0; t < 4; ++t)
    producers.emplace_back([&] {
      for (int i = 0; i < 1000; ++i)
        queue.push(int{i});
    });
  std::size_t seen = 0;
  while (seen < 4000)
    seen += queue.wait_and_drain().size();
  for (auto& producer : producers)
    producer.join();
  CHECK(seen == 4000);
  CHECK(queue.drain_until(std::chrono::steady_clock::now()).empty());
}
