#include "policies/program_history.hpp"

#include "approximately.hpp"
#include "base/random.hpp"
#include "catch.hpp"

#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::policies;
using namespace std::chrono_literals;

namespace {

constexpr time_point start{std::chrono::hours(1)};

time_point at(double s) {
  return start + std::chrono::duration_cast<duration>(std::chrono::duration<double>(s));
}

struct planned_call {
  std::string step;
  double s;
};
/// Calls of a stage run side by side.
using stages = std::vector<std::vector<planned_call>>;

/// Each call takes as long as is estimated. When the program's last call ended.
double run(program_history& history, const std::string& program, const std::string& workflow, const stages& all,
           double from) {
  for (const auto& stage : all) {
    double longest = 0;
    for (const auto& call : stage) {
      history.begin_call(program, workflow, call.step, call.s, 0, at(from));
      longest = std::max(longest, call.s);
    }
    from += longest;
    for (std::size_t i = 0; i < stage.size(); ++i)
      history.end_call(program, at(from));
  }
  return from;
}

const stages three_steps{{{"plan", 1}}, {{"search", 2}}, {{"answer", 5}}};
const stages parallel{{{"plan", 1}}, {{"a", 2}, {"b", 4}, {"a", 3}}, {{"answer", 5}}};

/// A history in which a program of each of these has ended.
program_history after(const std::vector<std::pair<std::string, stages>>& ended) {
  program_history history;
  double now = 0;
  for (std::size_t i = 0; i < ended.size(); ++i)
    now = run(history, "old" + std::to_string(i), ended[i].first, ended[i].second, now);
  // Long after: they are over. Calls make it look.
  for (int i = 0; i < 20; ++i) {
    history.begin_call("later", "other", "other", 0, 0, at(now + 1000));
    history.end_call("later", at(now + 1000));
  }
  return history;
}

}  // namespace

TEST_CASE("a call's budget is its share of what is left, by what follows it", "[program_history]") {
  auto history = after({{"flow", three_steps}});
  const auto plan = history.look_ahead("flow", "plan");
  CHECK(plan.n == 1);
  CHECK(plan.own_s == approximately(1));
  CHECK(plan.after_s == approximately(7));
  CHECK(history.look_ahead("flow", "answer").after_s == approximately(0));
  // 16 s for work of 8: twice what each takes, as long as it keeps to it.
  CHECK(history.begin_call("p", "flow", "plan", 1, 16, at(2000)) == approximately(2));
  history.end_call("p", at(2002));
  CHECK(history.begin_call("p", "flow", "search", 2, 16, at(2002)) == approximately(4));
  history.end_call("p", at(2012));
  // It took 10 instead of 4: the last one has what is left.
  CHECK(history.begin_call("p", "flow", "answer", 5, 16, at(2012)) == approximately(4));
  CHECK(history.begun("p", at(3000)) == at(2000));
  CHECK(history.begun("unknown", at(3000)) == at(3000));
}

TEST_CASE("of parallel calls the longest counts", "[program_history]") {
  auto history = after({{"flow", parallel}});
  CHECK(history.look_ahead("flow", "plan").after_s == approximately(4 + 5));
  CHECK(history.look_ahead("flow", "a").own_s == approximately(2.5));
  CHECK(history.look_ahead("flow", "a").after_s == approximately(5));
  CHECK(history.look_ahead("flow", "b").after_s == approximately(5));
  // Side by side, each has its share of the same time.
  CHECK(history.begin_call("p", "flow", "plan", 1, 20, at(2000)) == approximately(20.0 * 1 / 10));
  history.end_call("p", at(2002));
  CHECK(history.begin_call("p", "flow", "b", 4, 20, at(2002)) == approximately(18.0 * 4 / 9));
  CHECK(history.begin_call("p", "flow", "a", 3, 20, at(2002)) == approximately(18.0 * 2.5 / 7.5));
}

TEST_CASE("what repeats within a program counts with what follows on average", "[program_history]") {
  // "revise" three times: 2 and 1 more follow, then none, and the end of 4 s behind all.
  auto history = after({{"flow", {{{"revise", 2}}, {{"revise", 2}}, {{"revise", 2}}, {{"end", 4}}}}});
  const auto revise = history.look_ahead("flow", "revise");
  CHECK(revise.n == 3);
  CHECK(revise.after_s == approximately((8 + 6 + 4) / 3.0));
}

TEST_CASE("budgets of all calls of a known workflow add up to the objective", "[program_history]") {
  random_stream random(7);
  for (int round = 0; round < 200; ++round) {
    stages all(1 + random.below(6));
    double sum = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const double s = 0.1 + random.unit();
      sum += s;
      all[i] = {{"step" + std::to_string(i), s}};
    }
    auto history = after({{"flow", all}});
    const double objective = sum * (0.5 + 3 * random.unit());
    double now = 5000;
    for (const auto& stage : all) {
      const double budget = history.begin_call("p", "flow", stage[0].step, 0, objective, at(now));
      REQUIRE(budget == approximately(objective * stage[0].s / sum).epsilon(1e-3));
      now += budget;
      history.end_call("p", at(now));
    }
    REQUIRE(now == approximately(5000 + objective));
  }
}

TEST_CASE("late programs have negative budgets, the later the lower", "[program_history]") {
  auto history = after({{"flow", three_steps}});
  double last = 1e9;
  for (int late = 0; late < 10; ++late) {
    const std::string name = "p" + std::to_string(late);
    history.begin_call(name, "flow", "plan", 1, 8, at(2000 - late));
    history.end_call(name, at(2001));
    const double budget = history.begin_call(name, "flow", "answer", 5, 8, at(2010));
    CHECK(budget < 0);
    CHECK(budget < last);
    last = budget;
  }
}

