// The exposition as a scraper reads it: parsed line by line by a small checker of the text format.
#include "runtime/observe/metrics.hpp"

#include "catch.hpp"
#include "runtime/observe/capped_label.hpp"

#include <cmath>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using troupe::capped_label;
using troupe::metrics;

namespace {

struct exposition {
  std::map<std::string, std::string> types;  // by name
  std::map<std::string, std::string> helps;  // by name
  std::map<std::string, double> samples;     // by name and labels, as written
  std::vector<std::string> sample_names;     // in order, with repeats
};

double number_of(const std::string& text) {
  if (text == "+Inf" || text == "Inf") return INFINITY;
  if (text == "-Inf") return -INFINITY;
  if (text == "Nan" || text == "NaN") return NAN;
  std::size_t used = 0;
  const double number = std::stod(text, &used);
  REQUIRE(used == text.size());
  return number;
}

/// Fails the test on any line that breaks the text format 0.0.4, and on samples whose family was not announced.
exposition parse(const std::string& text) {
  static const std::regex help(R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+))");
  static const std::regex type(R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped))");
  static const std::regex sample(
      R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? ([^ ]+))re");
  REQUIRE(text.ends_with("\n"));
  exposition found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    std::smatch match;
    if (std::regex_match(line, match, help)) {
      CHECK(found.helps.emplace(match[1], match[2]).second);
    } else if (std::regex_match(line, match, type)) {
      CHECK(found.types.emplace(match[1], match[2]).second);
    } else {
      REQUIRE(std::regex_match(line, match, sample));
      const std::string name = match[1];
      const std::string family = std::regex_replace(name, std::regex("_(bucket|sum|count)$"), "");
      const bool announced =
          found.types.contains(name) || (found.types.contains(family) && found.types[family] == "histogram");
      CHECK(announced);
      CHECK(found.samples.emplace(name + match[2].str(), number_of(match[3])).second);
      found.sample_names.push_back(name);
    }
  }
  return found;
}

bool near(double measured, double wanted) {
  return std::abs(measured - wanted) < 1e-9;
}

/// Every metric once.
void record_everything(metrics& m) {
  m.set_requests(3, 5);
  m.set_kv_blocks({.total = 200, .used = 50, .cached = 20});
  m.add_prefix_cache_lookup(100, 64);
  m.add_guesses(40, 30);
  m.add_relocations({.moved = 3, .refused = 2, .failed = 1, .pause = std::chrono::milliseconds(5)});
  m.add_prompt_tokens(100);
  m.add_generation_tokens(7);
  m.observe_queue_time(3ms);
  m.observe_time_to_first_token(30ms);
  m.observe_inter_token_latency(4ms);
  m.observe_e2e_request_latency(1200ms);
  m.count_request("stop");
  m.count_rejected_request("overloaded");
  m.count_http_request("/v1/models", 200);
  m.set_http_connections(9);
  m.count_worker_restart();
}

}  // namespace

