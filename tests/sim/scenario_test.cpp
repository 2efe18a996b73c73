#include "simulator/scenario.hpp"

#include "catch.hpp"
#include "policies/approximately.hpp"
#include "simulator/cost_models.hpp"
#include "simulator/experiment.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::simulator;

namespace {

std::filesystem::path samples() {
  const char* data = std::getenv("TROUPE_TEST_DATA");
  return std::filesystem::path(data != nullptr ? data : "tests/data") / "traces";
}

const std::string instances = R"(
[[instances]]
cost = "cpu"
blocks = 200
max_context = 1024
)";
const std::string requests = R"(
[[workload]]
rate = 2
prompt_tokens = 20
answer_tokens = 10
)";
const std::string whole = instances + requests;

result<scenario> parse(const std::string& text, const std::vector<scenario_setting>& settings = {}) {
  return parse_scenario(text, "it.toml", samples(), settings);
}

scenario parsed(const std::string& text, const std::vector<scenario_setting>& settings = {}) {
  auto made = parse(text, settings);
  INFO((made ? std::string() : made.error().message));
  REQUIRE(made);
  return std::move(*made);
}

/// `text` with further keys of [[instances]] or of [[workload]].
std::string with_instance(const std::string& keys) {
  return "[[instances]]\ncost = \"cpu\"\n" + keys + "\n" + requests;
}
std::string with_workload(const std::string& keys) {
  return instances + "[[workload]]\n" + keys + "\n";
}

}  // namespace

TEST_CASE("a scenario says everything about a cluster", "[scenario]") {
  const auto made = parsed(R"(
title = "all of it"
[cluster]
dispatch = "llumnix"
headroom = 7
scheduler = "jitserve"
jitserve = { stickiness = false }
rescheduling = true
migrate_below = 4
migrate_above = 5
min_workers = 2
max_workers = 5
scale_every_ms = 500
start_s = 2.5
queue = 77
backlog = 8
tenant_weights = { a = 1, b = 2.5 }
lengths = "noisy"
length_sigma = 0.3
[[instances]]
name = "prefiller"
roles = "prefill"
count = 3
blocks = 100
cost = { prompt = { base_ms = 1, per_token_ms = 0.5 }, decoding = { base_ms = 2 }, large = { base_ms = 3 }, large_batch = 9 }
[[instances]]
roles = "decode"
cost = "distserve-a100-13b"
prefix_caching = true
[network]
latency_us = 250
gbit_per_s = 8
kv_bytes_per_token = 1000
[[workload]]
kind = "chat"
tenant = "b"
priority = -3
arrivals = "gamma"
cv = 4
rate = 3
ttft_ms = 250
tpot_ms = 50
ttlt_ms = 9000
deadline_ms = 20000
stages = 2
calls = 3
prompt_tokens = { shape = "lognormal", tokens = 100, sigma = 0.1 }
answer_tokens = 5
[run]
seeds = [4, 5]
requests = 12
)");
  REQUIRE(made.cases.size() == 1);
  const auto& cluster = made.cases[0].cluster;
  CHECK(made.title == "all of it");
  CHECK(made.seeds == std::vector<std::uint64_t>{4, 5});
  CHECK(cluster.dispatch == "llumnix");
  CHECK(cluster.local_order == "jitserve");
  CHECK_FALSE(cluster.batching.jitserve.stickiness);
  REQUIRE(cluster.rescheduling);
  CHECK(cluster.rescheduling->migrate_below == 4);
  CHECK(cluster.rescheduling->headroom == 7);
  REQUIRE(cluster.scaling);
  CHECK(cluster.scaling->max_workers == 5);
  CHECK(cluster.start_time == std::chrono::milliseconds(2500));
  CHECK(cluster.queue_capacity == 77);
  CHECK(cluster.tenant_weights.at("b") == 2.5);
  CHECK(cluster.lengths == length_knowledge::noisy);
  REQUIRE(cluster.instances.size() == 2);
  CHECK(cluster.instances[0].roles == 1);
  CHECK(cluster.instances[0].count == 3);
  CHECK(cluster.instances[0].max_context == 1600);  // what its blocks hold
  CHECK(cluster.instances[0].cost.large_batch == 9);
  CHECK(cluster.instances[1].prefix_caching);
  CHECK(cluster.network.bytes_per_second == 1e9);
  const auto asked = make_workload(made.cases[0].workloads, made.requests, 4);
  REQUIRE(asked.size() == 12);
  CHECK(asked[0].stages.size() == 2);
  CHECK(asked[0].stages[1].size() == 3);
  CHECK(asked[0].objective.priority == -3);
  CHECK(asked[0].objective.deadline == std::chrono::seconds(20));
  CHECK(asked[0].tenant == "b");
}

