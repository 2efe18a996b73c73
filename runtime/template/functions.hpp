// The functions every template may call: range, dict, namespace, raise_exception and strftime_now.
#pragma once

#include "runtime/template/value.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::jinja {

/// Keeps every namespace of a rendering, and empties them at its end: they are the only values that can contain one
/// another.
class namespace_owner {
 public:
  ~namespace_owner() {
    for (const auto& space : spaces_)
      space->members.clear();
  }
  std::shared_ptr<name_space> make() { return spaces_.emplace_back(std::make_shared<name_space>()); }

 private:
  std::vector<std::shared_ptr<name_space>> spaces_;
};

/// The time of strftime_now is UTC. spaces must outlive the values.
std::optional<value> find_function(std::string_view name, namespace_owner& spaces, std::int64_t now_unix_seconds);

/// strftime in the C locale; conversions it does not know are an error.
std::string format_time(std::string_view format, std::int64_t unix_seconds);

}  // namespace troupe::jinja
