// The methods of strings, lists, dicts and loops. Those that change their object are out of reach, as in the sandbox
// that templates are written for.
#pragma once

#include "runtime/template/value.hpp"

#include <optional>
#include <string_view>

namespace troupe::jinja {

/// The method bound to its object, or nothing when the type has none of that name. A method that Python has and this
/// subset has not fails when it is called.
std::optional<value> find_method(const value& object, std::string_view name, budget& limits);

}  // namespace troupe::jinja