TEST_CASE("a scenario's cases: what is compared, by the values of its sweep", "[scenario]") {
  const auto made = parsed(whole + R"(
[cluster]
backlog = 9
[run]
sweep = { key = "instances[0].count", values = [1, 2] }
[[run.compare]]
label = "one"
dispatch = "round_robin"
[[run.compare]]
label = "two"
dispatch = "llumnix"
set = { "workload[0].rate" = 5 }
)");
  REQUIRE(made.cases.size() == 4);
  CHECK(made.cases[1].label == "one");
  CHECK(made.cases[1].value == "2");
  CHECK(made.cases[1].cluster.instances[0].count == 2);
  CHECK(made.cases[1].cluster.worker_backlog == 9);
  CHECK(made.cases[1].workloads[0].coming.rate == 2);
  CHECK(made.cases[2].cluster.dispatch == "llumnix");
  CHECK(made.cases[2].cluster.instances[0].count == 1);
  CHECK(made.cases[2].workloads[0].coming.rate == 5);
}

TEST_CASE("a sweep over rate shares it out", "[scenario]") {
  const std::string second = "[[workload]]\nrate = 6\nprompt_tokens = 20\nanswer_tokens = 10\n";
  const auto made = parsed(whole + second + "[run]\nsweep = { key = \"rate\", values = [4, 8.0] }\nrequests = 100\n");
  REQUIRE(made.cases.size() == 2);
  CHECK(made.cases[0].workloads[0].coming.rate == approximately(1));
  CHECK(made.cases[0].workloads[1].coming.rate == approximately(3));
  CHECK(made.cases[1].workloads[1].coming.rate == approximately(6));
  CHECK(make_workload(made.cases[0].workloads, 100, 1).size() == 100);
}

TEST_CASE("settings from outside come first", "[scenario]") {
  const auto made = parsed(whole, {{"cluster.dispatch", "llumnix"}, {"instances[0].count", "3"}, {"run.seeds", "2"}});
  CHECK(made.cases[0].cluster.dispatch == "llumnix");
  CHECK(made.cases[0].cluster.instances[0].count == 3);
  CHECK(made.seeds.size() == 2);
  CHECK(parse(whole, {{"instances[3].count", "3"}}).error().param == "instances[3].count");
  CHECK(parse(whole, {{"a..b", "3"}}).error().param == "a..b");
  CHECK(parse(whole, {{"instances[0].count", "1\nblocks = 3"}}).error().param == "instances[0].count");
}

