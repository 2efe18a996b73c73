// To whom the scheduler gives requests: what it knows between two reports, prefixes, prefill and decode, moves, and
// what a decision costs.
#include "catch.hpp"
#include "probed_scheduler.hpp"

#include <chrono>
#include <cstdio>
#include <map>
#include <set>

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

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
    // While all are full a report changes nothing, and costs little.
    const auto report_start = std::chrono::steady_clock::now();
    for (std::uint32_t id = 1; id <= 256; ++id)
      cast.report(cast.worker(id));
    const double report_us =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - report_start).count() / 256;
    std::printf("%s: %.0f us for a report\n", name.c_str(), report_us);
    CHECK(cast.state().queue.size() == 10'000 - n_decisions);
    CHECK(report_us < 5000);
  }
}
