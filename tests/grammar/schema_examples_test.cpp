// The 50 schemas of tests/data/json_schemas.json against their own examples.
#include "catch.hpp"
#include "grammar/reading.hpp"

#include <cstdlib>
#include <fstream>

#include <nlohmann/json.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("50 schemas take what is valid and refuse what is not", "[grammar][schema]") {
  const char* data = std::getenv("TROUPE_TEST_DATA");
  if (data == nullptr) {
    WARN("skipped: TROUPE_TEST_DATA is not set");
    return;
  }
  std::ifstream file(std::string(data) + "/json_schemas.json");
  const auto cases = nlohmann::ordered_json::parse(file);
  CHECK(cases.size() == 50);
  for (const auto& one : cases) {
    CAPTURE(one.at("name").get<std::string>());
    const auto compiled = compile_json_schema(one.at("schema").dump());
    if (!compiled) FAIL(compiled.error().message);
    for (const auto& value : one.at("valid")) {
      CAPTURE(value.dump());
      CHECK(accepts((*compiled)->automaton(), value.dump()));
    }
    for (const auto& value : one.at("invalid")) {
      CAPTURE(value.dump());
      CHECK(!accepts((*compiled)->automaton(), value.dump()));
    }
  }
}
