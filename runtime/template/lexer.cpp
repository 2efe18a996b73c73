#include "runtime/template/lexer.hpp"

#include "base/utf8.hpp"
#include "runtime/template/failure.hpp"
#include "runtime/template/strings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

namespace troupe::jinja {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_name_part(char c) {
  return is_name_start(c) || is_digit(c);
}

std::size_t leading_space(std::string_view text) {
  return text.size() - strip(text, side::left, std::nullopt).size();
}

/// "\r\n" and "\r" become "\n", and one newline at the very end goes.
std::string normalize(std::string_view source) {
  std::string text;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class lexer {
 public:
  explicit lexer(std::string_view source) : source_(normalize(source)) {}

  std::vector<token> run() {
    while (at_ < source_.size()) {
      const std::size_t tag = find_tag();
      if (tag == std::string::npos) {
        emit_data(rest());
        advance(source_.size() - at_);
        break;
      }
      lex_tag(tag);
    }
    emit(token_kind::end, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail_here(const std::string& message) const {
    fail("line " + std::to_string(line_) + ": " + message);
  }

  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  bool next_is(std::string_view text) const { return rest().starts_with(text); }

  void advance(std::size_t count) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + count), '\n'));
    if (count > 0) line_starting_ = source_[at_ + count - 1] == '\n';
    at_ += count;
  }

  void emit(token_kind kind, std::string_view text) { tokens_.push_back({kind, std::string(text), line_}); }
  void emit_data(std::string_view text) {
    if (!text.empty()) emit(token_kind::data, text);
  }

