// Two schemas as one that holds both: how allOf, and anything beside anyOf or $ref, becomes a schema without them.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace troupe::grammar {

using schema_json = nlohmann::ordered_json;

/// Neither has $ref or allOf at its top. Throws failure with errc::unsupported where keywords cannot be combined;
/// `pointer` is for the error.
schema_json merge_schemas(const schema_json& a, const schema_json& b, const std::string& pointer);

}  // namespace troupe::grammar
