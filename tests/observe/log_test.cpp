// The log as it lands in a file: one line an event, JSON that parses, nothing forged by what clients send.
#include "runtime/observe/log.hpp"

#include "catch.hpp"
#include "runtime/observe/log_throttle.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace troupe;

namespace {

/// Sends the log to a file of its own for the length of a test.
class log_to_file {
 public:
  explicit log_to_file(log_format format, log_level level = log_level::info)
      : path_(std::filesystem::temp_directory_path() / ("troupe_log_test_" + std::to_string(getpid()) + ".log")) {
    std::filesystem::remove(path_);
    REQUIRE(configure_log({format, level, path_.string()}));
  }
  ~log_to_file() {
    (void)configure_log({});
    std::filesystem::remove(path_);
  }
  log_to_file(const log_to_file&) = delete;
  log_to_file& operator=(const log_to_file&) = delete;

  std::vector<std::string> lines() const {
    flush_log();
    std::ifstream file(path_);
    std::vector<std::string> read;
    for (std::string line; std::getline(file, line);)
      read.push_back(line);
    return read;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("a text line has time, level, component, request, message and fields") {
  const log_to_file file(log_format::text);
  log(log_level::info, "gateway", "request finished",
      {{"tokens", 12}, {"model", "a b"}, {"ok", true}, {"ratio", 0.5}, {"path", "/v1"}}, "req-7");
  log(log_level::warning, "worker", "slow");
  const auto lines = file.lines();
  REQUIRE(lines.size() == 2);
  const std::regex first(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info +gateway \[req-7\] request finished )"
                         R"(tokens=12 model="a b" ok=true ratio=0.5 path=/v1)");
  INFO(lines[0]);
  CHECK(std::regex_match(lines[0], first));
  CHECK(lines[1].ends_with("Z warning worker slow"));
}

TEST_CASE("JSON lines parse, and numbers stay numbers") {
  const log_to_file file(log_format::json);
  log(log_level::error, "engine", "said \"no\" {} {0} %v\n\x1b[31m",
      {{"n", std::uint64_t{1} << 63}, {"i", -5}, {"x", 1.5}, {"nan", std::nan("")}, {"s", "é\xff\\"}, {"b", false}},
      "r\"1");
  const auto lines = file.lines();
  REQUIRE(lines.size() == 1);
  const auto event = nlohmann::json::parse(lines[0]);
  CHECK(event.at("level") == "error");
  CHECK(event.at("component") == "engine");
  CHECK(event.at("request") == "r\"1");
  CHECK(event.at("message") == "said \"no\" {} {0} %v\n\x1b[31m");
  CHECK(event.at("n") == std::uint64_t{1} << 63);
  CHECK(event.at("i") == -5);
  CHECK(event.at("x") == 1.5);
  CHECK(event.at("nan").is_null());
  CHECK(event.at("s") == "é\xEF\xBF\xBD\\");
  CHECK(event.at("b") == false);
  CHECK(std::regex_match(event.at("time").get<std::string>(), std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
}

TEST_CASE("nobody can forge a line or colour a terminal through a field") {
  const log_to_file file(log_format::text);
  log(log_level::info, "gateway", "a\nb",
      {{"name", "x\n2024-01-01 error gateway hacked"}, {"c", "\x1b[31mred\xC2\x9B"}}, "id\r\n");
  const auto lines = file.lines();
  REQUIRE(lines.size() == 1);
  for (const char c : lines[0])
    CHECK(static_cast<unsigned char>(c) >= 0x20);
  CHECK(lines[0].find("\xC2\x9B") == std::string::npos);
}

TEST_CASE("events below the level cost nothing and leave nothing") {
  const log_to_file file(log_format::text, log_level::warning);
  CHECK_FALSE(log_enabled(log_level::info));
  CHECK(log_enabled(log_level::error));
  log(log_level::info, "x", "hidden");
  log(log_level::error, "x", "shown");
  CHECK(file.lines().size() == 1);
}

TEST_CASE("off is silence") {
  const log_to_file file(log_format::text, log_level::off);
  log(log_level::error, "x", "hidden");
  log(log_level::off, "x", "hidden");
  CHECK(file.lines().empty());
}

TEST_CASE("the level comes from TROUPE_LOG_LEVEL, and an unknown word is an error") {
  setenv("TROUPE_LOG_LEVEL", "debug", 1);
  CHECK(log_options_from_environment().value().level == log_level::debug);
  setenv("TROUPE_LOG_LEVEL", "loud", 1);
  const auto wrong = log_options_from_environment();
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().param == "TROUPE_LOG_LEVEL");
  unsetenv("TROUPE_LOG_LEVEL");
  CHECK(log_options_from_environment().value().level == log_level::info);
  CHECK(parse_log_level("warn") == log_level::warning);
  CHECK_FALSE(parse_log_level("INFO").has_value());
}

TEST_CASE("a log file that cannot be opened is an error and leaves the log as it was") {
  const log_to_file file(log_format::text);
  const auto refused = configure_log({log_format::json, log_level::info, "/proc/no/such/folder/log"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().param == "log-file");
  log(log_level::info, "x", "still here");
  CHECK(file.lines().size() == 1);
}

TEST_CASE("a log that is no terminal has no colour") {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("troupe_log_stderr_" + std::to_string(getpid()) + ".log");
  const int saved = dup(STDERR_FILENO);
  REQUIRE(std::freopen(path.c_str(), "w", stderr) != nullptr);
  REQUIRE(configure_log({}));
  log(log_level::error, "x", "plain");
  flush_log();
  std::fflush(stderr);
  dup2(saved, STDERR_FILENO);
  close(saved);
  std::ifstream file(path);
  std::string line;
  REQUIRE(std::getline(file, line));
  CHECK(line.ends_with("x plain"));
  CHECK(line.find('\x1b') == std::string::npos);
  std::filesystem::remove(path);
}

TEST_CASE("lines of several threads do not mix") {
  constexpr int n_threads = 4;
  constexpr int n_each = 500;
  const log_to_file file(log_format::json);
  std::vector<std::thread> threads;
  for (int t = 0; t < n_threads; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < n_each; ++i)
        log(log_level::info, "thread", "event", {{"t", t}, {"i", i}});
    });
  }
  for (auto& thread : threads)
    thread.join();
  const auto lines = file.lines();
  REQUIRE(lines.size() == n_threads * n_each);
  std::vector<int> next(n_threads, 0);
  for (const auto& line : lines) {
    const auto event = nlohmann::json::parse(line);
    CHECK(event.at("i") == next.at(event.at("t").get<std::size_t>())++);
  }
}

TEST_CASE("a warning that repeats is written once in its interval") {
  const log_to_file file(log_format::text);
  for (int i = 0; i < 1000; ++i)
    log_repeating(log_level::warning, "gateway", "queue is full", {{"waiting", i}});
  log_repeating(log_level::warning, "gateway", "another");
  CHECK(file.lines().size() == 2);
}

TEST_CASE("a throttle counts what it holds back and forgets the oldest kind") {
  log_throttle throttle(10s);
  const time_point start{};
  CHECK(throttle.pass("a", start) == 0u);
  CHECK_FALSE(throttle.pass("a", start + 1s).has_value());
  CHECK_FALSE(throttle.pass("a", start + 9s).has_value());
  CHECK(throttle.pass("b", start + 9s) == 0u);
  CHECK(throttle.pass("a", start + 10s) == 2u);
  CHECK(throttle.pass("a", start + 20s) == 0u);
  for (int i = 0; i < 10'000; ++i)
    CHECK(throttle.pass(std::to_string(i), start + 21s).has_value());
  CHECK(throttle.size() == log_throttle::max_keys);
  CHECK(throttle.pass("a", start + 22s) == 0u);  // forgotten, so it is new
}
