#include "runtime/template/value_text.hpp"

#include "base/utf8.hpp"
#include "runtime/template/strings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace troupe::jinja {

namespace {

std::string hex_escape(char32_t c, char letter, int digits) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "\\%c%0*x", letter, digits, static_cast<unsigned>(c));
  return text.data();
}

void write_string_repr(text_builder& out, std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string repr(1, quote);
  while (!text.empty()) {
    const decoded_character c = decode_utf8(text);
    switch (c.code_point) {
      case '\n':
        repr += "\\n";
        break;
      case '\r':
        repr += "\\r";
        break;
      case '\t':
        repr += "\\t";
        break;
      case '\\':
        repr += "\\\\";
        break;
      default:
        if (c.code_point == static_cast<char32_t>(quote)) {
          repr += '\\';
          repr += quote;
        } else if (is_printable(c.code_point)) {
          repr += text.substr(0, c.length);
        } else if (c.code_point < 0x100) {
          repr += hex_escape(c.code_point, 'x', 2);
        } else {
          repr += c.code_point < 0x10000 ? hex_escape(c.code_point, 'u', 4) : hex_escape(c.code_point, 'U', 8);
        }
    }
    text.remove_prefix(c.length);
  }
  repr += quote;
  out.append(repr);
}

template <class Items, class Write>
void write_joined(text_builder& out, const Items& items, Write write) {
  bool first = true;
  for (const auto& item : items) {
    if (!first) out.append(", ");
    first = false;
    write(item);
  }
}

void write_dict_repr(text_builder& out, const value_pairs& entries) {
  out.append("{");
  write_joined(out, entries, [&](const auto& entry) {
    write_repr(out, entry.first);
    out.append(": ");
    write_repr(out, entry.second);
  });
  out.append("}");
}

std::string range_repr(const value_list& items) {
  const std::int64_t first = items.empty() ? 0 : items.front().as_integer();
  const std::int64_t step = items.size() < 2 ? 1 : items[1].as_integer() - first;
  const std::int64_t stop = items.empty() ? 0 : items.back().as_integer() + (step > 0 ? 1 : -1);
  std::string text = "range(" + std::to_string(first) + ", " + std::to_string(stop);
  return text + (step == 1 ? ")" : ", " + std::to_string(step) + ")");
}

void write_namespace_repr(text_builder& out, const name_space& space) {
  out.append("<Namespace {");
  write_joined(out, space.members, [&](const auto& member) {
    write_string_repr(out, member.first);
    out.append(": ");
    write_repr(out, member.second);
  });
  out.append("}>");
}

}  // namespace

