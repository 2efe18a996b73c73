// Filters that give numbers, or choose between a value and a default.
#include "runtime/template/filters.hpp"
#include "runtime/template/operators.hpp"
#include "runtime/template/parameters.hpp"
#include "runtime/template/strings.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>

namespace troupe::jinja {

namespace {

value count_items(const value& input, arguments& args, budget& limits) {
  parameters("length", args).done();
  switch (input.kind()) {
    case kind::undefined:
      return value::integer(0);
    case kind::string:
      limits.step(input.text().size() / 256);
      return value::integer(static_cast<std::int64_t>(length(input.text())));
    case kind::list:
    case kind::tuple:
    case kind::range:
      return value::integer(static_cast<std::int64_t>(input.items().size()));
    case kind::dict:
      return value::integer(static_cast<std::int64_t>(input.entries().size()));
    case kind::loop:
      return value::integer(static_cast<std::int64_t>(input.loop()->items.size()));
    default:
      fail(input.described() + " has no length");
  }
}

// Python allows surrounding white space and single underscores between digits.
std::optional<std::string> digits_of(std::string_view text) {
  text = strip(text, side::both, std::nullopt);
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits += text[i];
      continue;
    }
    const auto is_digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
    if (i == 0 || !is_digit(i - 1) || !is_digit(i + 1)) return std::nullopt;
  }
  if (digits.empty()) return std::nullopt;
  return digits;
}

std::optional<value> parse_integer(std::string_view text, int base) {
  const auto digits = digits_of(text);
  if (!digits) return std::nullopt;
  std::string_view rest = *digits;
  const bool negative = rest.front() == '-';
  if (rest.front() == '+') rest.remove_prefix(1);
  if (negative) rest.remove_prefix(1);
  const char letter = rest.size() > 2 && rest[0] == '0' ? static_cast<char>(rest[1] | 0x20) : '\0';
  if ((base == 16 && letter == 'x') || (base == 8 && letter == 'o') || (base == 2 && letter == 'b'))
    rest.remove_prefix(2);
  if (rest.empty() || rest.front() == '-' || rest.front() == '+') return std::nullopt;
  const std::string signed_digits = (negative ? "-" : "") + std::string(rest);
  rest = signed_digits;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number, base);
  if (error == std::errc::result_out_of_range)
    fail("the integer '" + std::string(text.substr(0, 40)) + "' does not fit 64 bits");
  if (error != std::errc{} || end != rest.data() + rest.size()) return std::nullopt;
  return value::integer(number);
}

std::optional<double> parse_real(std::string_view text) {
  const auto digits = digits_of(text);
  if (!digits || digits->find_first_of("xXpP(") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double number = std::strtod(digits->c_str(), &end);
  if (end != digits->c_str() + digits->size()) return std::nullopt;
  return number;
}

std::optional<value> truncate(double number) {
  if (!std::isfinite(number)) return std::nullopt;
  if (std::abs(number) >= 9.2e18) fail("a float is too large for an integer of 64 bits");
  return value::integer(static_cast<std::int64_t>(number));
}

value to_integer(const value& input, arguments& args, budget&) {
  parameters p("int", args);
  const value otherwise = p.optional("default").value_or(value::integer(0));
  const std::int64_t base = p.integer_or("base", 10);
  p.done();
  if (base < 2 || base > 36) fail("the base of int is " + std::to_string(base) + "; 2 to 36 are possible");
  input.require_defined();
  if (input.is_integral()) return value::integer(input.as_integer());
  if (input.is(kind::real)) return truncate(input.as_real()).value_or(otherwise);
  if (!input.is_string()) return otherwise;
  if (const auto number = parse_integer(input.text(), static_cast<int>(base))) return *number;
  const auto real = parse_real(input.text());
  return real ? truncate(*real).value_or(otherwise) : otherwise;
}

value to_real(const value& input, arguments& args, budget&) {
  parameters p("float", args);
  const value otherwise = p.optional("default").value_or(value::real(0.0));
  p.done();
  input.require_defined();
  if (input.is_number()) return value::real(input.as_real());
  if (!input.is_string()) return otherwise;
  const auto real = parse_real(input.text());
  return real ? value::real(*real) : otherwise;
}

value absolute(const value& input, arguments& args, budget&) {
  parameters("abs", args).done();
  input.require_defined();
  if (input.is(kind::real)) return value::real(std::abs(input.as_real()));
  if (!input.is_integral()) fail(input.described() + " has no absolute value");
  return input.as_integer() < 0 ? negate(input) : value::integer(input.as_integer());
}

double round_decimal(double number, int digits) {
  if (!std::isfinite(number)) return number;
  std::string text(400, '\0');
  std::snprintf(text.data(), text.size(), "%.*f", digits, number);  // exact, halves to even, as Python's round
  return std::strtod(text.c_str(), nullptr);
}

value round_number(const value& input, arguments& args, budget&) {
  parameters p("round", args);
  const std::int64_t precision = p.integer_or("precision", 0);
  const std::string method = p.optional_text("method").value_or("common");
  p.done();
  input.require_defined();
  if (!input.is_number()) fail(input.described() + " cannot be rounded");
  if (precision < 0 || precision > 15) fail_unsupported("round supports a precision of 0 to 15 digits");
  if (method == "common") {
    if (input.is_integral()) return value::integer(input.as_integer());
    return value::real(round_decimal(input.as_real(), static_cast<int>(precision)));
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return value::real(std::ceil(input.as_real() * scale) / scale);
  if (method == "floor") return value::real(std::floor(input.as_real() * scale) / scale);
  fail("the method of round is '" + method + "'; common, ceil and floor are possible");
}

value default_to(const value& input, arguments& args, budget&) {
  parameters p("default", args);
  const value otherwise = p.optional("default_value").value_or(value::constant(""));
  const bool for_false_too = p.truth_or("boolean", false);
  p.done();
  return input.is_undefined() || (for_false_too && !input.truth()) ? otherwise : input;
}

value sum(const value& input, arguments& args, budget& limits) {
  parameters p("sum", args);
  const auto path = p.optional("attribute");
  value total = p.optional("start").value_or(value::integer(0));
  p.done();
  for (const value& item : iterate(input, limits)) {
    total = apply(arithmetic::add, total, path && !path->is(kind::none) ? attribute_path(item, *path, limits) : item,
                  limits);
  }
  return total;
}

}  // namespace

filter_function find_number_filter(std::string_view name) {
  if (name == "length" || name == "count") return count_items;
  if (name == "int") return to_integer;
  if (name == "float") return to_real;
  if (name == "abs") return absolute;
  if (name == "round") return round_number;
  if (name == "default" || name == "d") return default_to;
  if (name == "sum") return sum;
  return nullptr;
}

}  // namespace troupe::jinja
