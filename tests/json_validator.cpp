#include "json_validator.hpp"

#include <nlohmann/json.hpp>

#if __has_include(<valijson/validator.hpp>)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>
#pragma GCC diagnostic pop
#define TROUPE_HAS_VALIJSON 1
#endif

namespace troupe::test {

#ifdef TROUPE_HAS_VALIJSON

namespace {

// valijson reads draft 7, where 2020-12's prefixItems were items, and items additionalItems.
nlohmann::json as_draft_7(const nlohmann::json& schema) {
  if (!schema.is_structured()) return schema;
  nlohmann::json made = schema.is_array() ? nlohmann::json::array() : nlohmann::json::object();
  if (schema.is_array()) {
    for (const auto& item : schema)
      made.push_back(as_draft_7(item));
    return made;
  }
  const bool is_tuple = schema.contains("prefixItems");
  for (const auto& [name, value] : schema.items())
    made[is_tuple && name == "items" ? "additionalItems" : name == "prefixItems" ? "items" : name] = as_draft_7(value);
  return made;
}

}  // namespace

bool has_json_validator() {
  return true;
}

bool is_valid(const nlohmann::json& schema, const nlohmann::json& value) {
  const nlohmann::json translated = as_draft_7(schema);
  valijson::Schema parsed;
  valijson::SchemaParser(valijson::SchemaParser::kDraft7)
      .populateSchema(valijson::adapters::NlohmannJsonAdapter(translated), parsed);
  return valijson::Validator().validate(parsed, valijson::adapters::NlohmannJsonAdapter(value), nullptr);
}

#else

bool has_json_validator() {
  return false;
}

bool is_valid(const nlohmann::json&, const nlohmann::json&) {
  return true;
}

#endif

}  // namespace troupe::test
