// The scheduler's decisions as its workers and its gateway see them: order of the queue, deadlines, policies that
// change, programs' budgets, scaling. To whom requests go: scheduler_spread_test.cpp. The policies themselves:
// tests/policies/.
#include "catch.hpp"
#include "policies/batching.hpp"
#include "probed_scheduler.hpp"

#include <chrono>
#include <map>

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

scheduler_config without_backlog() {
  scheduler_config config;
  config.worker_backlog = 0;
  return config;
}

/// The requests that a worker was given, in that order.
std::vector<request_id> given_to(const probed_worker& worker) {
  std::vector<request_id> ids;
  for (const auto& each : worker.assigned)
    ids.push_back(each.request.id);
  return ids;
}

generation_request from_tenant(const std::string& tenant, std::uint32_t prompt_tokens = 10) {
  auto request = make_request(prompt_tokens, 10);
  request.tenant = tenant;
  return request;
}

/// One place, taken by a request; whoever comes next waits. Ends the one that runs until none is left.
std::vector<request_id> order_of(probed_scheduler& cast, const std::vector<generation_request>& requests) {
  auto& worker = cast.join(1);
  worker.max_sequences = 1;
  cast.report(worker);
  cast.submit(make_request(1, 1));
  for (const auto& request : requests)
    cast.submit(request);
  for (std::size_t i = 0; i <= requests.size() && i < worker.assigned.size(); ++i)
    cast.end(worker.assigned[i].request.id);
  auto order = given_to(worker);
  order.erase(order.begin());
  return order;
}

std::vector<request_id> ids(const std::vector<std::uint64_t>& values) {
  std::vector<request_id> all;
  for (const auto value : values)
    all.push_back(request_id{value});
  return all;
}

generation_request call_of(const std::string& program, const std::string& step, std::chrono::milliseconds ttlt) {
  auto request = make_request(100, 100);
  request.call = {program, "flow", step};
  request.objective.ttlt = ttlt;
  return request;
}

}  // namespace

TEST_CASE("the queue is ordered by priority, then by arrival", "[scheduler]") {
  probed_scheduler cast(without_backlog());
  std::vector<generation_request> requests(5, make_request(10, 10));
  requests[1].objective.priority = 3;
  requests[2].objective.priority = -7;
  requests[4].objective.priority = -7;
  CHECK(order_of(cast, requests) == ids({4, 6, 2, 5, 3}));
}

TEST_CASE("tenants take turns, in proportion to their weights and whoever came first", "[scheduler]") {
  auto config = without_backlog();
  config.tenant_weights = {{"heavy", 2}};
  probed_scheduler cast(std::move(config));
  std::vector<generation_request> requests(6, from_tenant("heavy"));
  requests.insert(requests.end(), 3, from_tenant("light"));
  std::map<std::string, int> served;
  for (const auto id : order_of(cast, requests)) {
    ++served[id.value <= 7 ? "heavy" : "light"];
    CHECK(std::abs(served["heavy"] - 2 * served["light"]) <= 2);
  }
  CHECK(served["heavy"] == 6);
  CHECK(served["light"] == 3);
}

TEST_CASE("who had the cluster alone is not behind when another comes", "[scheduler]") {
  probed_scheduler cast(without_backlog());
  auto& worker = cast.join(1);
  worker.max_sequences = 1;
  cast.report(worker);
  for (int i = 0; i < 50; ++i)
    cast.end(cast.submit(from_tenant("alone")));
  const auto running = cast.submit(from_tenant("alone"));
  const auto waits = cast.submit(from_tenant("alone"));
  for (int i = 0; i < 10; ++i)
    cast.submit(from_tenant("new"));
  cast.end(running);
  cast.end(worker.assigned.back().request.id);
  const auto order = given_to(worker);
  CHECK(std::ranges::find(order, waits) != order.end());
}

TEST_CASE("a deadline that no worker could keep is refused at once, one that a worker can is not", "[scheduler]") {
  probed_scheduler cast(without_backlog());
  auto& worker = cast.join(1);
  cast.report(worker);
  auto& slow = cast.join(2);
  auto report = cast.report_of(slow);
  report.token_ns = 50'000'000;
  cast.report(report);
  auto request = make_request(1000, 10);  // a second on the quick one
  request.objective.deadline = 500ms;
  const auto hopeless = cast.submit(request);
  REQUIRE(cast.ends[hopeless].size() == 1);
  CHECK(cast.ends[hopeless][0].reason == finish_reason::failed);
  CHECK(cast.ends[hopeless][0].failure == errc::deadline_exceeded);
  CHECK(cast.ends[hopeless][0].param == "deadline_ms");
  CHECK(cast.ends[hopeless][0].message.find("500 ms") != std::string::npos);
  request.objective.deadline = 1500ms;
  const auto possible = cast.submit(request);
  CHECK(cast.ends[possible].empty());
  // What was delivered already has to be computed again as well.
  request.resumed.assign(1000, 5);
  CHECK(cast.ends[cast.submit(request)].size() == 1);
  CHECK(worker.assigned.size() + slow.assigned.size() == 1);
}