TEST_CASE("what is wrong with a scenario is said with the path of the field", "[scenario]") {
  struct bad {
    std::string text;
    std::string field;
  };
  const std::string lengths = "rate = 1\nprompt_tokens = 1\nanswer_tokens = 1\n";
  const std::vector<bad> all{
      {"[[instances]\n", "scenario"},
      {"", "instances"},
      {requests, "instances"},
      {instances, "workload"},
      {whole + "[machines]\n", "machines"},
      {"instances = 3\n" + requests, "instances"},
      {"instances = [1]\n" + requests, "instances[0]"},
      {"title = 3\n" + whole, "title"},
      {whole + "[cluster]\nbacklg = 3\n", "cluster.backlg"},
      {whole + "[cluster]\nbacklog = 0\n", "cluster.backlog"},
      {whole + "[cluster]\nqueue = 0\n", "cluster.queue"},
      {whole + "[cluster]\ndispatch = \"best\"\n", "cluster.dispatch"},
      {whole + "[cluster]\ndispatch = 3\n", "cluster.dispatch"},
      {whole + "[cluster]\nscheduler = \"best\"\n", "cluster.scheduler"},
      {whole + "[cluster]\nalpha = 1.5\n", "cluster.alpha"},
      {whole + "[cluster]\nrescheduling = \"yes\"\n", "cluster.rescheduling"},
      {whole + "[cluster]\nmigrate_below = -1\n", "cluster.migrate_below"},
      {whole + "[cluster]\nmigrate_below = 4\n", "cluster.migrate_below"},
      {whole + "[cluster]\nmin_workers = 2\n", "cluster.min_workers"},
      {whole + "[cluster]\nmin_workers = 3\nmax_workers = 2\n", "cluster.min_workers"},
      {whole + "[cluster]\nmax_workers = 2\nscale_up_below = 90\n", "cluster.scale_up_below"},
      {whole + "[cluster]\nlengths = \"guessed\"\n", "cluster.lengths"},
      {whole + "[cluster]\ntenant_weights = { a = 0 }\n", "cluster.tenant_weights.a"},
      {whole + "[cluster]\ntenant_weights = 3\n", "cluster.tenant_weights"},
      {whole + "[cluster]\njitserve = { frame = 3 }\n", "cluster.jitserve.frame"},
      {whole + "[cluster]\nlimit_s = 0\n", "cluster.limit_s"},
      {"cluster = 3\n" + whole, "cluster"},
      {whole + "[network]\nlatency_us = -1\n", "network.latency_us"},
      {whole + "[network]\ngbit_per_s = 0\n", "network.gbit_per_s"},
      {whole + "[network]\nspeed = 1\n", "network.speed"},
      {with_instance("count = 0"), "instances[0].count"},
      {with_instance("count = 2000"), "instances[0].count"},
      {with_instance("count = \"two\""), "instances[0].count"},
      {with_instance("blocks = 0"), "instances[0].blocks"},
      {with_instance("blocks = 1.5"), "instances[0].blocks"},
      {with_instance("blocks = -4"), "instances[0].blocks"},
      {with_instance("blocks = 4\nmax_context = 65"), "instances[0].max_context"},
      {with_instance("max_sequences = 0"), "instances[0].max_sequences"},
      {with_instance("max_sequences = 8\nmax_running = 9"), "instances[0].max_running"},
      {with_instance("max_batched_tokens = 0"), "instances[0].max_batched_tokens"},
      {with_instance("roles = \"boss\""), "instances[0].roles"},
      {with_instance("roles = \"prefill\""), "instances"},
      {with_instance("name = \"\""), "instances[0].name"},
      {with_instance("colour = \"red\""), "instances[0].colour"},
      {instances + instances + "blockz = 1\n" + requests, "instances[1].blockz"},
      {"[[instances]]\n" + requests, "instances[0].cost"},
      {"[[instances]]\ncost = \"abacus\"\n" + requests, "instances[0].cost"},
      {"[[instances]]\ncost = 3\n" + requests, "instances[0].cost"},
      {"[[instances]]\ncost = { prompt = {} }\n" + requests, "instances[0].cost.decoding"},
      {"[[instances]]\ncost = { prompt = {}, decoding = {} }\n" + requests, "instances[0].cost.decoding"},
      {"[[instances]]\ncost = { prompt = { base_ms = -1 }, decoding = { base_ms = 1 } }\n" + requests,
       "instances[0].cost.prompt.base_ms"},
      {"[[instances]]\ncost = { prompt = {}, decoding = { base = 1 } }\n" + requests,
       "instances[0].cost.decoding.base"},
      {"[[instances]]\ncost = { file = \"none.toml\" }\n" + requests, "instances[0].cost.file"},
      {"[[instances]]\ncost = { profile = \"none.csv\" }\n" + requests, "instances[0].cost.profile"},
      {"[[instances]]\ncost = { profile = \"azure.csv\" }\n" + requests, "instances[0].cost.profile"},
      {"[[instances]]\ncost = { step_times = \"step_times.csv\", gpu = \"h9\" }\n" + requests, "instances[0].cost.gpu"},
      {with_workload("prompt_tokens = 1\nanswer_tokens = 1"), "workload[0].rate"},
      {with_workload("rate = -1\nprompt_tokens = 1\nanswer_tokens = 1"), "workload[0].rate"},
      {with_workload("rate = 0\nprompt_tokens = 1\nanswer_tokens = 1"), "workload[0].rate"},
      {with_workload("rate = inf\nprompt_tokens = 1\nanswer_tokens = 1"), "workload[0].rate"},
      {with_workload("rate = 1\nanswer_tokens = 1"), "workload[0].prompt_tokens"},
      {with_workload("rate = 1\nprompt_tokens = 1"), "workload[0].answer_tokens"},
      {with_workload("rate = 1\nprompt_tokens = 0\nanswer_tokens = 1"), "workload[0].prompt_tokens"},
      {with_workload("rate = 1\nprompt_tokens = { shape = \"flat\" }\nanswer_tokens = 1"),
       "workload[0].prompt_tokens.shape"},
      {with_workload("rate = 1\nprompt_tokens = { tokens = -1 }\nanswer_tokens = 1"),
       "workload[0].prompt_tokens.tokens"},
      {with_workload("rate = 1\nprompt_tokens = { mean = 1 }\nanswer_tokens = 1"), "workload[0].prompt_tokens.mean"},
      {with_workload(lengths + "ttft_ms = 0"), "workload[0].ttft_ms"},
      {with_workload(lengths + "tpot_ms = -5"), "workload[0].tpot_ms"},
      {with_workload(lengths + "ttlt_ms = 1.5"), "workload[0].ttlt_ms"},
      {with_workload(lengths + "deadline_ms = \"soon\""), "workload[0].deadline_ms"},
      {with_workload(lengths + "priority = 1000001"), "workload[0].priority"},
      {with_workload(lengths + "priority = 0.5"), "workload[0].priority"},
      {with_workload(lengths + "arrivals = \"sometimes\""), "workload[0].arrivals"},
      {with_workload(lengths + "cv = 0"), "workload[0].cv"},
      {with_workload(lengths + "burst_s = 40"), "workload[0].burst_s"},
      {with_workload(lengths + "arrivals = \"bursty\"\nburst_factor = 7"), "workload[0].burst_factor"},
      {with_workload(lengths + "stages = 0"), "workload[0].stages"},
      {with_workload(lengths + "requests = 0"), "workload[0].requests"},
      {with_workload(lengths + "trace = 3"), "workload[0].trace"},
      {with_workload("trace = { format = \"azure\" }"), "workload[0].trace.file"},
      {with_workload("trace = { file = \"azure.csv\", format = \"google\" }"), "workload[0].trace.format"},
      {with_workload("trace = { file = \"none.csv\", format = \"azure\" }"), "workload[0].trace.file"},
      {with_workload("trace = { file = \"lengths.csv\", format = \"azure\" }"), "workload[0].trace.file"},
      {with_workload("trace = { file = \"azure.csv\", format = \"azure\", from_s = 5, until_s = 4 }"),
       "workload[0].trace.until_s"},
      {with_workload("trace = { file = \"azure.csv\", format = \"azure\", from_s = 50000 }"), "workload[0].trace.file"},
      {with_workload("trace = { file = \"azure.csv\", format = \"azure\", scale = 0 }"), "workload[0].trace.scale"},
      {with_workload("trace = { file = \"azure.csv\", format = \"azure\" }\nstages = 2"), "workload[0].stages"},
      {with_workload("trace = { file = \"azure.csv\", format = \"azure\", limit = 1 }"), "workload[0].trace"},
      {with_workload("trace = { file = \"lengths.csv\", format = \"lengths\" }"), "workload[0].rate"},
      {whole + "[[workload]]\nrate = 1\n", "workload[1].prompt_tokens"},
      {whole + "[run]\nseeds = 0\n", "run.seeds"},
      {whole + "[run]\nseeds = []\n", "run.seeds"},
      {whole + "[run]\nseeds = [1, 1]\n", "run.seeds"},
      {whole + "[run]\nseeds = [-1]\n", "run.seeds"},
      {whole + "[run]\nrequests = 0\n", "run.requests"},
      {whole + "[run]\nsweeps = 1\n", "run.sweeps"},
      {whole + "[run]\nsweep = { key = \"rate\" }\n", "run.sweep.values"},
      {whole + "[run]\nsweep = { key = \"rate\", values = [] }\n", "run.sweep.values"},
      {whole + "[run]\nsweep = { values = [1] }\n", "run.sweep.key"},
      {whole + "[run]\nsweep = { key = \"rate\", values = [1, -1] }\n", "run.sweep.values[1]"},
      {whole + "[run]\nsweep = { key = \"instances[4].count\", values = [1] }\n", "run.sweep.key"},
      {whole + "[run]\nsweep = { key = \"instances[0].count\", values = [1, 0] }\n", "instances[0].count"},
      {whole + "[[run.compare]]\ndispatch = \"llumnix\"\n", "run.compare[0].label"},
      {whole + "[[run.compare]]\nlabel = \"a\"\n[[run.compare]]\nlabel = \"a\"\n", "run.compare[1].label"},
      {whole + "[[run.compare]]\nlabel = \"a\"\ndispatch = \"best\"\n", "run.compare[0].dispatch"},
      {whole + "[cluster]\ndispatch = \"best\"\n[[run.compare]]\nlabel = \"a\"\ndispatch = \"llumnix\"\n",
       "cluster.dispatch"},
      {whole + "[[run.compare]]\nlabel = \"a\"\nbacklogs = 1\n", "run.compare[0].backlogs"},
      {whole + "[[run.compare]]\nlabel = \"a\"\nset = { \"instances[7].count\" = 1 }\n",
       "run.compare[0].set.instances[7].count"},
  };
  for (const auto& each : all) {
    INFO(each.text);
    const auto made = parse(each.text);
    REQUIRE_FALSE(made);
    INFO(made.error().message);
    CHECK(made.error().param == each.field);
    CHECK(made.error().message.find("it.toml") != std::string::npos);
    CHECK((each.field == "scenario" || made.error().message.find(each.field) != std::string::npos));
  }
}