std::string real_repr(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  std::array<char, 64> buffer{};
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, std::chars_format::scientific).ptr;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const std::size_t e = text.find('e');
  const int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  std::string sign = text.front() == '-' ? "-" : "";
  std::string digits;
  std::copy_if(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(e), std::back_inserter(digits),
               [](char c) { return c >= '0' && c <= '9'; });
  if (exponent < -4 || exponent >= 16) {
    std::string mantissa = digits.substr(0, 1);
    if (digits.size() > 1) mantissa += "." + digits.substr(1);
    return sign + mantissa + std::string(text.substr(e));
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

void write_repr(text_builder& out, const value& v) {
  const budget::level level(out.limits());
  out.limits().step();
  switch (v.kind()) {
    case kind::undefined:
      out.append("Undefined");
      break;
    case kind::string:
      write_string_repr(out, v.text());
      break;
    case kind::list:
      out.append("[");
      write_joined(out, v.items(), [&](const value& item) { write_repr(out, item); });
      out.append("]");
      break;
    case kind::tuple:
      out.append("(");
      write_joined(out, v.items(), [&](const value& item) { write_repr(out, item); });
      out.append(v.items().size() == 1 ? ",)" : ")");
      break;
    case kind::dict:
      write_dict_repr(out, v.entries());
      break;
    case kind::name_space:
      write_namespace_repr(out, *v.space());
      break;
    default:
      write_str(out, v);
  }
}

void write_str(text_builder& out, const value& v) {
  switch (v.kind()) {
    case kind::undefined:
      break;
    case kind::none:
      out.append("None");
      break;
    case kind::boolean:
      out.append(v.truth() ? "True" : "False");
      break;
    case kind::integer:
      out.append(std::to_string(v.as_integer()));
      break;
    case kind::real:
      out.append(real_repr(v.as_real()));
      break;
    case kind::string:
      out.append(v.text());
      break;
    case kind::range:
      out.append(range_repr(v.items()));
      break;
    case kind::iterator:
      out.append("<generator object>");
      break;
    case kind::loop:
      out.append("<LoopContext " + std::to_string(v.loop()->index0 + 1) + "/" + std::to_string(v.loop()->items.size()) +
                 ">");
      break;
    case kind::callable:
      out.append("<function " + v.function()->name + ">");
      break;
    default:
      write_repr(out, v);
  }
}

std::string to_str(const value& v, budget& limits) {
  text_builder out(limits);
  write_str(out, v);
  return out.take();
}

namespace {

void write_json_string(text_builder& out, std::string_view text, bool ensure_ascii) {
  std::string json = "\"";
  while (!text.empty()) {
    const decoded_character c = decode_utf8(text);
    switch (c.code_point) {
      case '"':
        json += "\\\"";
        break;
      case '\\':
        json += "\\\\";
        break;
      case '\n':
        json += "\\n";
        break;
      case '\r':
        json += "\\r";
        break;
      case '\t':
        json += "\\t";
        break;
      case '\b':
        json += "\\b";
        break;
      case '\f':
        json += "\\f";
        break;
      default:
        if (c.code_point < 0x20 ||
            (ensure_ascii && c.code_point >= 0x7F && c.code_point < 0x10000 && c.code_point != 0x7F)) {
          json += hex_escape(c.code_point, 'u', 4);
        } else if (ensure_ascii && c.code_point >= 0x10000) {
          const char32_t rest = c.code_point - 0x10000;
          json += hex_escape(0xD800 + (rest >> 10), 'u', 4) + hex_escape(0xDC00 + (rest & 0x3FF), 'u', 4);
        } else {
          json += text.substr(0, c.length);
        }
    }
    text.remove_prefix(c.length);
  }
  out.append(json + '"');
}

class json_writer {
 public:
  json_writer(text_builder& out, const json_style& style) : out_(out), style_(style) {}

  void write(const value& v) {
    const budget::level level(out_.limits());
    out_.limits().step();
    switch (v.kind()) {
      case kind::none:
        return out_.append("null");
      case kind::boolean:
        return out_.append(v.truth() ? "true" : "false");
      case kind::integer:
        return write_str(out_, v);
      case kind::real:
        return out_.append(real_text(v.as_real()));
      case kind::string:
        return write_json_string(out_, v.text(), style_.ensure_ascii);
      case kind::list:
      case kind::tuple:
        return write_items(v.items(), '[', ']', [&](const value& item) { write(item); });
      case kind::dict:
        return write_dict(v);
      case kind::undefined:
        v.require_defined();
        [[fallthrough]];
      default:
        fail(v.described() + " cannot be written as JSON");
    }
  }

 private:
  static std::string real_text(double number) {
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
    return real_repr(number);
  }

  void write_dict(const value& dict) {
    value_pairs entries = dict.entries();
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [&](const auto& a, const auto& b) { return less(a.first, b.first, out_.limits()); });
    }
    write_items(entries, '{', '}', [&](const auto& entry) {
      write_key(entry.first);
      out_.append(style_.key_separator);
      write(entry.second);
    });
  }

  void write_key(const value& key) {
    if (key.is_string()) return write_json_string(out_, key.text(), style_.ensure_ascii);
    if (!key.is_number() && !key.is(kind::none)) fail("a key of a JSON object is " + key.described());
    text_builder text(out_.limits());
    json_writer(text, style_).write(key);
    write_json_string(out_, text.text(), style_.ensure_ascii);
  }

  template <class Items, class Write>
  void write_items(const Items& items, char open, char close, Write write_item) {
    out_.append(std::string(1, open));
    ++level_;
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_.append(style_.item_separator);
      first = false;
      new_line();
      write_item(item);
    }
    --level_;
    if (!first) new_line();
    out_.append(std::string(1, close));
  }

  void new_line() {
    if (!style_.indent) return;
    out_.append("\n");
    for (int i = 0; i < level_; ++i)
      out_.append(*style_.indent);
  }

  text_builder& out_;
  const json_style& style_;
  int level_ = 0;
};

}  // namespace

void write_json(text_builder& out, const value& v, const json_style& style) {
  json_writer(out, style).write(v);
}

}  // namespace troupe::jinja
