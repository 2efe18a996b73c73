#include "policies/catalogue.hpp"

#include "catch.hpp"
#include "policies/batching.hpp"
#include "policies/dispatch.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::policies;

namespace {

std::set<std::string> names_of(policy_kind kind) {
  std::set<std::string> names;
  for (const auto& entry : policy_catalogue())
    if (entry.kind == kind) CHECK(names.insert(std::string(entry.name)).second);
  return names;
}

}  // namespace

TEST_CASE("the catalogue lists the policies that can be made, and no others", "[catalogue]") {
  const auto dispatching = dispatch_policy_names();
  CHECK(names_of(policy_kind::dispatch) == std::set<std::string>(dispatching.begin(), dispatching.end()));
  const auto batching = batching_policy_names();
  CHECK(names_of(policy_kind::scheduler) == std::set<std::string>(batching.begin(), batching.end()));
  for (const auto& entry : policy_catalogue()) {
    CAPTURE(entry.name);
    if (entry.kind == policy_kind::dispatch) CHECK(make_dispatch_policy(entry.name).value()->name() == entry.name);
    if (entry.kind == policy_kind::scheduler) CHECK(make_batching_policy(entry.name).value()->name() == entry.name);
  }
}

TEST_CASE("every policy says when it is used, in one sentence, and where it comes from", "[catalogue]") {
  for (const auto& entry : policy_catalogue()) {
    CAPTURE(entry.name);
    CHECK(entry.use.ends_with('.'));
    CHECK(entry.use.find(". ") == std::string_view::npos);
    CHECK_FALSE(entry.paper.empty());
    CHECK((entry.paper == "none" || std::ranges::any_of(entry.paper, [](char c) { return c >= '0' && c <= '9'; })));
  }
  CHECK(policy_names(policy_kind::rescheduling) == "none, llumnix");
  CHECK(to_string(policy_kind::placement) == "placement");
}

TEST_CASE("who looks ahead sees a long queue", "[catalogue]") {
  CHECK(suitable_backlog("fcfs", "least_loaded") < suitable_backlog("jitserve", "least_loaded"));
  CHECK(suitable_backlog("fcfs", "llumnix") == suitable_backlog("sjf", "round_robin"));
  CHECK(suitable_backlog("prefill_first", "prefix_aware") == suitable_backlog("fcfs", "round_robin"));
}
