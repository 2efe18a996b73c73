// One JSON schema on its way to rules; see json_schema.hpp for what is read and how.
#pragma once

#include "runtime/grammar/json_shapes.hpp"
#include "runtime/grammar/schema_merge.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::grammar {

class schema_compiler {
 public:
  explicit schema_compiler(const schema_json& document) : document_(document), shapes_(rules_) {}
  rule_set run();

 private:
  expression_id compile(const schema_json& schema, const std::string& pointer);
  expression_id compile_reference(const schema_json& schema, const std::string& pointer);
  expression_id compile_all_of(const schema_json& schema, const std::string& pointer);
  expression_id compile_any_of(const schema_json& schema, std::string_view keyword, const std::string& pointer);
  expression_id compile_values(const schema_json& schema, const std::string& pointer);
  expression_id compile_type(const schema_json& schema, const std::string& type, const std::string& pointer);
  std::vector<std::string> types_of(const schema_json& schema, const std::string& pointer) const;
  // schema_types.cpp: one for each type
  expression_id compile_object(const schema_json& schema, const std::string& pointer);
  expression_id compile_array(const schema_json& schema, const std::string& pointer);
  expression_id compile_string(const schema_json& schema, const std::string& pointer);
  expression_id compile_number(const schema_json& schema, bool only_integers, const std::string& pointer);
  expression_id item_rule(expression_id item);

  const schema_json& resolve(const schema_json& reference, const std::string& pointer) const;
  /// The schema without $ref and allOf at its top.
  schema_json flattened(const schema_json& schema, const std::string& pointer, int depth);
  std::uint32_t count_at(const schema_json& schema, const char* keyword, std::uint32_t otherwise,
                         const std::string& pointer) const;
  void spend(std::size_t work);

  const schema_json& document_;
  rule_set rules_;
  json_shapes shapes_;
  std::map<std::string, rule_id> references_;  // by JSON pointer
  std::vector<std::string>
      waiting_;  // pointers whose rules are declared; not followed at once, so that chains are flat
  std::size_t work_ = 0;
  int depth_ = 0;
};

}  // namespace troupe::grammar
