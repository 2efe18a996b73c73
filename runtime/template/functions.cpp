#include "runtime/template/functions.hpp"

#include "runtime/template/parameters.hpp"
#include "runtime/template/value_text.hpp"

#include <algorithm>
#include <array>
#include <ctime>

namespace troupe::jinja {

namespace {

std::int64_t integer_argument(const value& v) {
  v.require_defined();
  if (!v.is_integral()) fail("range wants integers, not " + v.described());
  return v.as_integer();
}

value make_range(arguments& args, budget& limits) {
  parameters p("range", args);
  std::int64_t start = integer_argument(p.required("start"));
  const auto given_stop = p.optional("stop");
  const auto given_step = p.optional("step");
  p.done();
  std::int64_t stop = start;
  if (given_stop) {
    stop = integer_argument(*given_stop);
  } else {
    start = 0;
  }
  const std::int64_t step = given_step ? integer_argument(*given_step) : 1;
  if (step == 0) fail("the step of a range is 0; it must be another number");
  value_list items;
  for (std::int64_t at = start; step > 0 ? at < stop : at > stop;) {
    if (static_cast<std::int64_t>(items.size()) == max_range_items) {
      fail("a range has more than " + std::to_string(max_range_items) + " items", errc::too_large);
    }
    limits.step();
    items.push_back(value::integer(at));
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return value::list(std::move(items), limits, kind::range);
}

value_pairs pairs_of(const value& source, budget& limits) {
  if (source.is(kind::dict)) return source.entries();
  value_pairs pairs;
  for (const value& item : iterate(source, limits)) {
    const value_list pair = iterate(item, limits);
    if (pair.size() != 2) fail("a dict is made of pairs, not of " + std::to_string(pair.size()) + " values");
    pairs.emplace_back(pair[0], pair[1]);
  }
  return pairs;
}

/// dict(pairs or dict, name=value, …), later values replacing earlier ones.
value_pairs merged(arguments& args, budget& limits) {
  if (args.positional.size() > 1) fail("dict and namespace take one dict and named values");
  value_pairs given;
  if (!args.positional.empty()) given = pairs_of(args.positional.front(), limits);
  for (auto& [name, item] : args.named)
    given.emplace_back(value::string(name, limits), std::move(item));
  value_pairs entries;
  for (auto& entry : given) {
    limits.step(1 + entries.size() / 16);
    const auto same = std::find_if(entries.begin(), entries.end(),
                                   [&](const auto& earlier) { return equal(earlier.first, entry.first, limits); });
    if (same == entries.end()) {
      entries.push_back(std::move(entry));
    } else {
      same->second = std::move(entry.second);
    }
  }
  return entries;
}

value make_namespace(arguments& args, budget& limits, namespace_owner& spaces) {
  limits.bytes(sizeof(name_space));
  auto space = spaces.make();
  for (auto& [name, item] : merged(args, limits)) {
    if (!name.is_string()) fail("the names in a namespace are strings, not " + name.described());
    space->members.emplace_back(name.text(), std::move(item));
  }
  return value::of(std::move(space));
}

value raise_exception(arguments& args, budget& limits) {
  parameters p("raise_exception", args);
  const value message = p.required("message");
  p.done();
  throw failure{errc::invalid_argument, to_str(message, limits), true};
}

value strftime_now(arguments& args, budget& limits, std::int64_t now) {
  parameters p("strftime_now", args);
  const std::string format = p.required_text("format");
  p.done();
  return value::string(format_time(format, now), limits);
}

value function(std::string_view name, std::function<value(arguments&, budget&)> call) {
  return value::of(std::make_shared<const callable>(callable{std::string(name), std::move(call)}));
}

}  // namespace

std::string format_time(std::string_view format, std::int64_t unix_seconds) {
  constexpr std::string_view conversions = "aAbBcdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%";
  if (format.size() > 256) fail("the format of strftime_now is longer than 256 bytes");
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm calendar{};
  if (gmtime_r(&seconds, &calendar) == nullptr) fail("the time of strftime_now is not one that a calendar has");
  std::string text;
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      text += format[at];
      continue;
    }
    std::string conversion = "%";
    if (++at < format.size() && format[at] == '-') conversion += format[at++];
    if (at >= format.size() || conversions.find(format[at]) == std::string_view::npos) {
      fail("strftime_now does not know the conversion in '" + std::string(format) + "'");
    }
    conversion += format[at];
    std::array<char, 128> buffer{};
    text.append(buffer.data(), std::strftime(buffer.data(), buffer.size(), conversion.c_str(), &calendar));
  }
  return text;
}

std::optional<value> find_function(std::string_view name, namespace_owner& spaces, std::int64_t now_unix_seconds) {
  if (name == "range") return function(name, make_range);
  if (name == "dict") {
    return function(name, [](arguments& args, budget& limits) { return value::dict(merged(args, limits), limits); });
  }
  if (name == "namespace") {
    return function(name, [&spaces](arguments& args, budget& limits) { return make_namespace(args, limits, spaces); });
  }
  if (name == "raise_exception") return function(name, raise_exception);
  if (name == "strftime_now") {
    return function(name, [now_unix_seconds](arguments& args, budget& limits) {
      return strftime_now(args, limits, now_unix_seconds);
    });
  }
  return std::nullopt;
}

}  // namespace troupe::jinja
