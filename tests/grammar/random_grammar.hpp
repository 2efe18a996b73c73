// Small random grammars, and vocabularies for them whose tokens cut characters in two.
#pragma once

#include "base/random.hpp"
#include "base/utf8.hpp"
#include "runtime/grammar/expression.hpp"
#include "runtime/grammar/rule_analysis.hpp"

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace troupe::test {

inline const std::vector<std::string>& alphabet() {
  static const std::vector<std::string> characters{"a", "b", "c", "é", "è", "日", "😀"};
  return characters;
}

class random_grammar {
 public:
  explicit random_grammar(random_stream& random) : random_(random) {}

  /// Without left recursion; whether any text matches is left to chance.
  grammar::rule_set make() {
    for (;;) {
      rules_ = {};
      const std::size_t n_rules = 1 + random_.below(4);
      for (std::size_t i = 0; i < n_rules; ++i) {
        const auto id = rules_.declare("r" + std::to_string(i));
        rules_.rule_at(id).inlinable = random_.below(3) > 0;
      }
      for (grammar::rule_id id = 0; id < n_rules; ++id)
        rules_.define(id, expression(3));
      if (grammar::find_left_recursion(rules_) == grammar::nothing) return std::move(rules_);
    }
  }

 private:
  std::string character() { return alphabet()[random_.below(alphabet().size())]; }

  grammar::expression_id set() {
    std::vector<grammar::code_range> ranges;
    for (std::uint64_t n = 1 + random_.below(3); n > 0; --n) {
      const auto first = static_cast<std::uint32_t>(decode_utf8(character()).code_point);
      ranges.push_back({first, first + static_cast<std::uint32_t>(random_.below(3) * random_.below(40))});
    }
    auto made = grammar::normalized(std::move(ranges));
    return rules_.character(random_.below(6) == 0 ? grammar::complement(made) : made);
  }

  std::vector<grammar::expression_id> several(int depth) {
    std::vector<grammar::expression_id> made;
    for (std::uint64_t n = 1 + random_.below(3); n > 0; --n)
      made.push_back(expression(depth - 1));
    return made;
  }

  grammar::expression_id expression(int depth) {
    const std::uint64_t kind = random_.below(depth > 0 ? 10 : 4);
    if (kind == 0) return rules_.literal(random_.below(4) == 0 ? "" : character() + character());
    if (kind == 1) return rules_.literal(character());
    if (kind == 2) return set();
    if (kind == 3) return rules_.call(static_cast<grammar::rule_id>(random_.below(rules_.n_rules())));
    if (kind <= 5) return rules_.sequence(several(depth));
    if (kind <= 7) return rules_.choice(several(depth));
    if (kind == 8) {
      const auto min = static_cast<std::uint32_t>(random_.below(3));
      const bool bounded = random_.below(2) == 0;
      return rules_.repeat(expression(depth - 1), min,
                           bounded ? min + static_cast<std::uint32_t>(random_.below(3)) : grammar::unbounded);
    }
    auto children = several(depth);
    std::vector<bool> optional;
    for (std::size_t i = 0; i < children.size(); ++i)
      optional.push_back(random_.below(2) == 0);
    const auto omits = random_.below(2) == 0 ? grammar::omission::skip : grammar::omission::stop;
    return rules_.joined(std::move(children), std::move(optional), expression(0), omits);
  }

  random_stream& random_;
  grammar::rule_set rules_;
};

inline std::string random_text(random_stream& random, std::size_t n_characters) {
  std::string text;
  for (; n_characters > 0; --n_characters)
    text += alphabet()[random.below(alphabet().size())];
  return text;
}

/// All bytes of the alphabet, and cuts of random texts.
inline std::vector<std::string> random_vocabulary(random_stream& random) {
  std::vector<std::string> texts;
  for (int byte = 0; byte < 256; ++byte)
    texts.emplace_back(1, static_cast<char>(byte));
  for (int i = 0; i < 60; ++i) {
    const std::string text = random_text(random, 4);
    const std::size_t begin = random.below(text.size());
    texts.push_back(text.substr(begin, 1 + random.below(8)));
  }
  return texts;
}

}  // namespace troupe::test
