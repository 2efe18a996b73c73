// The scheduler's decisions as its workers and its gateway see them: order of the queue, deadlines, dispatch between
// two reports, policies that change, moves, programs' budgets, scaling. The policies themselves: tests/policies/.
#include "catch.hpp"
#include "policies/batching.hpp"
#include "probed_scheduler.hpp"

#include <chrono>
#include <cstdio>
#include <set>

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

TEST_CASE("prefix-aware dispatch sends prompts that begin alike to one worker", "[scheduler]") {
  probed_scheduler cast({}, "prefix_aware");
  for (std::uint32_t id = 1; id <= 4; ++id)
    cast.report(cast.join(id));
  std::map<token_id, std::set<std::uint32_t>> where;
  const auto place_of = [&](request_id request) {
    for (std::uint32_t id = 1; id <= 4; ++id)
      for (const auto& each : cast.worker(id).assigned)
        if (each.request.id == request) return id;
    return 0u;
  };
  for (int round = 0; round < 6; ++round)
    for (const token_id first : {0, 100'000, 200'000, 300'000}) {
      const auto id = cast.submit(make_request(256, 4, first));
      where[first].insert(place_of(id));
      cast.end(id);
      for (std::uint32_t worker = 1; worker <= 4; ++worker)
        cast.report(cast.worker(worker));
    }
  for (const auto& [first, places] : where)
    CHECK(places.size() == 1);
  // Another tenant's prompt is another prompt: it goes to who is lowest, not where the prefix is.
  for (const token_id first : {0, 100'000, 200'000, 300'000}) {
    auto other = make_request(256, 4, first);
    other.tenant = "other";
    const auto id = cast.submit(other);
    CHECK(place_of(id) == 1);
    cast.end(id);
    cast.report(cast.worker(1));
    cast.state().prefixes.forget(worker_id{1});
  }
}

TEST_CASE("what was assigned counts before a report has it: no herd between two reports", "[scheduler]") {
  for (const auto& name : policies::dispatch_policy_names()) {
    CAPTURE(name);
    probed_scheduler cast({}, name);
    for (std::uint32_t id = 1; id <= 4; ++id)
      cast.report(cast.join(id));
    for (int i = 0; i < 16; ++i)
      cast.submit(make_request(100, 20, i * 1000));
    for (std::uint32_t id = 1; id <= 4; ++id)
      CHECK(cast.worker(id).assigned.size() == 4);
  }
}

TEST_CASE("workers of unknown pace draw no more than their share", "[scheduler]") {
  const auto& name = GENERATE(from_range(policies::dispatch_policy_names()));
  const std::uint32_t n_known = GENERATE(0u, 1u, 3u);
  CAPTURE(name, n_known);
  probed_scheduler cast({}, name);
  for (std::uint32_t id = 1; id <= 4; ++id) {
    auto report = cast.report_of(cast.join(id));
    if (id > n_known) report.token_ns = report.step_us = 0;
    cast.report(report);
  }
  for (int i = 0; i < 16; ++i)
    cast.submit(make_request(100, 20, i * 1000));
  for (std::uint32_t id = 1; id <= 4; ++id)
    CHECK(cast.worker(id).assigned.size() == 4);
}

TEST_CASE("a report that has seen only some of the assignments does not forget the others", "[scheduler]") {
  for (const std::string name : {"least_loaded", "llumnix", "least_memory"}) {
    CAPTURE(name);
    probed_scheduler cast({}, name);
    auto& one = cast.join(1);
    auto& two = cast.join(2);
    cast.report(one);
    cast.report(two);
    for (int i = 0; i < 8; ++i)
      cast.submit(make_request(160, 20, i * 1000));
    REQUIRE(one.assigned.size() == 4);
    // The first of four has arrived and is done; three are on their way.
    auto report = cast.report_of(one);
    report.assigned = one.assigned[0].number;
    cast.end(one.assigned[0].request.id);
    cast.report(report);
    cast.submit(make_request(160, 20, 100'000));
    CHECK(one.assigned.size() == 5);
    CHECK(two.assigned.size() == 4);
    for (int i = 0; i < 2; ++i)
      cast.submit(make_request(160, 20, 200'000 + i * 1000));
    CHECK(one.assigned.size() == 6);
    CHECK(two.assigned.size() == 5);
  }
}

TEST_CASE("prefills of one instant are spread over the workers that decode", "[scheduler]") {
  for (const std::string name : {"round_robin", "least_loaded", "llumnix", "least_memory"}) {
    CAPTURE(name);
    probed_scheduler cast({}, name);
    auto& prefills = cast.join(1, worker_role::prefill);
    prefills.max_sequences = 64;
    cast.report(prefills);
    std::map<caf::actor, int> decodes;
    for (std::uint32_t id = 2; id <= 4; ++id) {
      cast.join(id, worker_role::decode);
      cast.report(cast.worker(id));
    }
    std::vector<request_id> all;
    for (int i = 0; i < 12; ++i)
      all.push_back(cast.submit(make_request(100, 20)));
    REQUIRE(prefills.assigned.size() == 12);
    for (const auto& each : prefills.assigned)
      ++decodes[each.decodes];
    CHECK(decodes.size() == 3);
    for (const auto& [worker, n] : decodes)
      CHECK(n == 4);
    // Nothing of it is left when they have come, ended, or can no longer come.
    for (std::size_t i = 0; i < 4; ++i)
      cast.end(all[i]);
    for (std::size_t i = 4; i < 8; ++i)
      cast.tell(request_taken{all[i], epoch{(1u << 16) + 1}, worker_id{2}});
    cast.crash(1);
    for (std::uint32_t id = 2; id <= 4; ++id) {
      const auto& books = cast.state().workers.at(worker_id{id});
      CHECK(books.load_expected().requests == books.load().requests);
      CHECK(books.load_expected().blocks_coming == books.load().blocks_coming);
    }
  }
}

TEST_CASE("a decode worker that is lost and comes back is expected to take nothing", "[scheduler]") {
  probed_scheduler cast({});
  cast.report(cast.join(1, worker_role::prefill));
  cast.report(cast.join(2, worker_role::decode));
  const auto first = cast.submit(make_request(100, 20));
  cast.crash(2);
  cast.report(cast.join(2, worker_role::decode));
  cast.submit(make_request(50, 20));
  cast.end(first);
  CHECK(cast.state().workers.at(worker_id{2}).load_expected().requests_coming == 1);
  CHECK(cast.state().workers.at(worker_id{2}).load_expected().blocks_coming == 4);
}

TEST_CASE("requests are moved from the fullest worker to the freest", "[scheduler]") {
  scheduler_config config;
  config.rescheduling.emplace();
  probed_scheduler cast(std::move(config), "llumnix");
  const std::uint32_t used[] = {95, 60, 5, 97};
  for (std::uint32_t id = 1; id <= 4; ++id) {
    auto report = cast.report_of(cast.join(id));
    report.sequences = report.sequences_running = 4;
    report.blocks_used = used[id - 1];
    cast.report(report);
    cast.pass(1s);
  }
  for (std::uint32_t id = 1; id <= 4; ++id)
    cast.worker(id).relocations.clear();
  auto report = cast.report_of(cast.worker(4));
  report.sequences = report.sequences_running = 4;
  report.blocks_used = 97;
  cast.report(report);
  REQUIRE(cast.worker(4).relocations.size() == 1);
  CHECK(cast.worker(4).relocations[0].to == cast.worker(3).handle);
  REQUIRE(cast.worker(1).relocations.size() == 1);
  CHECK(cast.worker(1).relocations[0].to == cast.worker(2).handle);
  CHECK(cast.worker(2).relocations.empty());
  CHECK(cast.worker(3).relocations.empty());
  // Not again before its time, and not at all when it is off.
  cast.report(report);
  CHECK(cast.worker(4).relocations.size() == 1);
  CHECK(cast.set("rescheduling", "none").done);
  cast.pass(10s);
  cast.report(report);
  CHECK(cast.worker(4).relocations.size() == 1);
}

TEST_CASE("a worker that drains gives its requests to all the others, not to one", "[scheduler]") {
  for (const auto& name : policies::dispatch_policy_names()) {
    CAPTURE(name);
    probed_scheduler cast({}, name);
    auto& leaving = cast.join(1);
    leaving.max_sequences = 64;
    cast.report(leaving);
    for (int i = 0; i < 9; ++i)
      cast.submit(make_request(100, 20, i * 1000));
    REQUIRE(leaving.assigned.size() == 9);
    cast.report(leaving);
    for (std::uint32_t id = 2; id <= 4; ++id)
      cast.report(cast.join(id));
    cast.tell(drain_worker{worker_id{1}});
    std::map<caf::actor, int> taken;
    for (const auto& each : leaving.relocations)
      ++taken[each.to];
    CHECK(leaving.relocations.size() == 9);
    CHECK(taken.size() == 3);
    for (const auto& [worker, n] : taken)
      CHECK(n == 3);
    cast.submit(make_request(100, 20));
    CHECK(leaving.assigned.size() == 9);
  }
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

TEST_CASE("a decision among 256 workers with 10,000 queued is quick", "[scheduler][cost]") {
  constexpr int n_decisions = 500;
  for (const auto& name : policies::dispatch_policy_names()) {
    scheduler_config config;
    config.queue_capacity = 100'000;
    config.worker_backlog = 0;
    probed_scheduler cast(std::move(config), name);
    for (std::uint32_t id = 1; id <= 256; ++id) {
      cast.join(id).max_sequences = 8;
      cast.report(cast.worker(id));
    }
    std::vector<request_id> all;
    for (int i = 0; i < 12'048; ++i) {
      auto request = make_request(512, 20, i * 1000);
      request.tenant = "tenant" + std::to_string(i % 20);
      all.push_back(cast.submit(std::move(request)));
    }
    REQUIRE(cast.state().queue.size() == 10'000);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < n_decisions; ++i)
      cast.end(all[static_cast<std::size_t>(i)]);
    const double us =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / n_decisions;
    std::printf("%s: %.0f us for an end and the next assignment, 256 workers, 10,000 queued\n", name.c_str(), us);
    CHECK(cast.state().queue.size() == 10'000 - n_decisions);
    CHECK(us < 5000);
  }
}
