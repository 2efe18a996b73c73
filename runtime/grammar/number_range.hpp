// Numbers between two bounds as expressions over their digits, exactly: no rounding, since bounds and numbers are
// compared as decimal text.
#pragma once

#include "runtime/grammar/json_shapes.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace troupe::grammar {

struct decimal {
  bool negative = false;
  std::string whole = "0";  // without leading zeros
  std::string fraction;     // without trailing zeros

  bool is_zero() const { return whole == "0" && fraction.empty(); }
};

/// A JSON number; nothing when it has too many digits to be written without an exponent (over 40).
std::optional<decimal> parse_decimal(std::string_view text);
bool is_less(const decimal& a, const decimal& b);

struct number_bound {
  decimal at;
  bool exclusive = false;
};

/// Numbers without exponents, of at most max_integer_digits and max_fraction_digits; of fewer beside an exclusive
/// bound, so that none becomes the bound when a double is made of it.
expression_id number_between(rule_set& rules, json_shapes& shapes, const std::optional<number_bound>& low,
                             const std::optional<number_bound>& high, bool only_integers);

}  // namespace troupe::grammar
