// The JSON schemas of tests/data/json_schemas.json, and what an answer to one has to be.
#pragma once

#include "base/generation.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe::testing {

struct schema_case {
  std::string name;
  std::string source;            // as a client would send it: members keep their order
  nlohmann::json schema;         // the same, for the validator
  std::uint32_t shortest_bytes;  // of a text; an answer with room for as many tokens is whole
};

/// Empty when TROUPE_TEST_DATA is not set.
std::vector<schema_case> read_schema_cases();

/// What is wrong with an answer to it; empty: it is valid JSON and satisfies the schema.
std::string fault_of(const schema_case& wanted, const std::string& text);

}  // namespace troupe::testing
