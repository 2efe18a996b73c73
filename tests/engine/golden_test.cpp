// The real model, when it is there: TROUPE_TEST_MODEL names the GGUF file the recordings in TROUPE_SHARED were made
// with.
#include "runtime/engine/golden.hpp"

#include "catch.hpp"

#include <cstdlib>
#include <fstream>

using namespace troupe;

TEST_CASE("tokens and logits of the real model are the recorded ones", "[golden]") {
  const char* model = std::getenv("TROUPE_TEST_MODEL");
  const char* shared = std::getenv("TROUPE_SHARED");
  if (!model || !shared || !std::ifstream(model) || !std::ifstream(std::string(shared) + "/golden/greedy.json")) {
    WARN("skipped: TROUPE_TEST_MODEL or TROUPE_SHARED names nothing");
    return;
  }
  golden_options options;
  options.model = model;
  options.directory = std::string(shared) + "/golden";
  options.max_windows = 0;
  const auto report = evaluate_golden(options);
  if (!report) FAIL(report.error().message);
  CHECK(report->checks.size() >= 8);
  for (const auto& check : report->checks) {
    CAPTURE(check.name, check.value, check.bound);
    CHECK(check.ok());
  }
}

TEST_CASE("recordings that are absent or broken are named", "[golden]") {
  golden_options options;
  options.model = "no-such-model.gguf";
  const auto report = evaluate_golden(options);
  REQUIRE(!report);
  CHECK(report.error().message.find("no-such-model.gguf") != std::string::npos);
}
