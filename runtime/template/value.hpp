// A value of a template, with Python's meaning: what jinja2 would hold in its place. Strings, lists and dicts are
// immutable and shared, so copying a value is cheap and no value can contain itself; only a namespace can be assigned
// to.
#pragma once

#include "runtime/template/budget.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace troupe::jinja {

class value;
using value_list = std::vector<value>;
using value_pairs = std::vector<std::pair<value, value>>;  // in order of insertion

struct sequence {
  value_list items;
  int depth;  // 1 + the deepest item's
};
struct mapping {
  value_pairs entries;
  int depth;
};
/// What map, select and their like give: can be walked once, is always true, has no length. Items are computed
/// beforehand.
struct iterator_state {
  value_list items;
  int depth;
  bool consumed = false;
};
struct name_space {
  std::vector<std::pair<std::string, value>> members;
};
struct loop_state {
  value_list items;
  std::size_t index0 = 0;
};
struct arguments {
  value_list positional;
  std::vector<std::pair<std::string, value>> named;
};
struct callable {
  std::string name;
  std::function<value(arguments&, budget&)> call;
  int depth = 1;
};

enum class kind : unsigned char {
  undefined,
  none,
  boolean,
  integer,
  real,
  string,
  list,
  tuple,
  range,  // a list that calls itself range(…) when printed
  dict,
  iterator,
  name_space,
  loop,
  callable
};

class value {
 public:
  value() = default;  // undefined
  static value undefined(std::string why);
  static value none();
  static value boolean(bool truth);
  static value integer(std::int64_t number);
  static value real(double number);
  static value string(std::string text, budget& limits);
  static value string(text_builder& text);  // paid for already
  static value constant(std::string text);  // part of the template's source: not counted
  static value list(value_list items, budget& limits, jinja::kind kind = jinja::kind::list);
  static value dict(value_pairs entries, budget& limits);
  static value iterator(value_list items, budget& limits);
  static value of(std::shared_ptr<jinja::name_space> space);
  static value of(std::shared_ptr<loop_state> loop);
  static value of(std::shared_ptr<const callable> function);

  jinja::kind kind() const { return kind_; }
  bool is(jinja::kind k) const { return kind_ == k; }
  bool is_undefined() const { return kind_ == jinja::kind::undefined; }
  bool is_string() const { return kind_ == jinja::kind::string; }
  bool is_sequence() const;  // list, tuple or range
  bool is_number() const;    // boolean, integer or real
  bool is_integral() const { return kind_ == jinja::kind::integer || kind_ == jinja::kind::boolean; }
  int depth() const;

  bool truth() const;
  std::int64_t as_integer() const;  // of a boolean or an integer
  double as_real() const;           // of any number
  const std::string& text() const;  // of a string
  const std::string& undefined_reason() const;
  const value_list& items() const;     // of a list, tuple or range
  const value_pairs& entries() const;  // of a dict
  const std::shared_ptr<jinja::name_space>& space() const;
  const std::shared_ptr<loop_state>& loop() const;
  const std::shared_ptr<iterator_state>& iterator_ref() const;
  const std::shared_ptr<const callable>& function() const;

  /// Fails with the reason when this value is undefined: what jinja2 does when an undefined is used for more than
  /// printing.
  void require_defined() const;
  /// Python's name of the type, for messages: str, int, dict, NoneType, …
  std::string_view type_name() const;
  std::string described() const;  // with its article: an int, a str
  bool same_object(const value& other) const;

 private:
  jinja::kind kind_ = jinja::kind::undefined;
  std::variant<std::monostate, bool, std::int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<const sequence>, std::shared_ptr<const mapping>, std::shared_ptr<iterator_state>,
               std::shared_ptr<jinja::name_space>, std::shared_ptr<loop_state>, std::shared_ptr<const callable>>
      data_;
};

value from_json(const nlohmann::ordered_json& json, budget& limits, int depth = 0);

/// The items that a for loop walks: of a list, the characters of a string, the keys of a dict, nothing of an undefined.
value_list iterate(const value& v, budget& limits);

/// Python's ==. Numbers compare by value whatever their type.
bool equal(const value& left, const value& right, budget& limits);
/// Python's <. Fails for types that have no order between them.
bool less(const value& left, const value& right, budget& limits);
/// Fails for what Python cannot hash: lists and dicts, and what is undefined.
void require_hashable(const value& key);
/// The entry of a dict, or nullptr.
const value* find_key(const value& dict, const value& key, budget& limits);
const value* find_key(const value& dict, std::string_view key, budget& limits);

}  // namespace troupe::jinja
