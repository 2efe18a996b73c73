// The parts of JSON that schemas are made of, as expressions. White space is what keeps a model from wandering, so
// there is little of it: one optional space after ":" and after ",", and none elsewhere.
//
// Numbers are bounded for the same reason, and so that every parser reads them: at most 18 digits before the point, 17
// after it and 2 in the exponent.
#pragma once

#include "runtime/grammar/expression.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::grammar {

inline constexpr std::uint32_t max_integer_digits = 18;  // an int64 holds them
inline constexpr std::uint32_t max_fraction_digits = 17;

class json_shapes {
 public:
  explicit json_shapes(rule_set& rules) : rules_(rules) {}

  expression_id comma() { return shared("comma", true, &json_shapes::make_comma); }
  expression_id colon() { return shared("colon", true, &json_shapes::make_colon); }
  expression_id value() { return shared("value", false, &json_shapes::make_value); }
  expression_id object() { return shared("object", false, &json_shapes::make_object); }
  expression_id array() { return shared("array", false, &json_shapes::make_array); }
  expression_id string() { return shared("string", false, &json_shapes::make_string); }
  expression_id number() { return shared("number", false, &json_shapes::make_number); }
  expression_id integer() { return shared("integer", false, &json_shapes::make_integer); }
  expression_id boolean();
  expression_id null() { return rules_.literal("null"); }

  /// A string of min to max characters (Unicode's, as JSON schema counts). \u escapes are not offered.
  expression_id string_of_length(std::uint32_t min, std::uint32_t max);
  /// A character of the set inside a string: itself, or its escape where JSON demands one. One way to write each.
  expression_id character(const code_set& set);
  /// A member's key, quotes and all, that is none of these names.
  expression_id key_except(const std::vector<std::string>& names);
  expression_id digits(std::uint32_t min, std::uint32_t max);
  /// `item`s, min to max of them, separated by commas; min is at least 1.
  expression_id list(expression_id item, std::uint32_t min, std::uint32_t max);

 private:
  using maker = expression_id (json_shapes::*)();
  expression_id shared(const char* name, bool inlinable, maker make);

  expression_id make_comma();
  expression_id make_colon();
  expression_id make_value();
  expression_id make_object();
  expression_id make_array();
  expression_id make_string();
  expression_id make_number();
  expression_id make_integer();
  expression_id make_key_rest();
  expression_id hexadecimal() { return rules_.character({{'0', '9'}, {'A', 'F'}, {'a', 'f'}}); }
  expression_id plain_character();
  std::vector<expression_id> short_escapes();

  rule_set& rules_;
  std::map<std::string, rule_id> made_;
};

/// The text of a JSON string, quotes and all, as `character` writes it.
std::string json_string(std::string_view text);

}  // namespace troupe::grammar