TEST_CASE("an error names the line", "[scenario]") {
  const std::string wrong = "\n" + with_instance("blocks = 0"), place = "it.toml:4: instances[0].blocks: 0 is no";
  CHECK(parse(wrong).error().message.starts_with(place));
  CHECK(parse(wrong + "[run]\nsweep = { key = \"rate\", values = [1] }\n").error().message.starts_with(place));
}

TEST_CASE("a trace begins elsewhere for each seed and comes at the rate that is asked for", "[scenario]") {
  const auto made = parsed(with_workload("trace = { file = \"azure.csv\", format = \"azure\" }\nrate = 8\n") +
                           "[run]\nrequests = 10\n");
  REQUIRE(made.cases[0].workloads[0].replay);
  const auto one = make_workload(made.cases[0].workloads, 10, 1), again = make_workload(made.cases[0].workloads, 10, 1),
             two = make_workload(made.cases[0].workloads, 10, 2);
  REQUIRE(one.size() == 10);
  CHECK(one[3].stages[0][0].prompt_tokens == again[3].stages[0][0].prompt_tokens);
  CHECK(one[0].stages[0][0].prompt_tokens != two[0].stages[0][0].prompt_tokens);
  const auto all = make_workload(made.cases[0].workloads, 0, 1);
  CHECK(all.size() == 40);
  CHECK(39 / std::chrono::duration<double>(all.back().arrival).count() == approximately(8).epsilon(0.001));
  const auto drawn = parsed(with_workload(
      "trace = { file = \"hexgen.csv\", format = \"hexgen\" }\nworkflow = \"sql\"\nrate = 1\nrequests = 9"));
  const auto programs = make_workload(drawn.cases[0].workloads, 0, 1);
  REQUIRE(programs.size() == 9);
  CHECK(programs[0].workflow == "sql");
  CHECK(programs[0].stages.size() == 4);
}