TEST_CASE("the exposition is well formed and says what was recorded") {
  metrics m({.version = "1.2.3", .model_name = "tiny"});
  record_everything(m);
  const exposition got = parse(m.expose(false));
  CHECK(got.samples.at("troupe_requests_running") == 3);
  CHECK(got.samples.at("troupe_requests_waiting") == 5);
  CHECK(got.samples.at("troupe_kv_usage_ratio") == 0.25);
  CHECK(got.samples.at("troupe_kv_blocks{state=\"total\"}") == 200);
  CHECK(got.samples.at("troupe_kv_blocks{state=\"used\"}") == 50);
  CHECK(got.samples.at("troupe_kv_blocks{state=\"cached\"}") == 20);
  CHECK(got.samples.at("troupe_prefix_cache_queries_total") == 100);
  CHECK(got.samples.at("troupe_prefix_cache_hits_total") == 64);
  CHECK(got.samples.at("troupe_spec_decode_draft_tokens_total") == 40);
  CHECK(got.samples.at("troupe_spec_decode_accepted_tokens_total") == 30);
  CHECK(got.samples.at("troupe_relocations_total{outcome=\"moved\"}") == 3);
  CHECK(got.samples.at("troupe_relocations_total{outcome=\"refused\"}") == 2);
  CHECK(got.samples.at("troupe_relocations_total{outcome=\"failed\"}") == 1);
  CHECK(got.samples.at("troupe_relocation_pause_seconds_total") == 0.005);
  CHECK(got.samples.at("troupe_prompt_tokens_total") == 100);
  CHECK(got.samples.at("troupe_generation_tokens_total") == 7);
  CHECK(got.samples.at("troupe_requests_total{outcome=\"stop\"}") == 1);
  CHECK(got.samples.at("troupe_rejected_requests_total{reason=\"overloaded\"}") == 1);
  CHECK(got.samples.at("troupe_http_requests_total{path=\"/v1/models\",status=\"200\"}") == 1);
  CHECK(got.samples.at("troupe_http_connections") == 9);
  CHECK(got.samples.at("troupe_worker_restarts_total") == 1);
  CHECK(got.samples.at("troupe_build_info{version=\"1.2.3\"}") == 1);
  CHECK(near(got.samples.at("troupe_time_to_first_token_seconds_sum"), 0.03));
  CHECK(got.samples.at("troupe_time_to_first_token_seconds_count") == 1);
  CHECK(got.samples.at("troupe_time_to_first_token_seconds_bucket{le=\"0.02\"}") == 0);
  CHECK(got.samples.at("troupe_time_to_first_token_seconds_bucket{le=\"0.05\"}") == 1);
  CHECK(got.samples.at("troupe_time_to_first_token_seconds_bucket{le=\"+Inf\"}") == 1);
  CHECK(got.samples.contains("troupe_queue_time_seconds_bucket{le=\"0.001\"}"));
  CHECK(near(got.samples.at("troupe_queue_time_seconds_sum"), 0.003));
  CHECK(near(got.samples.at("troupe_inter_token_latency_seconds_sum"), 0.004));
  CHECK(near(got.samples.at("troupe_e2e_request_latency_seconds_sum"), 1.2));
}

TEST_CASE("an engine without KV blocks has a usage of 0, not a number that is none") {
  metrics m({});
  m.set_kv_blocks({});
  CHECK(parse(m.expose(false)).samples.at("troupe_kv_usage_ratio") == 0);
}

TEST_CASE("names keep the conventions: _total on counters and only there, units as suffixes, help for each") {
  metrics m({.version = "1", .model_name = "m"});
  record_everything(m);
  const exposition got = parse(m.expose(true));
  CHECK(got.types.size() > 20);
  for (const auto& [name, type] : got.types) {
    INFO(name);
    CHECK(name.ends_with("_total") == (type == "counter"));
    if (type == "histogram") CHECK(name.ends_with("_seconds"));
    CHECK(got.helps.contains(name));
    if (type == "counter") {
      const std::string& help = got.helps.at(name);
      const bool names_unit =
          help.find("in tokens") != std::string::npos || help.find("in requests") != std::string::npos ||
          help.find("in seconds") != std::string::npos || help.find("in restarts") != std::string::npos;
      CHECK(names_unit);
    }
    CHECK((name.starts_with("troupe_") || name.starts_with("vllm:") || name.starts_with("process_")));
  }
}

TEST_CASE("the process metrics are those of this process") {
  metrics m({});
  const exposition first = parse(m.expose(false));
  CHECK(first.samples.at("process_resident_memory_bytes") > 1 << 20);
  const double started = first.samples.at("process_start_time_seconds");
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  CHECK(started < now + 2);
  CHECK(started > now - 3600);
  const auto until = std::chrono::steady_clock::now() + 100ms;
  while (std::chrono::steady_clock::now() < until) {
  }
  CHECK(parse(m.expose(false)).samples.at("process_cpu_seconds_total") > first.samples.at("process_cpu_seconds_total"));
}

