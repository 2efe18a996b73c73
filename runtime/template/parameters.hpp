// Reads the arguments of a filter, test, method or function in the order of its parameters, by position or by name.
#pragma once

#include "runtime/template/value.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::jinja {

class parameters {
 public:
  parameters(std::string_view callee, arguments& args) : callee_(callee), args_(args) {}

  /// The next parameter, or nothing when the call leaves it out.
  std::optional<value> optional(std::string_view name);
  value required(std::string_view name);
  std::optional<std::string> optional_text(std::string_view name);
  std::string required_text(std::string_view name);
  std::int64_t integer_or(std::string_view name, std::int64_t otherwise);
  bool truth_or(std::string_view name, bool otherwise);
  /// Refuses arguments that no parameter has taken.
  void done() const;

 private:
  [[noreturn]] void wrong_type(std::string_view name, std::string_view wanted, const value& got) const;

  std::string_view callee_;
  arguments& args_;
  std::size_t next_ = 0;
};

}  // namespace troupe::jinja
