// Filters that give text.
#include "runtime/template/filters.hpp"
#include "runtime/template/parameters.hpp"
#include "runtime/template/strings.hpp"
#include "runtime/template/value_text.hpp"

#include <algorithm>

namespace troupe::jinja {

namespace {

value trim(const value& input, arguments& args, budget& limits) {
  parameters p("trim", args);
  const auto characters = p.optional_text("chars");
  p.done();
  const std::string text = to_str(input, limits);
  return value::string(std::string(strip(text, side::both, characters)), limits);
}

template <std::string (*Change)(std::string_view)>
value change_case(const value& input, arguments& args, budget& limits) {
  parameters("a filter that changes case", args).done();
  return value::string(Change(to_str(input, limits)), limits);
}

value string(const value& input, arguments& args, budget& limits) {
  parameters("string", args).done();
  return input.is_string() ? input : value::constant(to_str(input, limits));
}

value join(const value& input, arguments& args, budget& limits) {
  parameters p("join", args);
  const value separator = p.optional("d").value_or(value::constant(""));
  const auto path = p.optional("attribute");
  p.done();
  const std::string between = to_str(separator, limits);
  text_builder out(limits);
  bool first = true;
  for (const value& item : iterate(input, limits)) {
    if (!first) out.append(between);
    first = false;
    write_str(out, path && !path->is(kind::none) ? attribute_path(item, *path, limits) : item);
  }
  return value::string(out);
}

value replace_text(const value& input, arguments& args, budget& limits) {
  parameters p("replace", args);
  const std::string from = to_str(p.required("old"), limits);
  const std::string to = to_str(p.required("new"), limits);
  const std::int64_t limit = p.integer_or("count", -1);
  p.done();
  return value::constant(replace(to_str(input, limits), from, to, limit, limits));
}

value indent(const value& input, arguments& args, budget& limits) {
  parameters p("indent", args);
  const value width = p.optional("width").value_or(value::integer(4));
  const bool first = p.truth_or("first", false);
  const bool blank = p.truth_or("blank", false);
  p.done();
  if (!width.is_string() && !width.is_integral()) fail("indent wants a number of spaces or a string");
  if (!width.is_string() && width.as_integer() > 1000) fail("indent by more than 1000 spaces");
  const std::string indention =
      width.is_string() ? width.text()
                        : std::string(static_cast<std::size_t>(std::max<std::int64_t>(0, width.as_integer())), ' ');
  const std::string text = to_str(input, limits) + "\n";
  limits.bytes(text.size());
  text_builder out(limits);
  bool is_first = true;
  for (const std::string_view line : split_lines(text)) {
    if (!is_first) out.append("\n");
    if (is_first ? first : blank || !line.empty()) out.append(indention);
    is_first = false;
    out.append(line);
  }
  return value::string(out);
}

value escape(const value& input, arguments& args, budget& limits) {
  parameters("escape", args).done();
  text_builder out(limits);
  for (const char c : to_str(input, limits)) {
    switch (c) {
      case '&':
        out.append("&amp;");
        break;
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      case '\'':
        out.append("&#39;");
        break;
      case '"':
        out.append("&#34;");
        break;
      default:
        out.append(std::string_view(&c, 1));
    }
  }
  return value::string(out);
}

value to_json(const value& input, arguments& args, budget& limits) {
  parameters p("tojson", args);
  json_style style;
  style.ensure_ascii = p.truth_or("ensure_ascii", false);
  const auto levels = p.optional("indent");
  const auto separators = p.optional("separators");
  style.sort_keys = p.truth_or("sort_keys", false);
  p.done();
  if (levels && levels->is_string()) {
    style.indent = levels->text();
  } else if (levels && levels->is_integral()) {
    if (levels->as_integer() > 100) fail("tojson indents by at most 100 spaces");
    style.indent = std::string(static_cast<std::size_t>(std::max<std::int64_t>(0, levels->as_integer())), ' ');
  } else if (levels && !levels->is(kind::none)) {
    fail("tojson wants a number or a string as 'indent', not " + levels->described());
  }
  if (style.indent) style.item_separator = ",";
  if (separators && !separators->is(kind::none)) {
    const value_list pair = iterate(*separators, limits);
    if (pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string())
      fail("tojson wants two strings as 'separators'");
    style.item_separator = pair[0].text();
    style.key_separator = pair[1].text();
  }
  text_builder out(limits);
  write_json(out, input, style);
  return value::string(out);
}

}  // namespace

filter_function find_text_filter(std::string_view name) {
  if (name == "trim") return trim;
  if (name == "upper") return change_case<upper>;
  if (name == "lower") return change_case<lower>;
  if (name == "capitalize") return change_case<capitalize>;
  if (name == "title") return change_case<title_words>;
  if (name == "string" || name == "safe") return string;  // nothing is escaped, so nothing needs a mark that it is safe
  if (name == "join") return join;
  if (name == "replace") return replace_text;
  if (name == "indent") return indent;
  if (name == "escape" || name == "e") return escape;
  if (name == "tojson") return to_json;
  return nullptr;
}

}  // namespace troupe::jinja
