#include "runtime/template/methods.hpp"

#include "runtime/template/operators.hpp"
#include "runtime/template/parameters.hpp"
#include "runtime/template/strings.hpp"
#include "runtime/template/value_text.hpp"

#include <algorithm>
#include <array>

namespace troupe::jinja {

namespace {

using method_function = value (*)(const value& self, arguments& args, budget& limits);
struct method {
  std::string_view name;
  method_function call;
};

template <side Where>
value str_strip(const value& self, arguments& args, budget& limits) {
  parameters p("strip", args);
  const auto characters = p.optional_text("chars");
  p.done();
  limits.step(self.text().size() / 64);
  return value::string(std::string(strip(self.text(), Where, characters)), limits);
}

template <std::string (*Change)(std::string_view)>
value str_change(const value& self, arguments& args, budget& limits) {
  parameters("a method that changes case", args).done();
  limits.bytes(self.text().size());
  return value::string(Change(self.text()), limits);
}

value list_of_texts(const std::vector<std::string_view>& parts, budget& limits) {
  limits.bytes(parts.size() * sizeof(value));
  value_list items;
  for (const std::string_view part : parts)
    items.push_back(value::string(std::string(part), limits));
  return value::list(std::move(items), limits);
}

using splitter = std::vector<std::string_view> (*)(std::string_view, std::optional<std::string_view>, std::int64_t);

template <splitter Split>
value str_split(const value& self, arguments& args, budget& limits) {
  parameters p("split", args);
  const auto separator = p.optional_text("sep");
  const std::int64_t limit = p.integer_or("maxsplit", -1);
  p.done();
  if (separator && separator->empty()) fail("split is given an empty separator");
  limits.bytes(self.text().size());
  return list_of_texts(Split(self.text(), separator, limit), limits);
}

value str_splitlines(const value& self, arguments& args, budget& limits) {
  parameters("splitlines", args).done();
  limits.bytes(self.text().size());
  return list_of_texts(split_lines(self.text()), limits);
}

bool has_affix(const value& self, const value& affix, bool at_start) {
  if (affix.is(kind::tuple)) {
    return std::any_of(affix.items().begin(), affix.items().end(),
                       [&](const value& each) { return has_affix(self, each, at_start); });
  }
  if (!affix.is_string()) {
    affix.require_defined();
    fail("startswith and endswith want a string or a tuple of strings, not " + affix.described());
  }
  return at_start ? self.text().starts_with(affix.text()) : self.text().ends_with(affix.text());
}

template <bool AtStart>
value str_has_affix(const value& self, arguments& args, budget& limits) {
  parameters p(AtStart ? "startswith" : "endswith", args);
  const value affix = p.required(AtStart ? "prefix" : "suffix");
  p.done();
  limits.step(affix.is(kind::tuple) ? affix.items().size() : 1);
  return value::boolean(has_affix(self, affix, AtStart));
}

template <bool AtStart>
value str_remove_affix(const value& self, arguments& args, budget& limits) {
  parameters p(AtStart ? "removeprefix" : "removesuffix", args);
  const std::string affix = p.required_text("affix");
  p.done();
  if (!has_affix(self, value::constant(affix), AtStart)) return self;
  const std::string& text = self.text();
  return value::string(AtStart ? text.substr(affix.size()) : text.substr(0, text.size() - affix.size()), limits);
}

value str_replace(const value& self, arguments& args, budget& limits) {
  parameters p("replace", args);
  const std::string from = p.required_text("old");
  const std::string to = p.required_text("new");
  const std::int64_t limit = p.integer_or("count", -1);
  p.done();
  return value::constant(replace(self.text(), from, to, limit, limits));
}

value str_join(const value& self, arguments& args, budget& limits) {
  parameters p("join", args);
  const value_list items = iterate(p.required("iterable"), limits);
  p.done();
  text_builder out(limits);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is_string()) fail("join wants strings, not " + items[i].described());
    if (i > 0) out.append(self.text());
    out.append(items[i].text());
  }
  return value::string(out);
}

value str_find(const value& self, arguments& args, budget& limits) {
  parameters p("find", args);
  const std::string wanted = p.required_text("sub");
  p.done();
  limits.step(self.text().size() / 64);
  return value::integer(find(self.text(), wanted));
}

value str_count(const value& self, arguments& args, budget& limits) {
  parameters p("count", args);
  const std::string wanted = p.required_text("sub");
  p.done();
  limits.step(self.text().size() / 64);
  if (wanted.empty()) return value::integer(static_cast<std::int64_t>(length(self.text())) + 1);
  std::int64_t count = 0;
  for (std::size_t at = 0; (at = self.text().find(wanted, at)) != std::string::npos; at += wanted.size())
    ++count;
  return value::integer(count);
}

template <bool (*Accepts)(char)>
value str_all(const value& self, arguments& args, budget& limits) {
  parameters("a test of a string's characters", args).done();
  limits.step(self.text().size() / 64);
  const std::string& text = self.text();
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) {
    fail_unsupported("isdigit, isalpha and isalnum are only supported for ASCII text");
  }
  return value::boolean(!text.empty() && std::all_of(text.begin(), text.end(), Accepts));
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_alnum(char c) {
  return is_digit(c) || is_alpha(c);
}

value dict_items(const value& self, arguments& args, budget& limits) {
  parameters("items", args).done();
  value_list items;
  for (const auto& [key, item] : self.entries())
    items.push_back(value::list({key, item}, limits, kind::tuple));
  return value::list(std::move(items), limits);
}