TEST_CASE("while no pace is known no deadline is refused; it ends the request when it passes", "[scheduler]") {
  probed_scheduler cast(without_backlog());
  auto& worker = cast.join(1);
  auto report = cast.report_of(worker);
  report.step_us = report.token_ns = 0;
  cast.report(report);
  auto request = make_request(1000, 10);
  request.objective.deadline = 1ms;
  const auto id = cast.submit(request);
  CHECK(cast.ends[id].empty());
  cast.pass(2ms);
  REQUIRE(cast.ends[id].size() == 1);
  CHECK(cast.ends[id][0].failure == errc::deadline_exceeded);
  CHECK(worker.cancelled == std::vector{id});
}

TEST_CASE("a full queue refuses with overloaded, and takes again when there is room", "[scheduler]") {
  auto config = without_backlog();
  config.queue_capacity = 3;
  probed_scheduler cast(std::move(config));
  const auto early = cast.submit(make_request(5, 5));
  REQUIRE(cast.ends[early].size() == 1);
  CHECK(cast.ends[early][0].failure == errc::unavailable);
  auto& worker = cast.join(1);
  cast.report(worker);
  std::vector<request_id> all;
  for (int i = 0; i < 9; ++i)
    all.push_back(cast.submit(make_request(5, 5)));
  CHECK(worker.assigned.size() == 4);
  for (std::size_t i = 0; i < all.size(); ++i) {
    CAPTURE(i);
    REQUIRE(cast.ends[all[i]].size() == (i < 7 ? 0 : 1));
    if (i >= 7) CHECK(cast.ends[all[i]][0].failure == errc::overloaded);
  }
  cast.end(all[0]);
  CHECK(cast.ends[cast.submit(make_request(5, 5))].empty());
  CHECK(cast.ends[cast.submit(make_request(5, 5))].size() == 1);
}

TEST_CASE("policies of every kind can be set, unknown ones list what there is", "[scheduler]") {
  probed_scheduler cast(without_backlog());
  for (const auto& name : policies::dispatch_policy_names()) {
    CHECK(cast.set("dispatch", name).done);
    CHECK(cast.ask<policies_status>(ask_policies{}).dispatch == name);
  }
  for (const auto name : policies::batching_policy_names()) {
    CHECK(cast.set("scheduler", std::string(name)).done);
    CHECK(cast.ask<policies_status>(ask_policies{}).scheduler == name);
  }
  for (const char* name : {"llumnix", "none", "llumnix"}) {
    CHECK(cast.set("rescheduling", name).done);
    CHECK(cast.ask<policies_status>(ask_policies{}).rescheduling == name);
  }
  const auto before = cast.ask<policies_status>(ask_policies{});
  for (const auto& [kind, known] : std::map<std::string, std::string>{
           {"dispatch", "hexgen_text2sql"}, {"scheduler", "jitserve"}, {"rescheduling", "none"}, {"", "dispatch"}}) {
    CAPTURE(kind);
    const auto refused = cast.set(kind, "nonsense");
    CHECK_FALSE(refused.done);
    CHECK(refused.message.find(known) != std::string::npos);
  }
  const auto after = cast.ask<policies_status>(ask_policies{});
  CHECK(after.dispatch == before.dispatch);
  CHECK(after.scheduler == before.scheduler);
  CHECK(after.rescheduling == before.rescheduling);
}

TEST_CASE("a new local order reaches the workers that are there and those that come", "[scheduler]") {
  auto config = without_backlog();
  config.local_order = "fcfs";
  probed_scheduler cast(std::move(config));
  auto& early = cast.join(1);
  CHECK(early.local_orders.empty());  // as it was started
  CHECK(cast.set("scheduler", "sjf").done);
  CHECK(cast.set("scheduler", "edf").done);
  CHECK_FALSE(cast.set("scheduler", "nonsense").done);
  CHECK(early.local_orders == std::vector<std::string>{"sjf", "edf"});
  CHECK(cast.join(2).local_orders == std::vector<std::string>{"edf"});
  CHECK(cast.join(1).local_orders == std::vector<std::string>{"edf"});  // it comes back
}

TEST_CASE("a new dispatch policy takes what waits, and the backlog goes with it", "[scheduler]") {
  auto config = without_backlog();
  config.backlog_as_suits = true;
  config.local_order = "fcfs";
  probed_scheduler cast(std::move(config));
  auto& worker = cast.join(1);
  cast.report(worker);
  for (int i = 0; i < 100; ++i)
    cast.submit(make_request(5, 5));
  const auto few = worker.assigned.size();
  CHECK(few < 100);
  CHECK(cast.set("dispatch", "llumnix").done);
  cast.report(worker);
  CHECK(worker.assigned.size() > few);
}

