#include "runtime/template/strings.hpp"

#include "base/utf8.hpp"

#include <algorithm>
#include <limits>

#include <locale.h>
#include <wctype.h>

namespace troupe::jinja {

namespace {

locale_t unicode_locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

char32_t upper(char32_t c) {
  if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
  return unicode_locale() == nullptr ? c : static_cast<char32_t>(towupper_l(static_cast<wint_t>(c), unicode_locale()));
}

char32_t lower(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  return unicode_locale() == nullptr ? c : static_cast<char32_t>(towlower_l(static_cast<wint_t>(c), unicode_locale()));
}

bool is_cased(char32_t c) {
  return upper(c) != c || lower(c) != c || c == U'ß';
}

void append_upper(std::string& out, char32_t c) {
  if (c == U'ß') {
    out += "SS";
  } else {
    append_utf8(out, upper(c));
  }
}

void append_title(std::string& out, char32_t c) {
  if (c == U'ß') {
    out += "Ss";
  } else {
    append_utf8(out, upper(c));
  }
}

template <class Visit>
void for_each_character(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const decoded_character c = decode_utf8(text);
    visit(c.code_point, text.substr(0, c.length));
    text.remove_prefix(c.length);
  }
}

std::size_t last_character_length(std::string_view text) {
  std::size_t length = 1;
  while (length < text.size() && (static_cast<unsigned char>(text[text.size() - length]) & 0xC0) == 0x80)
    ++length;
  return length;
}

}  // namespace

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_printable(char32_t c) {
  if (c == ' ') return true;
  if (c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD || is_space(c)) return false;
  const bool format = (c >= 0x600 && c <= 0x605) || c == 0x61C || c == 0x6DD || c == 0x70F || c == 0x180E ||
                      (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
                      c == 0xFEFF || (c >= 0xFFF0 && c <= 0xFFFB) || (c >= 0xE0000 && c <= 0xE0FFF);
  const bool private_use = (c >= 0xD800 && c <= 0xF8FF) || c >= 0xF0000;
  return !format && !private_use && (c & 0xFFFE) != 0xFFFE;
}

std::size_t length(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::optional<std::string> character_at(std::string_view text, std::int64_t position) {
  const auto count = static_cast<std::int64_t>(length(text));
  if (position < 0) position += count;
  if (position < 0 || position >= count) return std::nullopt;
  for (; position > 0; --position)
    text.remove_prefix(decode_utf8(text).length);
  return std::string(text.substr(0, decode_utf8(text).length));
}

std::int64_t find(std::string_view text, std::string_view wanted) {
  const std::size_t at = text.find(wanted);
  return at == std::string_view::npos ? -1 : static_cast<std::int64_t>(length(text.substr(0, at)));
}

std::string_view strip(std::string_view text, side where, std::optional<std::string_view> characters) {
  const auto strips = [&](std::string_view character) {
    return characters ? characters->find(character) != std::string_view::npos
                      : is_space(decode_utf8(character).code_point);
  };
  if (where != side::right) {
    while (!text.empty() && strips(text.substr(0, decode_utf8(text).length)))
      text.remove_prefix(decode_utf8(text).length);
  }
  if (where != side::left) {
    while (!text.empty()) {
      const std::size_t last = last_character_length(text);
      if (!strips(text.substr(text.size() - last))) break;
      text.remove_suffix(last);
    }
  }
  return text;
}

std::string upper(std::string_view text) {
  std::string out;
  for_each_character(text, [&](char32_t c, std::string_view) { append_upper(out, c); });
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  for_each_character(text, [&](char32_t c, std::string_view) { append_utf8(out, lower(c)); });
  return out;
}

std::string capitalize(std::string_view text) {
  if (text.empty()) return {};
  const decoded_character first = decode_utf8(text);
  std::string out;
  append_title(out, first.code_point);
  return out + lower(text.substr(first.length));
}

std::string title(std::string_view text) {
  std::string out;
  bool in_word = false;
  for_each_character(text, [&](char32_t c, std::string_view) {
    if (in_word) {
      append_utf8(out, lower(c));
    } else {
      append_title(out, c);
    }
    in_word = is_cased(c);
  });
  return out;
}

std::string title_words(std::string_view text) {
  std::string out;
  bool in_word = false;
  for_each_character(text, [&](char32_t c, std::string_view) {
    const bool breaks = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    if (breaks || in_word) {
      append_utf8(out, lower(c));
    } else {
      append_upper(out, c);
    }
    in_word = !breaks;
  });
  return out;
}

std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator,
                                    std::int64_t limit) {
  std::vector<std::string_view> parts;
  if (separator) {
    for (std::size_t at; limit != 0 && (at = text.find(*separator)) != std::string_view::npos; --limit) {
      parts.push_back(text.substr(0, at));
      text.remove_prefix(at + separator->size());
    }
    parts.push_back(text);
    return parts;
  }
  for (text = strip(text, side::left, std::nullopt); !text.empty();
       text = strip(text, side::left, std::nullopt), --limit) {
    if (limit == 0) {
      parts.push_back(text);
      break;
    }
    std::size_t end = 0;
    while (end < text.size() && !is_space(decode_utf8(text.substr(end)).code_point))
      end += decode_utf8(text.substr(end)).length;
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

std::vector<std::string_view> rsplit(std::string_view text, std::optional<std::string_view> separator,
                                     std::int64_t limit) {
  std::vector<std::string_view> parts;
  if (separator) {
    for (std::size_t at; limit != 0 && (at = text.rfind(*separator)) != std::string_view::npos; --limit) {
      parts.push_back(text.substr(at + separator->size()));
      text = text.substr(0, at);
    }
    parts.push_back(text);
  } else {
    for (text = strip(text, side::right, std::nullopt); !text.empty();
         text = strip(text, side::right, std::nullopt), --limit) {
      if (limit == 0) {
        parts.push_back(text);
        break;
      }
      std::size_t begin = text.size();
      while (begin > 0) {
        const std::size_t last = last_character_length(text.substr(0, begin));
        if (is_space(decode_utf8(text.substr(begin - last)).code_point)) break;
        begin -= last;
      }
      parts.push_back(text.substr(begin));
      text = text.substr(0, begin);
    }
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const decoded_character c = decode_utf8(text.substr(at));
    const bool ends = (c.code_point >= 0x0A && c.code_point <= 0x0D) ||
                      (c.code_point >= 0x1C && c.code_point <= 0x1E) || c.code_point == 0x85 ||
                      c.code_point == 0x2028 || c.code_point == 0x2029;
    const std::size_t end = at;
    at += c.length;
    if (!ends) continue;
    if (c.code_point == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(text.substr(begin, end - begin));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string replace(std::string_view text, std::string_view from, std::string_view to, std::int64_t limit,
                    budget& limits) {
  text_builder out(limits);
  if (from.empty()) {  // Python puts it before every character and at the end
    for (; limit != 0 && !text.empty(); --limit) {
      const std::size_t length = decode_utf8(text).length;
      out.append(to);
      out.append(text.substr(0, length));
      text.remove_prefix(length);
    }
    if (limit != 0) out.append(to);
  } else {
    for (std::size_t at; limit != 0 && (at = text.find(from)) != std::string_view::npos; --limit) {
      out.append(text.substr(0, at));
      out.append(to);
      text.remove_prefix(at + from.size());
    }
  }
  out.append(text);
  return out.take();
}

slice_bounds resolve_slice(std::size_t length, std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
                           std::optional<std::int64_t> step) {
  const auto size = static_cast<std::int64_t>(length);
  // A step of the smallest integer could not be negated; any step beyond the length visits one item at most.
  const std::int64_t by = std::clamp<std::int64_t>(step.value_or(1), -size - 1, size + 1);
  if (step && *step == 0) fail("the step of a slice is 0; it must be another number");
  const std::int64_t lowest = by < 0 ? -1 : 0;
  const std::int64_t highest = by < 0 ? size - 1 : size;
  const auto resolve = [&](std::optional<std::int64_t> position, std::int64_t otherwise) {
    if (!position) return otherwise;
    return *position < 0 ? std::max(*position + size, lowest) : std::min(*position, highest);
  };
  const std::int64_t first = resolve(start, by < 0 ? highest : lowest);
  const std::int64_t last = resolve(stop, by < 0 ? lowest : highest);
  std::int64_t count = 0;
  if (by > 0 && first < last) count = (last - first - 1) / by + 1;
  if (by < 0 && last < first) count = (first - last - 1) / -by + 1;
  return {first, by, count};
}

}  // namespace troupe::jinja
