#include "policies/fair_share.hpp"

#include "approximately.hpp"
#include "base/random.hpp"
#include "catch.hpp"

#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::policies;

namespace {

struct waiting {
  double tag;
  std::uint64_t arrival;
  std::string tenant;
  double cost;
  friend bool operator<(const waiting& a, const waiting& b) {
    return a.tag != b.tag ? a.tag < b.tag : a.arrival < b.arrival;
  }
};

/// A queue that is served one at a time.
class fair_queue {
 public:
  fair_share shares;

  void add(const std::string& tenant, double cost) {
    queue_.insert({shares.tag(tenant, cost), arrivals_++, tenant, cost});
  }
  waiting serve() {
    const waiting next = *queue_.begin();
    queue_.erase(queue_.begin());
    shares.serve(next.tag);
    served[next.tenant] += next.cost;
    return next;
  }
  bool empty() const { return queue_.empty(); }
  std::size_t waiting_of(const std::string& tenant) const {
    std::size_t n = 0;
    for (const auto& each : queue_)
      n += each.tenant == tenant ? 1 : 0;
    return n;
  }

  std::map<std::string, double> served;

 private:
  std::set<waiting> queue_;
  std::uint64_t arrivals_ = 0;
};

double random_cost(random_stream& random) {
  return std::exp(3 + 2 * random.unit());
}

}  // namespace

TEST_CASE("tenants who always wait are served in proportion to their weights", "[fair_share]") {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    random_stream random(seed);
    fair_queue queue;
    queue.shares.set_weight("heavy", 2);
    for (int i = 0; i < 20; ++i)
      for (const char* tenant : {"heavy", "light"})
        queue.add(tenant, random_cost(random));
    for (int i = 0; i < 20'000; ++i) {
      const auto next = queue.serve();
      queue.add(next.tenant, random_cost(random));
    }
    CAPTURE(seed);
    CHECK(queue.served["heavy"] / queue.served["light"] == approximately(2).epsilon(0.01));
  }
}

TEST_CASE("a tenant's share does not depend on how its work is cut", "[fair_share]") {
  fair_queue queue;
  for (int i = 0; i < 100; ++i) {
    queue.add("large", 100);
    for (int j = 0; j < 100; ++j)
      queue.add("small", 1);
  }
  for (int i = 0; i < 5050; ++i)
    queue.serve();
  CHECK(queue.served["large"] == approximately(queue.served["small"]).epsilon(0.05));
}

TEST_CASE("within a tenant requests are served in order of arrival", "[fair_share]") {
  random_stream random(5);
  fair_queue queue;
  std::map<std::string, std::uint64_t> last;
  for (int i = 0; i < 2000; ++i)
    queue.add("t" + std::to_string(random.below(4)), random.below(3) == 0 ? 0.0 : random_cost(random));
  while (!queue.empty()) {
    const auto next = queue.serve();
    const auto before = last.find(next.tenant);
    if (before != last.end()) REQUIRE(before->second < next.arrival);
    last[next.tenant] = next.arrival;
  }
}

TEST_CASE("who was away has saved nothing up", "[fair_share]") {
  fair_queue queue;
  queue.add("away", 10);
  for (int i = 0; i < 2000; ++i)
    queue.add("busy", 10);
  for (int i = 0; i < 1000; ++i)
    queue.serve();
  for (int i = 0; i < 1000; ++i)
    queue.add("away", 10);
  queue.served.clear();
  for (int i = 0; i < 500; ++i)
    queue.serve();
  CHECK(queue.served["away"] == approximately(queue.served["busy"]).epsilon(0.02));
}

TEST_CASE("who had the cluster alone does not pay for it later", "[fair_share]") {
  fair_share shares;
  for (int i = 0; i < 100; ++i)
    shares.serve(shares.tag("alone", 10));
  shares.rest();
  CHECK(shares.tag("alone", 10) == shares.tag("other", 10));
}

TEST_CASE("nobody waits for longer than one request of each other tenant", "[fair_share]") {
  random_stream random(6);
  fair_queue queue;
  constexpr std::uint64_t n_tenants = 8;
  for (int i = 0; i < 500; ++i)
    queue.add("t" + std::to_string(random.below(n_tenants)), 1 + random_cost(random));
  for (int round = 0; round < 300; ++round) {
    const std::string tenant = "new" + std::to_string(round);
    queue.add(tenant, random_cost(random));
    std::map<std::string, int> before;
    while (queue.waiting_of(tenant) > 0) {
      const auto next = queue.serve();
      ++before[next.tenant];
      if (next.tenant[0] == 't') queue.add(next.tenant, 1 + random_cost(random));
    }
    for (const auto& [other, n] : before)
      REQUIRE(n == 1);
  }
}

TEST_CASE("a million tenants take no more memory than the bound", "[fair_share]") {
  fair_share shares;
  for (int i = 0; i < 1'000'000; ++i) {
    shares.serve(shares.tag("tenant " + std::to_string(i), 100));
    if (i % 1000 == 0) REQUIRE(shares.tenants() <= fair_share::max_tenants);
  }
  CHECK(shares.tenants() <= fair_share::max_tenants);
  // None of them is served at all, and order within a tenant stays.
  fair_share waiting;
  for (int i = 0; i < 200'000; ++i)
    (void)waiting.tag("tenant " + std::to_string(i), 100);
  CHECK(waiting.tenants() <= fair_share::max_tenants);
  const double tag = waiting.tag("one", 1);
  CHECK(waiting.tag("one", 1) > tag);
}

TEST_CASE("tenants that are not ahead are forgotten", "[fair_share]") {
  fair_share shares;
  for (int i = 0; i < 100'000; ++i) {
    shares.serve(shares.tag("tenant " + std::to_string(i % 5000), 1));
    shares.serve(shares.tag("busy", 100));
  }
  CHECK(shares.tenants() < 500);
}

TEST_CASE("weights that make no sense are none, and so are costs", "[fair_share]") {
  fair_share shares;
  for (const double weight : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    CAPTURE(weight);
    shares.set_weight("odd", weight);
    (void)shares.tag("odd", 10);
    const double second = shares.tag("odd", 10);
    CHECK(std::isfinite(second));
    CHECK(shares.tag("odd", 10) == approximately(second + 10));
  }
  for (const double cost : {-5.0, std::nan("")}) {
    const double before = shares.tag("other", cost);
    CHECK(shares.tag("other", 1) >= before);
  }
}
