#include "runtime/template/value.hpp"

#include "base/utf8.hpp"
#include "runtime/template/strings.hpp"

#include <algorithm>
#include <limits>

#include <nlohmann/json.hpp>

namespace troupe::jinja {

namespace {

int checked_depth(int deepest_item) {
  if (deepest_item >= max_value_depth) {
    fail("a list or dict is nested deeper than " + std::to_string(max_value_depth), errc::too_large);
  }
  return deepest_item + 1;
}

int deepest(const value_list& items) {
  int depth = 0;
  for (const value& item : items)
    depth = std::max(depth, item.depth());
  return depth;
}

}  // namespace

value value::undefined(std::string why) {
  value v;
  v.data_ = std::make_shared<const std::string>(std::move(why));
  return v;
}

value value::none() {
  value v;
  v.kind_ = kind::none;
  return v;
}

value value::boolean(bool truth) {
  value v;
  v.kind_ = kind::boolean;
  v.data_ = truth;
  return v;
}

value value::integer(std::int64_t number) {
  value v;
  v.kind_ = kind::integer;
  v.data_ = number;
  return v;
}

value value::real(double number) {
  value v;
  v.kind_ = kind::real;
  v.data_ = number;
  return v;
}

value value::constant(std::string text) {
  value v;
  v.kind_ = kind::string;
  v.data_ = std::make_shared<const std::string>(std::move(text));
  return v;
}

value value::string(std::string text, budget& limits) {
  limits.bytes(text.size());
  return constant(std::move(text));
}

value value::string(text_builder& text) {
  return constant(text.take());
}

value value::list(value_list items, budget& limits, jinja::kind kind) {
  limits.bytes(items.size() * sizeof(value));
  value v;
  v.kind_ = kind;
  const int depth = checked_depth(deepest(items));
  v.data_ = std::make_shared<const sequence>(sequence{std::move(items), depth});
  return v;
}

value value::dict(value_pairs entries, budget& limits) {
  limits.bytes(entries.size() * 2 * sizeof(value));
  int depth = 0;
  for (const auto& [key, item] : entries) {
    require_hashable(key);
    depth = std::max({depth, key.depth(), item.depth()});
  }
  value v;
  v.kind_ = kind::dict;
  v.data_ = std::make_shared<const mapping>(mapping{std::move(entries), checked_depth(depth)});
  return v;
}

value value::iterator(value_list items, budget& limits) {
  limits.bytes(items.size() * sizeof(value));
  value v;
  v.kind_ = kind::iterator;
  const int depth = checked_depth(deepest(items));
  v.data_ = std::make_shared<iterator_state>(iterator_state{std::move(items), depth, false});
  return v;
}

value value::of(std::shared_ptr<jinja::name_space> space) {
  value v;
  v.kind_ = kind::name_space;
  v.data_ = std::move(space);
  return v;
}

value value::of(std::shared_ptr<loop_state> loop) {
  value v;
  v.kind_ = kind::loop;
  v.data_ = std::move(loop);
  return v;
}

value value::of(std::shared_ptr<const callable> function) {
  value v;
  v.kind_ = kind::callable;
  v.data_ = std::move(function);
  return v;
}

bool value::is_sequence() const {
  return kind_ == kind::list || kind_ == kind::tuple || kind_ == kind::range;
}

bool value::is_number() const {
  return is_integral() || kind_ == kind::real;
}

int value::depth() const {
  switch (kind_) {
    case kind::list:
    case kind::tuple:
    case kind::range:
      return std::get<std::shared_ptr<const sequence>>(data_)->depth;
    case kind::dict:
      return std::get<std::shared_ptr<const mapping>>(data_)->depth;
    case kind::iterator:
      return iterator_ref()->depth;
    case kind::loop:
      return deepest(loop()->items) + 1;
    case kind::callable:
      return function()->depth;
    default:
      return 0;
  }
}

bool value::truth() const {
  switch (kind_) {
    case kind::undefined:
    case kind::none:
      return false;
    case kind::boolean:
      return std::get<bool>(data_);
    case kind::integer:
      return std::get<std::int64_t>(data_) != 0;
    case kind::real:
      return std::get<double>(data_) != 0.0;
    case kind::string:
      return !text().empty();
    case kind::list:
    case kind::tuple:
    case kind::range:
      return !items().empty();
    case kind::dict:
      return !entries().empty();
    default:
      return true;
  }
}

std::int64_t value::as_integer() const {
  return kind_ == kind::boolean ? std::int64_t{std::get<bool>(data_)} : std::get<std::int64_t>(data_);
}

double value::as_real() const {
  return kind_ == kind::real ? std::get<double>(data_) : static_cast<double>(as_integer());
}

const std::string& value::text() const {
  return *std::get<std::shared_ptr<const std::string>>(data_);
}

const std::string& value::undefined_reason() const {
  static const std::string nameless = "the value is undefined";
  const auto* reason = std::get_if<std::shared_ptr<const std::string>>(&data_);
  return reason == nullptr ? nameless : **reason;
}

const value_list& value::items() const {
  return std::get<std::shared_ptr<const sequence>>(data_)->items;
}
const value_pairs& value::entries() const {
  return std::get<std::shared_ptr<const mapping>>(data_)->entries;
}
const std::shared_ptr<name_space>& value::space() const {
  return std::get<std::shared_ptr<jinja::name_space>>(data_);
}
const std::shared_ptr<loop_state>& value::loop() const {
  return std::get<std::shared_ptr<loop_state>>(data_);
}
const std::shared_ptr<iterator_state>& value::iterator_ref() const {
  return std::get<std::shared_ptr<iterator_state>>(data_);
}
const std::shared_ptr<const callable>& value::function() const {
  return std::get<std::shared_ptr<const callable>>(data_);
}

void value::require_defined() const {
  if (is_undefined()) fail(undefined_reason());
}

std::string_view value::type_name() const {
  switch (kind_) {
    case kind::undefined:
      return "Undefined";
    case kind::none:
      return "NoneType";
    case kind::boolean:
      return "bool";
    case kind::integer:
      return "int";
    case kind::real:
      return "float";
    case kind::string:
      return "str";
    case kind::list:
      return "list";
    case kind::tuple:
      return "tuple";
    case kind::range:
      return "range";
    case kind::dict:
      return "dict";
    case kind::iterator:
      return "generator";
    case kind::name_space:
      return "namespace";
    case kind::loop:
      return "loop";
    case kind::callable:
      return "function";
  }
  return "value";
}

std::string value::described() const {
  const bool vowel = kind_ == kind::integer || kind_ == kind::undefined;
  return (vowel ? "an " : "a ") + std::string(type_name());
}

bool value::same_object(const value& other) const {
  return kind_ == other.kind_ && data_ == other.data_;
}

value from_json(const nlohmann::ordered_json& json, budget& limits, int depth) {
  using json_type = nlohmann::ordered_json::value_t;
  limits.step();
  if (depth > max_value_depth) checked_depth(max_value_depth);
  switch (json.type()) {
    case json_type::boolean:
      return value::boolean(json.get<bool>());
    case json_type::number_integer:
      return value::integer(json.get<std::int64_t>());
    case json_type::number_unsigned: {
      const auto number = json.get<std::uint64_t>();
      // Above 2^63 Python would keep an int; the nearest double is the nearest we have.
      if (number > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
        return value::real(static_cast<double>(number));
      return value::integer(static_cast<std::int64_t>(number));
    }
    case json_type::number_float:
      return value::real(json.get<double>());
    case json_type::string: {
      const auto& text = json.get_ref<const std::string&>();
      return value::string(find_invalid_utf8(text) == std::string_view::npos ? text : repair_utf8(text), limits);
    }
    case json_type::array: {
      value_list items;
      items.reserve(json.size());
      for (const auto& item : json)
        items.push_back(from_json(item, limits, depth + 1));
      return value::list(std::move(items), limits);
    }
    case json_type::object: {
      value_pairs entries;
      entries.reserve(json.size());
      for (const auto& [key, item] : json.items()) {
        entries.emplace_back(
            value::string(find_invalid_utf8(key) == std::string_view::npos ? key : repair_utf8(key), limits),
            from_json(item, limits, depth + 1));
      }
      return value::dict(std::move(entries), limits);
    }
    default:
      return value::none();
  }
}

value_list iterate(const value& v, budget& limits) {
  switch (v.kind()) {
    case kind::undefined:
      return {};
    case kind::list:
    case kind::tuple:
    case kind::range:
      limits.bytes(v.items().size() * sizeof(value));
      return v.items();
    case kind::string: {
      value_list characters;
      for (std::string_view rest = v.text(); !rest.empty();) {
        const std::size_t length = decode_utf8(rest).length;
        limits.bytes(sizeof(value));
        characters.push_back(value::string(std::string(rest.substr(0, length)), limits));
        rest.remove_prefix(length);
      }
      return characters;
    }
    case kind::dict: {
      value_list keys;
      limits.bytes(v.entries().size() * sizeof(value));
      for (const auto& entry : v.entries())
        keys.push_back(entry.first);
      return keys;
    }
    case kind::iterator: {
      if (v.iterator_ref()->consumed) return {};
      v.iterator_ref()->consumed = true;
      limits.bytes(v.iterator_ref()->items.size() * sizeof(value));
      return v.iterator_ref()->items;
    }
    default:
      fail(v.described() + " cannot be iterated");
  }
}

}  // namespace troupe::jinja
