// The filters (x|name) and tests (x is name) of jinja2 that chat templates use, by name.
#pragma once

#include "runtime/template/value.hpp"

#include <string_view>

namespace troupe::jinja {

using filter_function = value (*)(const value& input, arguments& args, budget& limits);
using test_function = bool (*)(const value& input, arguments& args, budget& limits);

/// nullptr when there is none of that name.
filter_function find_filter(std::string_view name);
test_function find_test(std::string_view name);

/// The parts of find_filter, one for each file.
filter_function find_text_filter(std::string_view name);
filter_function find_number_filter(std::string_view name);
filter_function find_sequence_filter(std::string_view name);

/// "a.b.0" from an object, as the attribute= arguments of filters write it. otherwise, where given, stands in for any
/// part that is undefined.
value attribute_path(const value& object, const value& path, budget& limits, const value* otherwise = nullptr);

}  // namespace troupe::jinja