TEST_CASE("simulations do not notice each other", "[scenario]") {
  const auto of = parsed(whole +
                         "[run]\nseeds = 4\nrequests = 30\n[[run.compare]]\nlabel = \"a\"\n"
                         "[[run.compare]]\nlabel = \"b\"\nscheduler = \"jitserve\"\n");
  const auto together = run_experiment(of, 4), alone = run_experiment(of, 1);
  REQUIRE(together.cases.size() == 2);
  CHECK(together.calls == 240);
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t seed = 0; seed < 4; ++seed) {
      CHECK(together.cases[i].seeds[seed].trace_hash == alone.cases[i].seeds[seed].trace_hash);
      CHECK(together.cases[i].seeds[seed].all.failed == 0);
    }
  CHECK(alone.cases[0].seeds[0].trace_hash != alone.cases[0].seeds[1].trace_hash);
}

TEST_CASE("the examples are scenarios", "[scenario]") {
  const auto folder = samples() / "../../../examples/scenarios";
  const char* shared = std::getenv("TROUPE_SHARED");
  const bool has_data = std::filesystem::exists(std::filesystem::path(shared != nullptr ? shared : "") / "data") &&
                        std::filesystem::exists(folder / "../../../shared/data");
  std::size_t n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto made = read_scenario(entry.path());
    INFO((made ? std::string() : made.error().message));
    if (!made && !has_data && made.error().message.find("shared/data") != std::string::npos) continue;
    REQUIRE(made);
    CHECK(made->cases.size() > 1);
    ++n;
  }
  CHECK(n >= (has_data ? 6u : 2u));
}
