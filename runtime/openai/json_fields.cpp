#include "runtime/openai/json_fields.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

// What is too large for a float becomes infinity, which every range check refuses; what is too small keeps its sign, so
// that "above 0" holds for it as it does for the number that was sent.
float nearest_float(double number) {
  using limits = std::numeric_limits<float>;
  const double size = std::abs(number);
  if (size > limits::max()) return static_cast<float>(std::copysign(limits::infinity(), number));
  if (size > 0 && size < limits::min()) return static_cast<float>(std::copysign(limits::min(), number));
  return static_cast<float>(number);
}

}  // namespace

std::string_view kind_of(const json& value) {
  switch (value.type()) {
    case json::value_t::null:
      return "null";
    case json::value_t::object:
      return "an object";
    case json::value_t::array:
      return "an array";
    case json::value_t::string:
      return "a string";
    case json::value_t::boolean:
      return "a boolean";
    default:
      return "a number";
  }
}

std::optional<std::int64_t> integer_of(const json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    return static_cast<std::int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const auto number = value.get<double>();
  constexpr double exact = 9007199254740992.0;  // 2^53: up to here every integer is a double of its own
  if (std::trunc(number) != number || std::abs(number) > exact) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

field_reader::field_reader(const json& object, std::string path) : object_(object), path_(std::move(path)) {}

std::string field_reader::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}

void field_reader::refuse(std::string_view name, std::string_view sentence, errc code) {
  if (!failure_) failure_ = make_error(code, std::string(sentence), path_of(name));
}

void field_reader::adopt(const error& inner) {
  if (!failure_) failure_ = inner;
}

void field_reader::refuse_type(std::string_view name, std::string_view expected, const json& value) {
  if (failure_) return;
  std::string sentence = path_of(name) + " must be ";
  sentence.append(expected).append(", but it is ").append(kind_of(value)).append(".");
  refuse(name, sentence);
}

result<> field_reader::outcome() const {
  if (failure_) return *failure_;
  return {};
}

const json* field_reader::find(std::string_view name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void field_reader::read(std::string_view name, bool& out) {
  const json* value = find(name);
  if (value == nullptr) return;
  if (!value->is_boolean()) return refuse_type(name, "true or false", *value);
  out = value->get<bool>();
}

void field_reader::read(std::string_view name, float& out) {
  const json* value = find(name);
  if (value == nullptr) return;
  if (!value->is_number()) return refuse_type(name, "a number", *value);
  out = nearest_float(value->get<double>());
}

void field_reader::read(std::string_view name, std::string& out, std::size_t max_bytes) {
  const json* value = find(name);
  if (value == nullptr) return;
  if (!value->is_string()) return refuse_type(name, "a string", *value);
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() > max_bytes)
    return refuse(name, path_of(name) + " must have at most " + std::to_string(max_bytes) + " bytes.");
  out = text;
}

const json* field_reader::read_array(std::string_view name, std::size_t max_items) {
  const json* value = find(name);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) {
    refuse_type(name, "an array", *value);
    return nullptr;
  }
  if (value->size() > max_items) {
    refuse(name, path_of(name) + " must have at most " + std::to_string(max_items) + " items, but it has " +
                     std::to_string(value->size()) + ".");
    return nullptr;
  }
  return value;
}

const json* field_reader::read_object(std::string_view name) {
  const json* value = find(name);
  if (value == nullptr) return nullptr;
  if (!value->is_object()) {
    refuse_type(name, "an object", *value);
    return nullptr;
  }
  return value;
}

std::optional<std::int64_t> field_reader::read_integer(std::string_view name, std::int64_t low, std::int64_t high) {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    refuse_type(name, "an integer", *value);
    return std::nullopt;
  }
  const auto number = integer_of(*value);
  if (!number || *number < low || *number > high) {
    refuse(name, path_of(name) + " must be an integer between " + std::to_string(low) + " and " + std::to_string(high) +
                     ", but it is " + value->dump() + ".");
    return std::nullopt;
  }
  return number;
}

}  // namespace troupe::openai
