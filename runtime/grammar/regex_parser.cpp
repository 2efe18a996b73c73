#include "runtime/grammar/regex_parser.hpp"

#include "base/utf8.hpp"
#include "runtime/grammar/failure.hpp"
#include "runtime/grammar/limits.hpp"

#include <optional>
#include <utility>
#include <vector>

namespace troupe::grammar {
namespace {

const code_set digit_set{{'0', '9'}};
const code_set word_set{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const code_set line_ends{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

code_set space_set() {
  return normalized({{'\t', '\r'},
                     {' ', ' '},
                     {0xA0, 0xA0},
                     {0x1680, 0x1680},
                     {0x2000, 0x200A},
                     {0x2028, 0x2029},
                     {0x202F, 0x202F},
                     {0x205F, 0x205F},
                     {0x3000, 0x3000},
                     {0xFEFF, 0xFEFF}});
}

class parser {
 public:
  parser(rule_set& rules, json_shapes& shapes, std::string_view pattern, const std::string& pointer)
      : rules_(rules), shapes_(shapes), pattern_(pattern), pointer_(pointer) {}

  expression_id run() {
    const expression_id made = parse_choice(0);
    if (!at_end()) wrong("it has a \")\" too many");
    return made;
  }

 private:
  [[noreturn]] void wrong(const std::string& what) const {
    fail("the pattern is no regular expression: " + what + ", at its byte " + std::to_string(at_),
         errc::invalid_argument, pointer_);
  }
  [[noreturn]] void refuse(const std::string& what) const {
    fail("patterns with " + what + " are not supported", errc::unsupported, pointer_);
  }

  bool at_end() const { return at_ >= pattern_.size(); }
  bool at(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  bool skip(std::string_view text) {
    if (!at(text)) return false;
    at_ += text.size();
    return true;
  }

  expression_id anything() { return rules_.repeat(shapes_.character(complement({})), 0, unbounded); }

  expression_id parse_choice(int nesting) {
    std::vector<expression_id> branches;
    do {
      branches.push_back(parse_branch(nesting));
    } while (skip("|"));
    return rules_.choice(std::move(branches));
  }

  // Only branches outside groups carry anchors and are searched for.
  expression_id parse_branch(int nesting) {
    std::vector<expression_id> parts;
    const bool from_begin = nesting == 0 && skip("^");
    bool to_end = false;
    if (nesting == 0 && !from_begin) parts.push_back(anything());
    while (!at_end() && !at("|") && !at(")")) {
      if (nesting == 0 && at("$") && (at_ + 1 == pattern_.size() || pattern_[at_ + 1] == '|')) {
        skip("$");
        to_end = true;
        break;
      }
      if (at("^") || at("$")) refuse("anchors that are not at the beginning or end");
      parts.push_back(parse_quantified(nesting));
    }
    if (nesting == 0 && !to_end) parts.push_back(anything());
    if (parts.empty()) return rules_.literal("");
    return rules_.sequence(std::move(parts));
  }

  expression_id parse_quantified(int nesting) {
    const expression_id atom = parse_atom(nesting);
    std::uint32_t min = 0, max = unbounded;
    if (skip("*")) {
    } else if (skip("+")) {
      min = 1;
    } else if (skip("?")) {
      max = 1;
    } else if (at("{")) {
      parse_bounds(min, max);
    } else {
      return atom;
    }
    skip("?");  // lazy: the same texts
    if (at("*") || at("+") || at("?") || at("{")) wrong("a quantifier follows a quantifier");
    return rules_.repeat(atom, min, max);
  }

  std::uint32_t parse_number() {
    if (at_end() || pattern_[at_] < '0' || pattern_[at_] > '9') wrong("a number is expected after \"{\"");
    std::uint32_t number = 0;
    for (; !at_end() && pattern_[at_] >= '0' && pattern_[at_] <= '9'; ++at_) {
      number = number * 10 + static_cast<std::uint32_t>(pattern_[at_] - '0');
      if (number > max_repetition)
        fail("a repetition in the pattern is bounded by " + std::to_string(max_repetition) + " at most",
             errc::too_large, pointer_);
    }
    return number;
  }

  void parse_bounds(std::uint32_t& min, std::uint32_t& max) {
    skip("{");
    min = max = parse_number();
    if (skip(",")) max = at("}") ? unbounded : parse_number();
    if (!skip("}")) wrong("a \"{\" is not closed");
    if (max < min) wrong("a quantifier ends before it begins");
  }

  expression_id parse_atom(int nesting) {
    if (skip("(")) return parse_group(nesting);
    if (skip("[")) return shapes_.character(parse_class());
    if (skip(".")) return shapes_.character(complement(line_ends));
    if (at("*") || at("+") || at("?") || at("{")) wrong("a quantifier has nothing before it");
    if (at("\\")) return shapes_.character(parse_escape());
    const std::uint32_t c = take();
    return shapes_.character({{c, c}});
  }

  expression_id parse_group(int nesting) {
    if (nesting >= max_source_nesting) fail("the pattern's groups are nested too deeply", errc::too_large, pointer_);
    if (at("?=") || at("?!") || at("?<=") || at("?<!")) refuse("look-around");
    if (skip("?<")) {
      while (!at_end() && !at(">"))
        ++at_;
      skip(">");
    } else if (at("?") && !skip("?:")) {
      refuse("this kind of group");
    }
    const expression_id inner = parse_choice(nesting + 1);
    if (!skip(")")) wrong("a \"(\" is not closed");
    return inner;
  }

  std::uint32_t take() {
    const auto c = decode_utf8(pattern_.substr(at_));
    at_ += c.length;
    return static_cast<std::uint32_t>(c.code_point);
  }

  code_set parse_class() {
    const bool negated = skip("^");
    std::vector<code_range> ranges;
    while (!skip("]")) {
      if (at_end()) wrong("a \"[\" is not closed");
      const code_set first = parse_class_part();
      if (!at("-") || at("-]") || first.size() != 1 || first[0].first != first[0].last) {
        ranges.insert(ranges.end(), first.begin(), first.end());
        continue;
      }
      skip("-");
      if (at_end()) wrong("a \"[\" is not closed");
      const code_set last = parse_class_part();
      if (last.size() != 1 || last[0].first != last[0].last || last[0].first < first[0].first)
        wrong("a range in a class ends before it begins");
      ranges.push_back({first[0].first, last[0].last});
    }
    const code_set set = normalized(std::move(ranges));
    return negated ? complement(set) : set;
  }

  code_set parse_class_part() {
    if (skip("\\b")) return {{'\b', '\b'}};
    if (at("\\")) return parse_escape();
    const std::uint32_t c = take();
    return {{c, c}};
  }

  code_set parse_escape() {
    skip("\\");
    if (at_end()) wrong("it ends in a backslash");
    const std::uint32_t c = take();
    switch (c) {
      case 'd':
        return digit_set;
      case 'D':
        return complement(digit_set);
      case 'w':
        return word_set;
      case 'W':
        return complement(word_set);
      case 's':
        return space_set();
      case 'S':
        return complement(space_set());
      case 't':
        return {{'\t', '\t'}};
      case 'n':
        return {{'\n', '\n'}};
      case 'r':
        return {{'\r', '\r'}};
      case 'f':
        return {{'\f', '\f'}};
      case 'v':
        return {{'\v', '\v'}};
      case '0':
        return {{0, 0}};
      case 'x':
        return parse_hex(2);
      case 'u':
        return skip("{") ? parse_braced_hex() : parse_hex(4);
      default:
        break;
    }
    if ((c >= '1' && c <= '9') || c == 'k') refuse("back references");
    if (c == 'b' || c == 'B') refuse("word boundaries");
    if (c == 'p' || c == 'P') refuse("Unicode properties");
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) wrong("it has an unknown escape");
    return {{c, c}};
  }

  std::uint32_t parse_hex_digit() {
    const char c = at_end() ? ' ' : pattern_[at_++];
    if (c >= '0' && c <= '9') return static_cast<std::uint32_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<std::uint32_t>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<std::uint32_t>(c - 'A' + 10);
    wrong("an escape lacks hexadecimal digits");
  }

  code_set character_of(std::uint32_t value) {
    if (value > max_code_point || (value >= 0xD800 && value <= 0xDFFF)) refuse("surrogates");
    return {{value, value}};
  }

  code_set parse_hex(int n_digits) {
    std::uint32_t value = 0;
    for (; n_digits > 0; --n_digits)
      value = value * 16 + parse_hex_digit();
    return character_of(value);
  }

  code_set parse_braced_hex() {
    std::uint32_t value = 0;
    while (!skip("}")) {
      value = value * 16 + parse_hex_digit();
      if (value > max_code_point) refuse("characters past U+10FFFF");
    }
    return character_of(value);
  }

  rule_set& rules_;
  json_shapes& shapes_;
  std::string_view pattern_;
  const std::string& pointer_;
  std::size_t at_ = 0;
};

}  // namespace

expression_id parse_regex(rule_set& rules, json_shapes& shapes, std::string_view pattern, const std::string& pointer) {
  return parser(rules, shapes, pattern, pointer).run();
}

}  // namespace troupe::grammar
