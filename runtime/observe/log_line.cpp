#include "runtime/observe/log_line.hpp"

#include "base/utf8.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace troupe {

namespace {

std::string escaped(char32_t c) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "\\u%04x", static_cast<unsigned>(c));
  return text.data();
}

// C1 controls steer terminals as well, and U+2028 and U+2029 end lines in some viewers.
bool is_control(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029;
}

/// Without control characters, in valid UTF-8; quotes and backslashes escaped where it stands between quotes.
void append_plain(std::string& out, std::string_view text, bool quoted) {
  while (!text.empty()) {
    const decoded_character c = decode_utf8(text);
    if (c.code_point == '\n') {
      out += "\\n";
    } else if (c.code_point == '\t') {
      out += "\\t";
    } else if (c.code_point == '\r') {
      out += "\\r";
    } else if (is_control(c.code_point)) {
      out += escaped(c.code_point);
    } else {
      if (quoted && (c.code_point == '"' || c.code_point == '\\')) out += '\\';
      append_utf8(out, c.code_point);
    }
    text.remove_prefix(c.length);
  }
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  append_plain(out, text, true);
  out += '"';
}

struct value_writer {
  std::string& out;
  bool json;

  void operator()(std::string_view text) const {
    const bool is_word = !json && !text.empty() && text.find_first_of(" \"=\\") == std::string_view::npos;
    if (is_word) {
      append_plain(out, text, false);
    } else {
      append_quoted(out, text);
    }
  }
  void operator()(bool truth) const { out += truth ? "true" : "false"; }
  void operator()(double number) const {
    if (json && !std::isfinite(number)) {
      out += "null";  // JSON has no word for it
      return;
    }
    write_number(number);
  }
  void operator()(std::int64_t number) const { write_number(number); }
  void operator()(std::uint64_t number) const { write_number(number); }

 private:
  template <class Number>
  void write_number(Number number) const {
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.append(digits.data(), end);
  }
};

void append_member(std::string& out, std::string_view key, const log_field::field_value& value) {
  if (!out.empty()) out += ',';
  append_quoted(out, key);
  out += ':';
  std::visit(value_writer{out, true}, value);
}

}  // namespace

std::string text_line(const log_event& event) {
  std::string line;
  append_plain(line, event.component, false);
  if (!event.request_id.empty()) {
    line += " [";
    append_plain(line, event.request_id, false);
    line += ']';
  }
  line += ' ';
  append_plain(line, event.message, false);
  for (const log_field& field : event.fields) {
    line += ' ';
    append_plain(line, field.key, false);
    line += '=';
    std::visit(value_writer{line, false}, field.value);
  }
  return line;
}

std::string json_members(const log_event& event) {
  std::string members;
  append_member(members, "component", event.component);
  if (!event.request_id.empty()) append_member(members, "request", event.request_id);
  append_member(members, "message", event.message);
  for (const log_field& field : event.fields)
    append_member(members, field.key, field.value);
  return members;
}

}  // namespace troupe