TEST_CASE("of an unseen workflow a call may take all that is left, and without an objective nothing is said",
          "[program_history]") {
  program_history history;
  CHECK(history.begin_call("p", "new", "first", 3, 30, at(0)) == approximately(30));
  history.end_call("p", at(10));
  CHECK(history.begin_call("p", "new", "second", 3, 30, at(10)) == approximately(20));
  CHECK(history.begin_call("q", "new", "first", 0, 30, at(10)) == approximately(30));
  CHECK(history.begin_call("q", "new", "first", 3, 0, at(10)) == 0);
  CHECK(history.begin_call("r", "new", "first", 3, -5, at(10)) == 0);
  CHECK(history.look_ahead("new", "first").n == 0);
}

TEST_CASE("a workflow that changes is learnt anew", "[program_history]") {
  program_history history;
  double now = 0;
  for (int i = 0; i < 400; ++i) {
    now = run(history, "slow" + std::to_string(i), "flow", {{{"a", 1}}, {{"b", 10}}}, now);
    now += 100;
  }
  CHECK(history.look_ahead("flow", "a").after_s == approximately(10));
  for (int i = 0; i < 1000; ++i) {
    now = run(history, "quick" + std::to_string(i), "flow", {{{"a", 1}}, {{"b", 2}}}, now);
    now += 100;
  }
  CHECK(history.look_ahead("flow", "a").after_s == approximately(2).epsilon(0.01));
}

TEST_CASE("programs that end are over after a while, not before, and not while a call is under way",
          "[program_history]") {
  program_history history({.idle_after = 60s});
  history.begin_call("p", "flow", "a", 1, 0, at(0));
  const auto look = [&](double now) {
    for (int i = 0; i < 10; ++i) {
      history.begin_call("other", "other", "x", 1, 0, at(now));
      history.end_call("other", at(now));
    }
  };
  look(500);
  CHECK(history.begun("p", at(500)) == at(0));
  history.end_call("p", at(500));
  look(555);
  CHECK(history.begun("p", at(555)) == at(0));
  CHECK(history.look_ahead("flow", "a").n == 0);
  look(561);
  CHECK(history.begun("p", at(561)) == at(561));
  CHECK(history.look_ahead("flow", "a").n == 1);
}

TEST_CASE("at the bound the program goes that was used least lately, never the one that calls", "[program_history]") {
  program_history history({.max_programs = 3});
  for (int i = 0; i < 3; ++i) {
    history.begin_call("p" + std::to_string(i), "flow", "a", 1, 0, at(i));
    history.end_call("p" + std::to_string(i), at(i));
  }
  // A full history, and programs that it knows: nobody has to go.
  for (int i = 0; i < 30; ++i) {
    const std::string name = "p" + std::to_string(i % 3);
    history.begin_call(name, "flow", "b", 1, 0, at(5 + i * 0.1));
    history.end_call(name, at(5 + i * 0.1));
    for (int known = 0; known < 3; ++known)
      REQUIRE(history.begun("p" + std::to_string(known), at(99)) == at(known));
  }
  history.begin_call("p0", "flow", "c", 1, 0, at(9));  // under way
  history.begin_call("new", "flow", "a", 1, 0, at(10));
  CHECK(history.programs() == 3);
  CHECK(history.begun("p0", at(99)) == at(0));
  CHECK(history.begun("p1", at(99)) == at(99));
  CHECK(history.begun("p2", at(99)) == at(2));
  // All are under way: still bounded.
  for (int i = 0; i < 100; ++i)
    history.begin_call("more" + std::to_string(i), "flow", "a", 1, 0, at(20 + i));
  CHECK(history.programs() == 3);
}

TEST_CASE("of many steps those are kept that were learnt last", "[program_history]") {
  program_history history({.max_programs = 1, .max_steps = 3});
  const auto learn = [&](const std::string& step, double now) {
    history.begin_call("p" + step, "flow", step, 1, 0, at(now));
    history.end_call("p" + step, at(now));
    history.begin_call("next", "", "", 1, 0, at(now));  // the one before makes room, and so is learnt
    history.end_call("next", at(now));
  };
  for (int i = 0; i < 100; ++i) {
    learn("often", i);
    learn("once" + std::to_string(i), i + 0.5);
  }
  CHECK(history.look_ahead("flow", "often").n == 100);
  CHECK(history.look_ahead("flow", "once99").n == 1);
  for (int i = 0; i < 98; ++i)
    CHECK(history.look_ahead("flow", "once" + std::to_string(i)).n == 0);
}

TEST_CASE("programs that never end are forgotten, and those of many calls are bounded", "[program_history]") {
  program_history history({.max_programs = 100, .max_calls = 8, .max_steps = 50});
  for (int i = 0; i < 10'000; ++i)  // none of these calls ends
    history.begin_call("p" + std::to_string(i), "flow", "step" + std::to_string(i), 1, 10, at(i));
  CHECK(history.programs() <= 100);
  history.begin_call("long", "flow", "a", 1, 0, at(10'000));
  for (int i = 0; i < 10'000; ++i) {
    history.end_call("long", at(10'000));
    CHECK(history.begin_call("long", "flow", "a", 1, 10, at(10'001)) > 0);
  }
  history.end_call("unknown", at(10'000));
  int known = 0;
  for (int i = 0; i < 10'000; ++i)
    known += history.look_ahead("flow", "step" + std::to_string(i)).n > 0 ? 1 : 0;
  CHECK(known <= 50);
}