TEST_CASE("a worker is told how long its request has been under way", "[scheduler]") {
  probed_scheduler cast(without_backlog());
  auto& worker = cast.join(1);
  worker.max_sequences = 1;
  cast.report(worker);
  auto request = make_request(10, 10);
  request.objective.elapsed = 5ms;  // on its way here
  const auto first = cast.submit(request);
  cast.submit(request);
  cast.pass(250ms);
  cast.end(first);
  REQUIRE(worker.assigned.size() == 2);
  CHECK(worker.assigned[0].request.objective.elapsed == 5ms);
  CHECK(worker.assigned[1].request.objective.elapsed == 255ms);
}

TEST_CASE("calls of a program have budgets that shrink as its time goes", "[scheduler]") {
  probed_scheduler cast(without_backlog());
  auto& worker = cast.join(1);
  cast.report(worker);
  // Learnt from a program before it: 2.1 s of 2.1, 2.1 and 2.1.
  const std::vector<std::string> steps{"plan", "search", "answer"};
  const auto run = [&](const std::string& program, caf::timespan each) {
    std::vector<service_objective> told;
    for (const auto& step : steps) {
      const auto id = cast.submit(call_of(program, step, 12s));
      told.push_back(worker.assigned.back().request.objective);
      cast.pass(each);
      cast.end(id);
    }
    return told;
  };
  const auto unknown = run("first", 1s);
  CHECK(unknown[0].budget == 12s);  // nobody knows what follows
  CHECK(unknown[1].budget == 11s);
  CHECK(unknown[2].budget == 10s);
  CHECK(unknown[2].ttlt == 10s);
  cast.pass(120s);
  run("second", 1s);  // the first one is over by now
  const auto known = run("third", 3s);
  CHECK(known[0].budget == 4s);
  CHECK(known[1].budget == 4500ms);  // half of 9 s
  CHECK(known[2].budget == 6s);
  CHECK(known[1].ttlt == 9s);
  // It is late: the budget says how much.
  const auto late = run("fourth", 10s);
  CHECK(late[1].budget == 1s);
  CHECK(late[2].budget == -8s);
  CHECK(late[2].ttlt == 1ms);
}

TEST_CASE("tenants share no programs, whatever they call them", "[scheduler]") {
  probed_scheduler cast(without_backlog());
  auto& worker = cast.join(1);
  cast.report(worker);
  cast.submit(call_of("1", "plan", 10s));
  cast.pass(4s);
  auto other = call_of("1", "plan", 10s);
  other.tenant = "other";
  cast.submit(other);
  CHECK(worker.assigned.back().request.objective.budget == 10s);
  CHECK(worker.assigned.back().request.objective.ttlt == 10s);
  CHECK(worker.assigned.back().request.call.program == "1");
  cast.submit(call_of("1", "plan", 10s));
  CHECK(worker.assigned.back().request.objective.ttlt == 6s);
}

TEST_CASE("a request without a program or without an objective has no budget", "[scheduler]") {
  probed_scheduler cast(without_backlog());
  auto& worker = cast.join(1);
  cast.report(worker);
  auto request = make_request(10, 10);
  request.objective.ttlt = 5s;
  cast.submit(request);
  CHECK(worker.assigned.back().request.objective.budget == 0ms);
  CHECK(worker.assigned.back().request.objective.ttlt == 5s);
  cast.submit(call_of("p", "plan", 0ms));
  CHECK(worker.assigned.back().request.objective.budget == 0ms);
  CHECK(worker.assigned.back().request.objective.ttlt == 0ms);
}

TEST_CASE("scaling starts a worker under load, and drains one and gives its requests away when there is little",
          "[scheduler]") {
  int starts = 0;
  std::vector<worker_id> stopped;
  scheduler_config config;
  config.scaling =
      policies::scaling_settings{.min_workers = 1, .max_workers = 3, .scale_up_below = 10, .scale_down_above = 60};
  config.scale_every = 1s;
  config.start_worker = [&] { ++starts; };
  config.stop_worker = [&](worker_id worker) { stopped.push_back(worker); };
  probed_scheduler cast(std::move(config), "llumnix");
  auto& one = cast.join(1);
  auto report = cast.report_of(one);
  report.sequences = report.sequences_running = 4;
  report.blocks_used = 90;
  cast.report(report);
  cast.pass(1s);
  CHECK(starts == 1);
  auto& two = cast.join(2);
  cast.report(two);
  cast.report(one);
  const auto id = cast.submit(make_request(10, 10));
  REQUIRE(one.assigned.size() == 1);
  cast.report(one);
  cast.pass(1s);
  // The second has fewest requests: it takes no more and is stopped, being empty.
  cast.submit(make_request(10, 10));
  CHECK(two.assigned.empty());
  cast.pass(1s);
  CHECK(stopped == std::vector{worker_id{2}});
  // The last one stays, with however little to do.
  cast.end(id);
  cast.crash(2);
  for (int i = 0; i < 5; ++i)
    cast.pass(1s);
  CHECK(stopped == std::vector{worker_id{2}});
  CHECK(starts == 1);
}
