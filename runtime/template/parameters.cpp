#include "runtime/template/parameters.hpp"

#include <algorithm>

namespace troupe::jinja {

std::optional<value> parameters::optional(std::string_view name) {
  if (next_ < args_.positional.size()) return args_.positional[next_++];
  ++next_;
  const auto found = std::find_if(args_.named.begin(), args_.named.end(),
                                  [&](const auto& argument) { return argument.first == name; });
  if (found == args_.named.end()) return std::nullopt;
  value taken = std::move(found->second);
  args_.named.erase(found);
  return taken;
}

value parameters::required(std::string_view name) {
  if (auto given = optional(name)) return *std::move(given);
  fail(std::string(callee_) + " needs its argument '" + std::string(name) + "'");
}

std::optional<std::string> parameters::optional_text(std::string_view name) {
  const auto given = optional(name);
  if (!given || given->is(kind::none)) return std::nullopt;
  if (!given->is_string()) wrong_type(name, "a string", *given);
  return given->text();
}

std::string parameters::required_text(std::string_view name) {
  const value given = required(name);
  if (!given.is_string()) wrong_type(name, "a string", given);
  return given.text();
}

std::int64_t parameters::integer_or(std::string_view name, std::int64_t otherwise) {
  const auto given = optional(name);
  if (!given || given->is(kind::none)) return otherwise;
  if (!given->is_integral()) wrong_type(name, "an integer", *given);
  return given->as_integer();
}

bool parameters::truth_or(std::string_view name, bool otherwise) {
  const auto given = optional(name);
  return given ? given->truth() : otherwise;
}

void parameters::done() const {
  if (args_.positional.size() > next_) fail(std::string(callee_) + " is given more arguments than it takes");
  if (!args_.named.empty()) fail(std::string(callee_) + " has no argument '" + args_.named.front().first + "'");
}

void parameters::wrong_type(std::string_view name, std::string_view wanted, const value& got) const {
  got.require_defined();
  fail(std::string(callee_) + " wants " + std::string(wanted) + " as '" + std::string(name) + "', not " +
       got.described());
}

}  // namespace troupe::jinja
