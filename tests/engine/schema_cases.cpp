#include "schema_cases.hpp"

#include "base/assert.hpp"
#include "json_validator.hpp"
#include "runtime/grammar/compiled_grammar.hpp"

#include <cstdlib>
#include <fstream>

namespace troupe::testing {

std::vector<schema_case> read_schema_cases() {
  const char* data = std::getenv("TROUPE_TEST_DATA");
  if (data == nullptr) return {};
  std::ifstream file(std::string(data) + "/json_schemas.json");
  std::vector<schema_case> cases;
  for (const auto& entry : nlohmann::ordered_json::parse(file)) {
    schema_case made{entry.at("name"), entry.at("schema").dump(), {}, 0};
    made.schema = nlohmann::json::parse(made.source);
    const auto compiled = compile_json_schema(made.source);
    TROUPE_ASSERT(compiled, "every schema of the file is one that is read");
    made.shortest_bytes = (*compiled)->automaton().rules.front().distance;
    cases.push_back(std::move(made));
  }
  return cases;
}

std::string fault_of(const schema_case& wanted, const std::string& text) {
  const auto value = nlohmann::json::parse(text, nullptr, false);
  if (value.is_discarded()) return "is not JSON";
  return test::is_valid(wanted.schema, value) ? "" : "does not satisfy the schema";
}

}  // namespace troupe::testing