TEST_CASE("vLLM's names appear when asked for, with the model as label and the same numbers") {
  metrics m({.version = "1", .model_name = "a \"quoted\" model"});
  record_everything(m);
  CHECK(m.expose(false).find("vllm:") == std::string::npos);
  const exposition got = parse(m.expose(true));
  const std::string label = "{model_name=\"a \\\"quoted\\\" model\"}";
  CHECK(got.samples.at("vllm:num_requests_running" + label) == 3);
  CHECK(got.samples.at("vllm:num_requests_waiting" + label) == 5);
  CHECK(got.samples.at("vllm:kv_cache_usage_perc" + label) == 0.25);
  CHECK(got.samples.at("vllm:prefix_cache_queries_total" + label) == 100);
  CHECK(got.samples.at("vllm:prefix_cache_hits_total" + label) == 64);
  CHECK(got.samples.at("vllm:prompt_tokens_total" + label) == 100);
  CHECK(got.samples.at("vllm:generation_tokens_total" + label) == 7);
  for (const char* name : {"time_to_first_token", "inter_token_latency", "e2e_request_latency"}) {
    CHECK(got.samples.at("vllm:" + std::string(name) + "_seconds_count" + label) == 1);
  }
}

TEST_CASE("a capped label keeps its first values and calls the rest other") {
  capped_label label(3);
  CHECK(label("a") == "a");
  CHECK(label("b") == "b");
  CHECK(label("c") == "c");
  CHECK(label("d") == "other");
  CHECK(label("a") == "a");
  CHECK(label("d") == "other");
  CHECK(label.size() == 3);
}

TEST_CASE("a capped label is short and valid UTF-8 whatever it is given") {
  capped_label label;
  CHECK(label(std::string(5000, 'x')).size() == capped_label::max_value_bytes);
  std::string cut_within_a_character(127, 'x');
  cut_within_a_character.append("é");
  CHECK(label(cut_within_a_character) == cut_within_a_character.substr(0, 127));
  CHECK(label("a\xff") == "a\xEF\xBF\xBD");
}

TEST_CASE("clients cannot grow the metrics without end") {
  metrics m({});
  for (int i = 0; i < 5000; ++i) {
    m.count_http_request("/x" + std::to_string(i) + "\"\n\\", 100 + i % 700);
    m.count_request("o" + std::to_string(i));
    m.count_rejected_request("r" + std::to_string(i));
  }
  const exposition got = parse(m.expose(false));
  std::map<std::string, int> series;
  for (const auto& name : got.sample_names)
    ++series[name];
  CHECK(series["troupe_requests_total"] == 1001);
  CHECK(series["troupe_rejected_requests_total"] == 1001);
  CHECK(series["troupe_http_requests_total"] > 1000);
  CHECK(series["troupe_http_requests_total"] <= 1501);  // a thousand, and "other" with each status there is
  CHECK(got.samples.at("troupe_requests_total{outcome=\"other\"}") == 4000);
}

TEST_CASE("nothing is lost when several threads record and others scrape") {
  constexpr int n_threads = 4;
  constexpr int n_each = 2000;
  metrics m({});
  std::vector<std::thread> threads;
  for (int t = 0; t < n_threads; ++t) {
    threads.emplace_back([&m, t] {
      for (int i = 0; i < n_each; ++i) {
        m.add_generation_tokens(1);
        m.observe_inter_token_latency(2ms);
        m.count_request(i % 2 == 0 ? "stop" : "length");
        m.count_http_request("/" + std::to_string(t), 200);
        m.set_requests(static_cast<std::size_t>(i), 0);
      }
    });
  }
  for (int i = 0; i < 20; ++i)
    CHECK_FALSE(m.expose(true).empty());
  for (auto& thread : threads)
    thread.join();
  const exposition got = parse(m.expose(false));
  CHECK(got.samples.at("troupe_generation_tokens_total") == n_threads * n_each);
  CHECK(got.samples.at("troupe_inter_token_latency_seconds_count") == n_threads * n_each);
  CHECK(got.samples.at("troupe_requests_total{outcome=\"stop\"}") == n_threads * n_each / 2);
  CHECK(got.samples.at("troupe_http_requests_total{path=\"/0\",status=\"200\"}") == n_each);
}
