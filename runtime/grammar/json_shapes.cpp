#include "runtime/grammar/json_shapes.hpp"

#include "base/utf8.hpp"
#include "runtime/grammar/failure.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe::grammar {
namespace {

const code_set needs_escape{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};

std::string escape_of(std::uint32_t code_point) {
  const std::string whole = json_string(std::string(1, static_cast<char>(code_point)));
  return whole.substr(1, whole.size() - 2);
}

}  // namespace

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump();
}

expression_id json_shapes::shared(const char* name, bool inlinable, maker make) {
  const auto found = made_.find(name);
  if (found != made_.end()) return rules_.call(found->second);
  const rule_id id = rules_.declare(name);
  rules_.rule_at(id).inlinable = inlinable;
  made_.emplace(name, id);
  rules_.define(id, (this->*make)());
  return rules_.call(id);
}

expression_id json_shapes::make_comma() {
  return rules_.sequence({rules_.literal(","), rules_.optional(rules_.literal(" "))});
}

expression_id json_shapes::make_colon() {
  return rules_.sequence({rules_.literal(":"), rules_.optional(rules_.literal(" "))});
}

expression_id json_shapes::boolean() {
  return rules_.choice({rules_.literal("true"), rules_.literal("false")});
}

expression_id json_shapes::make_value() {
  return rules_.choice({object(), array(), string(), number(), boolean(), null()});
}

expression_id json_shapes::make_object() {
  const expression_id member = rules_.sequence({string(), colon(), value()});
  return rules_.sequence({rules_.literal("{"), rules_.optional(list(member, 1, unbounded)), rules_.literal("}")});
}

expression_id json_shapes::make_array() {
  return rules_.sequence({rules_.literal("["), rules_.optional(list(value(), 1, unbounded)), rules_.literal("]")});
}

expression_id json_shapes::list(expression_id item, std::uint32_t min, std::uint32_t max) {
  const expression_id next = rules_.sequence({comma(), item});
  return rules_.sequence({item, rules_.repeat(next, min - 1, max == unbounded ? unbounded : max - 1)});
}

expression_id json_shapes::plain_character() {
  return rules_.character(complement(needs_escape));
}

std::vector<expression_id> json_shapes::short_escapes() {
  return {rules_.sequence(
      {rules_.literal("\\"),
       rules_.character(normalized(
           {{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}}))})};
}

expression_id json_shapes::make_string() {
  const auto hex = [&](std::uint32_t n) { return rules_.repeat(hexadecimal(), n, n); };
  const auto set = [&](std::vector<code_range> ranges) { return rules_.character(normalized(std::move(ranges))); };
  auto ways = short_escapes();
  ways.push_back(plain_character());
  // \uXXXX, where surrogates come in pairs: D800 to DBFF, then DC00 to DFFF.
  const expression_id d = set({{'D', 'D'}, {'d', 'd'}});
  ways.push_back(rules_.sequence(
      {rules_.literal("\\u"),
       rules_.choice({rules_.sequence({set({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}}), hex(3)}),
                      rules_.sequence({d, set({{'0', '7'}}), hex(2)}),
                      rules_.sequence({d, set({{'8', '9'}, {'A', 'B'}, {'a', 'b'}}), hex(2), rules_.literal("\\u"), d,
                                       set({{'C', 'F'}, {'c', 'f'}}), hex(2)})})}));
  return rules_.sequence(
      {rules_.literal("\""), rules_.repeat(rules_.choice(std::move(ways)), 0, unbounded), rules_.literal("\"")});
}

expression_id json_shapes::string_of_length(std::uint32_t min, std::uint32_t max) {
  auto ways = short_escapes();
  ways.push_back(plain_character());
  return rules_.sequence(
      {rules_.literal("\""), rules_.repeat(rules_.choice(std::move(ways)), min, max), rules_.literal("\"")});
}

expression_id json_shapes::character(const code_set& set) {
  std::vector<expression_id> ways;
  if (auto plain = difference(set, needs_escape); !plain.empty()) ways.push_back(rules_.character(std::move(plain)));
  for (const auto& range : needs_escape)
    for (std::uint32_t c = range.first; c <= range.last; ++c)
      if (contains(set, c)) ways.push_back(rules_.literal(escape_of(c)));
  return rules_.choice(std::move(ways));
}

expression_id json_shapes::make_key_rest() {
  return rules_.sequence({rules_.repeat(character(complement({})), 0, unbounded), rules_.literal("\"")});
}

// A key is another when it leaves the trie of names somewhere, or ends at a place where no name ends. Each character
// has one spelling, so that no escape can smuggle a name in.
expression_id json_shapes::key_except(const std::vector<std::string>& names) {
  if (names.empty()) return string();
  std::map<std::string, std::vector<code_range>> next;  // what follows each beginning of a name
  std::size_t size = 0;
  for (const std::string& name : names) {
    for (std::size_t at = 0; at < name.size();) {
      const auto c = decode_utf8(std::string_view(name).substr(at));
      const auto code_point = static_cast<std::uint32_t>(c.code_point);
      next[name.substr(0, at)].push_back({code_point, code_point});
      size += at + 1;
      at += c.length;
    }
    next.try_emplace(name);
  }
  if (size > 200'000) fail_too_large("the schema's property names are too long to tell other names from them");
  const std::set<std::string> all(names.begin(), names.end());
  const expression_id rest = shared("key rest", false, &json_shapes::make_key_rest);
  std::vector<expression_id> ways;
  for (auto& [beginning, characters] : next) {
    const std::string quoted = json_string(beginning);
    if (!all.contains(beginning)) ways.push_back(rules_.literal(quoted));
    ways.push_back(rules_.sequence({rules_.literal(std::string_view(quoted).substr(0, quoted.size() - 1)),
                                    character(complement(normalized(std::move(characters)))), rest}));
  }
  return rules_.choice(std::move(ways));
}

expression_id json_shapes::digits(std::uint32_t min, std::uint32_t max) {
  return rules_.repeat(rules_.character({{'0', '9'}}), min, max);
}

expression_id json_shapes::make_integer() {
  return rules_.choice(
      {rules_.literal("0"), rules_.sequence({rules_.optional(rules_.literal("-")), rules_.character({{'1', '9'}}),
                                             digits(0, max_integer_digits - 1)})});
}

expression_id json_shapes::make_number() {
  const expression_id whole = rules_.sequence({rules_.character({{'1', '9'}}), digits(0, max_integer_digits - 1)});
  const expression_id sign = rules_.optional(rules_.character({{'+', '+'}, {'-', '-'}}));
  return rules_.sequence(
      {rules_.optional(rules_.literal("-")), rules_.choice({rules_.literal("0"), whole}),
       rules_.optional(rules_.sequence({rules_.literal("."), digits(1, max_fraction_digits)})),
       rules_.optional(rules_.sequence({rules_.character({{'E', 'E'}, {'e', 'e'}}), sign, digits(1, 2)}))});
}

}  // namespace troupe::grammar
