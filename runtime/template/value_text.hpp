// How values are written: Python's str() and repr(), and the tojson filter as Hugging Face defines it (json.dumps, not
// escaped for HTML).
#pragma once

#include "runtime/template/value.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace troupe::jinja {

void write_str(text_builder& out, const value& v);
void write_repr(text_builder& out, const value& v);
std::string to_str(const value& v, budget& limits);

struct json_style {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // of one level; absent: all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
void write_json(text_builder& out, const value& v, const json_style& style);

/// The shortest digits that read back as the same number, laid out as Python lays them out: 1.0, 0.1, 1e+16, 1e-05.
std::string real_repr(double number);

}  // namespace troupe::jinja
