// Reading the fields of a JSON object with their types, and naming the field that is wrong as OpenAI does:
// "messages[0].content".
//
// The first error sticks and later reads do nothing, so that a parser reads like the list of its fields and asks once
// at the end. null counts as absent, since SDKs send it for options nobody set.
#pragma once

#include "base/result.hpp"
#include "runtime/openai/json_parse.hpp"

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::openai {

/// "a string", "an array", …
std::string_view kind_of(const json& value);

class field_reader {
 public:
  /// The object must outlive the reader. Path: what leads to the object ("messages[2]"); empty for the body itself.
  explicit field_reader(const json& object, std::string path = {});

  /// Null when absent or null.
  const json* find(std::string_view name) const;

  void read(std::string_view name, bool& out);
  void read(std::string_view name, float& out);
  /// At most max_bytes.
  void read(std::string_view name, std::string& out, std::size_t max_bytes);
  /// Integers in [low, high]. 5.0 is 5, as JSON Schema has it; 5.5 is none.
  template <std::integral Integer>
  void read(std::string_view name, Integer& out, std::int64_t low, std::int64_t high) {
    if (const auto value = read_integer(name, low, high)) out = static_cast<Integer>(*value);
  }
  template <std::integral Integer>
  void read(std::string_view name, std::optional<Integer>& out, std::int64_t low, std::int64_t high) {
    if (const auto value = read_integer(name, low, high)) out = static_cast<Integer>(*value);
  }
  /// The array of that name or null; anything else is an error.
  const json* read_array(std::string_view name, std::size_t max_items);
  /// The object of that name or null; anything else is an error.
  const json* read_object(std::string_view name);

  /// Makes this field the error, unless there is one already.
  void refuse(std::string_view name, std::string_view sentence, errc code = errc::invalid_argument);
  /// Takes over the error of a reader of something inside, whose path is complete.
  void adopt(const error& inner);

  bool ok() const { return !failure_; }
  result<> outcome() const;
  std::string path_of(std::string_view name) const;

 private:
  std::optional<std::int64_t> read_integer(std::string_view name, std::int64_t low, std::int64_t high);
  void refuse_type(std::string_view name, std::string_view expected, const json& value);

  const json& object_;
  std::string path_;
  std::optional<error> failure_;
};

/// An integer value wherever it stands, or nothing if it is not one or not within int64.
std::optional<std::int64_t> integer_of(const json& value);

}  // namespace troupe::openai