value dict_keys(const value& self, arguments& args, budget& limits) {
  parameters("keys", args).done();
  return value::list(iterate(self, limits), limits);
}

value dict_values(const value& self, arguments& args, budget& limits) {
  parameters("values", args).done();
  value_list items;
  for (const auto& entry : self.entries())
    items.push_back(entry.second);
  return value::list(std::move(items), limits);
}

value dict_get(const value& self, arguments& args, budget& limits) {
  parameters p("get", args);
  const value key = p.required("key");
  value otherwise = p.optional("default").value_or(value::none());
  p.done();
  const value* entry = find_key(self, key, limits);
  return entry == nullptr ? otherwise : *entry;
}

value list_count(const value& self, arguments& args, budget& limits) {
  parameters p("count", args);
  const value wanted = p.required("value");
  p.done();
  return value::integer(std::count_if(self.items().begin(), self.items().end(),
                                      [&](const value& item) { return equal(item, wanted, limits); }));
}

value list_index(const value& self, arguments& args, budget& limits) {
  parameters p("index", args);
  const value wanted = p.required("value");
  p.done();
  const auto found = std::find_if(self.items().begin(), self.items().end(),
                                  [&](const value& item) { return equal(item, wanted, limits); });
  if (found == self.items().end()) fail("index: the list does not contain the value");
  return value::integer(found - self.items().begin());
}

value loop_cycle(const value& self, arguments& args, budget&) {
  if (args.positional.empty()) fail("loop.cycle needs at least one item");
  return args.positional[self.loop()->index0 % args.positional.size()];
}

constexpr method str_methods[] = {{"strip", str_strip<side::both>},
                                  {"lstrip", str_strip<side::left>},
                                  {"rstrip", str_strip<side::right>},
                                  {"upper", str_change<upper>},
                                  {"lower", str_change<lower>},
                                  {"title", str_change<title>},
                                  {"capitalize", str_change<capitalize>},
                                  {"split", str_split<split>},
                                  {"rsplit", str_split<rsplit>},
                                  {"splitlines", str_splitlines},
                                  {"startswith", str_has_affix<true>},
                                  {"endswith", str_has_affix<false>},
                                  {"removeprefix", str_remove_affix<true>},
                                  {"removesuffix", str_remove_affix<false>},
                                  {"replace", str_replace},
                                  {"join", str_join},
                                  {"find", str_find},
                                  {"count", str_count},
                                  {"isdigit", str_all<is_digit>},
                                  {"isalpha", str_all<is_alpha>},
                                  {"isalnum", str_all<is_alnum>}};
constexpr method dict_methods[] = {
    {"items", dict_items}, {"keys", dict_keys}, {"values", dict_values}, {"get", dict_get}};
constexpr method list_methods[] = {{"count", list_count}, {"index", list_index}};
constexpr method loop_methods[] = {{"cycle", loop_cycle}};

// Names that Python's types have and that must not fall through to a key of the same name.
constexpr std::string_view str_only_in_python[] = {
    "casefold", "center",     "encode",       "expandtabs", "format",    "format_map",  "index",
    "isascii",  "isdecimal",  "isidentifier", "islower",    "isnumeric", "isprintable", "isspace",
    "istitle",  "isupper",    "ljust",        "maketrans",  "partition", "rfind",       "rindex",
    "rjust",    "rpartition", "swapcase",     "translate",  "zfill"};
constexpr std::string_view dict_only_in_python[] = {"clear",   "copy",       "fromkeys", "pop",
                                                    "popitem", "setdefault", "update"};
constexpr std::string_view list_only_in_python[] = {"append", "clear",  "copy",    "extend", "insert",
                                                    "pop",    "remove", "reverse", "sort"};

value bind(const value& self, std::string_view name, method_function call) {
  return value::of(std::make_shared<const callable>(
      callable{std::string(name), [self, call](arguments& args, budget& limits) { return call(self, args, limits); },
               self.depth() + 1}));
}

template <std::size_t Methods, std::size_t Others>
std::optional<value> find_in(const method (&methods)[Methods], const std::string_view (&others)[Others],
                             const value& self, std::string_view name) {
  for (const method& each : methods) {
    if (each.name == name) return bind(self, name, each.call);
  }
  if (std::find(std::begin(others), std::end(others), name) == std::end(others)) return std::nullopt;
  return value::of(std::make_shared<const callable>(
      callable{std::string(name),
               [full = std::string(self.type_name()) + "." + std::string(name)](arguments&, budget&) -> value {
                 fail_unsupported("the method " + full + " is not supported");
               }}));
}

}  // namespace

std::optional<value> find_method(const value& object, std::string_view name, budget& limits) {
  limits.step();
  if (object.depth() >= max_value_depth) fail("a value is nested too deeply to call its methods", errc::too_large);
  switch (object.kind()) {
    case kind::string:
      return find_in(str_methods, str_only_in_python, object, name);
    case kind::dict:
      return find_in(dict_methods, dict_only_in_python, object, name);
    case kind::list:
      return find_in(list_methods, list_only_in_python, object, name);
    case kind::tuple:
      for (const method& each : list_methods) {
        if (each.name == name) return bind(object, name, each.call);
      }
      return std::nullopt;
    case kind::loop:
      for (const method& each : loop_methods) {
        if (each.name == name) return bind(object, name, each.call);
      }
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace troupe::jinja