  std::size_t find_tag() const {
    for (std::size_t i = source_.find('{', at_); i != std::string::npos && i + 1 < source_.size();
         i = source_.find('{', i + 1)) {
      if (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#') return i;
    }
    return std::string::npos;
  }

  /// The data before a tag, less the white space that the tag takes away.
  std::string_view data_before(std::size_t tag, char sign, bool strips_line) const {
    const std::string_view data = std::string_view(source_).substr(at_, tag - at_);
    if (sign == '-') return strip(data, side::right, std::nullopt);
    if (sign == '+' || !strips_line) return data;
    const std::size_t newline = data.rfind('\n');
    const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    const bool begins_line = newline != std::string_view::npos || line_starting_;
    const bool only_space = strip(data.substr(line), side::left, std::nullopt).empty();
    return begins_line && only_space ? data.substr(0, line) : data;
  }

  char sign_at(std::size_t position) const {
    return position < source_.size() && (source_[position] == '-' || source_[position] == '+') ? source_[position]
                                                                                               : '\0';
  }

  void lex_tag(std::size_t tag) {
    const char type = source_[tag + 1];
    const char sign = sign_at(tag + 2);
    emit_data(data_before(tag, sign, type != '{'));
    advance(tag - at_ + 2 + (sign != '\0' ? 1 : 0));
    if (type == '#') return skip_comment();
    if (type == '%' && skip_raw_begin()) return lex_raw();
    const bool is_block = type == '%';
    emit(is_block ? token_kind::block_begin : token_kind::variable_begin, "");
    lex_inside(is_block);
  }

  void skip_comment() {
    const std::size_t end = source_.find("#}", at_);
    if (end == std::string::npos) fail_here("the comment that begins here has no end: #} is missing");
    const char sign = end > at_ ? sign_at(end - 1) : '\0';
    advance(end + 2 - at_);
    skip_space_after(sign, true);
  }

  /// What a closed tag takes of the text after it.
  void skip_space_after(char sign, bool trims_newline) {
    if (sign == '-') {
      advance(leading_space(rest()));
    } else if (sign != '+' && trims_newline && next_is("\n")) {
      advance(1);
    }
  }

  /// At "raw %}", skips it.
  bool skip_raw_begin() {
    std::string_view text = strip(rest(), side::left, std::nullopt);
    if (!text.starts_with("raw")) return false;
    text = strip(text.substr(3), side::left, std::nullopt);
    const bool strips = text.starts_with("-%}");
    if (!strips && !text.starts_with("%}")) return false;
    text.remove_prefix(strips ? 3 : 2);
    advance(rest().size() - text.size());
    if (strips) advance(leading_space(rest()));
    return true;
  }

  void lex_raw() {
    for (std::size_t tag = source_.find("{%", at_); tag != std::string::npos; tag = source_.find("{%", tag + 2)) {
      const char sign = sign_at(tag + 2);
      std::string_view text = std::string_view(source_).substr(tag + 2 + (sign != '\0' ? 1 : 0));
      text = strip(text, side::left, std::nullopt);
      if (!text.starts_with("endraw")) continue;
      text = strip(text.substr(6), side::left, std::nullopt);
      const char end_sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? text[0] : '\0';
      if (end_sign != '\0') text.remove_prefix(1);
      if (!text.starts_with("%}")) continue;
      emit_data(data_before(tag, sign, true));
      advance(rest().size() - (text.size() - 2));
      return skip_space_after(end_sign, true);
    }
    fail_here("the raw block that begins here has no end: {% endraw %} is missing");
  }

  void lex_inside(bool is_block) {
    const int opened = line_;
    std::string brackets;
    const std::string_view closing = is_block ? "%}" : "}}";
    while (true) {
      advance(leading_space(rest()));
      if (at_ >= source_.size()) {
        line_ = opened;
        fail_here("the tag that begins here has no end: " + std::string(closing) + " is missing");
      }
      if (brackets.empty() && close_tag(is_block, closing)) return;
      const char c = source_[at_];
      if (is_name_start(c)) {
        lex_name();
      } else if (is_digit(c)) {
        lex_number();
      } else if (c == '\'' || c == '"') {
        lex_string(c);
      } else {
        lex_symbol(brackets);
      }
    }
  }

  bool close_tag(bool is_block, std::string_view closing) {
    char sign = sign_at(at_);
    if (sign == '+' && !is_block) sign = '\0';
    if (!rest().substr(sign != '\0' ? 1 : 0).starts_with(closing)) return false;
    emit(is_block ? token_kind::block_end : token_kind::variable_end, "");
    advance(closing.size() + (sign != '\0' ? 1 : 0));
    skip_space_after(sign, is_block);
    return true;
  }

  void lex_name() {
    std::size_t end = at_;
    while (end < source_.size() && is_name_part(source_[end]))
      ++end;
    emit(token_kind::name, rest().substr(0, end - at_));
    advance(end - at_);
  }

  std::string take_digits(std::size_t& end, bool (*accepts)(char)) const {
    std::string digits;
    while (end < source_.size()) {
      if (accepts(source_[end])) {
        digits += source_[end++];
      } else if (source_[end] == '_' && end + 1 < source_.size() && accepts(source_[end + 1]) && !digits.empty()) {
        ++end;
      } else {
        break;
      }
    }
    return digits;
  }

  void lex_number() {
    std::size_t end = at_;
    const char letter =
        source_[at_] == '0' && at_ + 2 < source_.size() ? static_cast<char>(source_[at_ + 1] | 0x20) : '\0';
    if (letter == 'x' || letter == 'o' || letter == 'b') {
      end += 2;
      const std::string digits =
          take_digits(end, [](char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); });
      return emit_integer(digits, letter == 'x' ? 16 : letter == 'o' ? 8 : 2, end);
    }
    std::string digits = take_digits(end, is_digit);
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    if (after_dot) return emit_integer(digits, 10, end);
    bool is_real = false;
    if (end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1])) {
      is_real = true;
      ++end;
      digits += '.' + take_digits(end, is_digit);
    }
    if (end < source_.size() && (source_[end] | 0x20) == 'e') {
      std::size_t after = end + 1;
      const char sign = sign_at(after);
      if (sign != '\0') ++after;
      const std::string exponent = take_digits(after, is_digit);
      if (!exponent.empty()) {
        is_real = true;
        end = after;
        digits += 'e';
        if (sign != '\0') digits += sign;
        digits += exponent;
      }
    }
    if (!is_real) return emit_integer(digits, 10, end);
    emit(token_kind::real, digits);
    tokens_.back().real = std::strtod(digits.c_str(), nullptr);
    advance(end - at_);
  }

  void emit_integer(const std::string& digits, int base, std::size_t end) {
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
    if (error == std::errc::result_out_of_range)
      fail_here("the integer " + digits.substr(0, 40) + " does not fit 64 bits");
    if (error != std::errc{} || stop != digits.data() + digits.size()) fail_here("a number is written wrongly");
    if (base == 10 && digits.size() > 1 && digits.front() == '0' && number != 0) fail_here("an integer begins with 0");
    emit(token_kind::integer, digits);
    tokens_.back().integer = number;
    advance(end - at_);
  }

  void lex_string(char quote) {
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote)
      end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail_here("the string that begins here has no end");
    std::string text = unescape(rest().substr(1, end - at_ - 1));
    emit(token_kind::string, "");
    tokens_.back().text = std::move(text);
    advance(end + 1 - at_);
  }

  std::string unescape(std::string_view text) const {
    std::string out;
    while (!text.empty()) {
      if (text.front() != '\\') {
        out += text.front();
        text.remove_prefix(1);
      } else {
        text.remove_prefix(1);
        unescape_one(out, text);
      }
    }
    return out;
  }

  /// After a backslash.
  void unescape_one(std::string& out, std::string_view& text) const {
    constexpr std::string_view letters = "abfnrtv\\'\"";
    constexpr std::string_view meanings = "\a\b\f\n\r\t\v\\'\"";
    const char c = text.front();
    if (const std::size_t known = letters.find(c); known != std::string_view::npos) {
      out += meanings[known];
      text.remove_prefix(1);
    } else if (c == '\n') {
      text.remove_prefix(1);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      text.remove_prefix(1);
      take_code_point(out, text, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16, true);
    } else if (c >= '0' && c <= '7') {
      take_code_point(out, text, 3, 8, false);
    } else if (c == 'N') {
      fail_here("names of characters (\\N{...}) are not supported in strings");
    } else {
      out += '\\';  // Python keeps the backslash of an escape it does not know
    }
  }

  void take_code_point(std::string& out, std::string_view& text, std::size_t digits, int base, bool all) const {
    std::uint32_t number = 0;
    const char* begin = text.data();
    const auto [end, error] = std::from_chars(begin, begin + std::min(digits, text.size()), number, base);
    const auto used = static_cast<std::size_t>(end - begin);
    if (error != std::errc{} || (all && used != digits) || number > 0x10FFFF || (number >= 0xD800 && number < 0xE000)) {
      fail_here("an escape in a string names no character");
    }
    append_utf8(out, static_cast<char32_t>(number));
    text.remove_prefix(used);
  }

  void lex_symbol(std::string& brackets) {
    constexpr std::array<std::string_view, 6> pairs = {"//", "**", "==", "!=", ">=", "<="};
    constexpr std::string_view singles = "+-/*%~[](){}><=.:|,;";
    std::string_view symbol = rest().substr(0, 2);
    if (std::find(pairs.begin(), pairs.end(), symbol) == pairs.end()) symbol = symbol.substr(0, 1);
    const char c = symbol.front();
    if (symbol.size() == 1 && singles.find(c) == std::string_view::npos) {
      fail_here("unexpected character '" + std::string(rest().substr(0, decode_utf8(rest()).length)) + "'");
    }
    if (c == '(' || c == '[' || c == '{') {
      brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
      if (brackets.empty() || brackets.back() != c) fail_here("unexpected '" + std::string(symbol) + "'");
      brackets.pop_back();
    }
    emit(token_kind::symbol, symbol);
    advance(symbol.size());
  }

  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // the text up to here ends a line
  std::vector<token> tokens_;
};

}  // namespace

std::vector<token> tokenize(std::string_view source) {
  return lexer(source).run();
}

}  // namespace troupe::jinja
