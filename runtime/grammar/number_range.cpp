#include "runtime/grammar/number_range.hpp"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

namespace troupe::grammar {
namespace {

constexpr std::size_t most_digits = 40;

bool is_less_magnitude(const decimal& a, const decimal& b) {
  if (a.whole.size() != b.whole.size()) return a.whole.size() < b.whole.size();
  if (a.whole != b.whole) return a.whole < b.whole;
  return a.fraction < b.fraction;  // a missing digit is a zero, and no fraction ends in one
}

// A whole number's text, one more or one less; not below zero.
std::string plus_one(std::string digits) {
  std::size_t i = digits.size();
  while (i > 0 && digits[i - 1] == '9')
    digits[--i] = '0';
  if (i == 0) return "1" + digits;
  ++digits[i - 1];
  return digits;
}

std::string minus_one(std::string digits) {
  std::size_t i = digits.size();
  while (digits[i - 1] == '0')
    digits[--i] = '9';
  --digits[i - 1];
  const auto first = digits.find_first_not_of('0');
  return first == std::string::npos ? "0" : digits.substr(first);
}

bool is_less_whole(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

// Magnitudes between two bounds, digit by digit. `low_binds`: so far the digits equal the lower bound's, which still
// has to be kept to.
class magnitude_writer {
 public:
  magnitude_writer(rule_set& rules, json_shapes& shapes, bool only_integers, std::uint32_t max_fraction)
      : rules_(rules), shapes_(shapes), only_integers_(only_integers), max_fraction_(max_fraction) {}

  expression_id between(const number_bound& low, const number_bound& high) {
    if (only_integers_) return integers(low, high);
    std::vector<expression_id> ways;
    const bool is_one = low.at.whole == high.at.whole;
    ways.push_back(rules_.sequence({rules_.literal(low.at.whole), fraction(&low, is_one ? &high : nullptr)}));
    if (is_less_whole(low.at.whole, high.at.whole)) {
      ways.push_back(rules_.sequence({rules_.literal(high.at.whole), fraction(nullptr, &high)}));
      const std::string first = plus_one(low.at.whole), last = minus_one(high.at.whole);
      if (!is_less_whole(last, first)) ways.push_back(rules_.sequence({wholes(first, last), any_fraction()}));
    }
    return rules_.choice(std::move(ways));
  }

 private:
  expression_id never() { return rules_.choice({}); }
  expression_id digit(char first, char last) {
    return rules_.character({{static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last)}});
  }

  expression_id integers(const number_bound& low, const number_bound& high) {
    std::string first = low.at.whole, last = high.at.whole;
    if (!low.at.fraction.empty() || low.exclusive) first = plus_one(first);
    if (high.at.fraction.empty() && high.exclusive) {
      if (last == "0") return never();
      last = minus_one(last);
    }
    return is_less_whole(last, first) ? never() : wholes(first, last);
  }

  // One choice for each number of digits.
  expression_id wholes(const std::string& first, const std::string& last) {
    std::vector<expression_id> ways;
    for (std::size_t n = first.size(); n <= last.size(); ++n) {
      const std::string low = n == first.size() ? first : "1" + std::string(n - 1, '0');
      const std::string high = n == last.size() ? last : std::string(n, '9');
      ways.push_back(whole_digits(low, high, 0, true, true));
    }
    return rules_.choice(std::move(ways));
  }

  expression_id whole_digits(const std::string& low, const std::string& high, std::size_t at, bool low_binds,
                             bool high_binds) {
    const auto left = static_cast<std::uint32_t>(low.size() - at);
    if (left == 0) return rules_.literal("");
    if (!low_binds && !high_binds) return shapes_.digits(left, left);
    const auto rest = [&](bool low_still, bool high_still) {
      return whole_digits(low, high, at + 1, low_still, high_still);
    };
    return with_digit(low_binds ? low[at] : '0', high_binds ? high[at] : '9', low_binds, high_binds, rest);
  }

  // A digit from least to most, and what may follow it: bound by what still equals a bound.
  template <class Rest>
  expression_id with_digit(char least, char most, bool low_binds, bool high_binds, Rest&& rest) {
    if (least > most) return never();
    if (least == most) return rules_.sequence({digit(least, least), rest(low_binds, high_binds)});
    std::vector<expression_id> ways;
    if (low_binds) ways.push_back(rules_.sequence({digit(least, least), rest(true, false)}));
    if (high_binds) ways.push_back(rules_.sequence({digit(most, most), rest(false, true)}));
    const char first = low_binds ? static_cast<char>(least + 1) : least;
    const char last = high_binds ? static_cast<char>(most - 1) : most;
    if (first <= last) ways.push_back(rules_.sequence({digit(first, last), rest(false, false)}));
    return rules_.choice(std::move(ways));
  }

  expression_id any_fraction() {
    return rules_.optional(rules_.sequence({rules_.literal("."), shapes_.digits(1, max_fraction_)}));
  }

  // The point and what follows it, or nothing; bounds that are null do not bind.
  expression_id fraction(const number_bound* low, const number_bound* high) {
    std::vector<expression_id> ways;
    if (may_end(low, high, 0)) ways.push_back(rules_.literal(""));
    ways.push_back(rules_.sequence({rules_.literal("."), fraction_digits(low, high, 0)}));
    return rules_.choice(std::move(ways));
  }

  static bool may_end(const number_bound* low, const number_bound* high, std::size_t at) {
    if (low != nullptr && (at < low->at.fraction.size() || low->exclusive)) return false;
    return high == nullptr || at < high->at.fraction.size() || !high->exclusive;
  }

  // At least one more digit.
  expression_id fraction_digits(const number_bound* low, const number_bound* high, std::size_t at) {
    if (at >= max_fraction_) return never();
    if (low != nullptr && at >= low->at.fraction.size() && !low->exclusive) low = nullptr;  // it is kept to already
    const auto digit_of = [&](const number_bound& bound) {
      return at < bound.at.fraction.size() ? bound.at.fraction[at] : '0';
    };
    const auto rest = [&](bool low_still, bool high_still) {
      const auto* low_next = low_still ? low : nullptr;
      const auto* high_next = high_still ? high : nullptr;
      if (low_next == nullptr && high_next == nullptr)
        return shapes_.digits(0, max_fraction_ - 1 - static_cast<std::uint32_t>(at));
      std::vector<expression_id> ways;
      if (may_end(low_next, high_next, at + 1)) ways.push_back(rules_.literal(""));
      ways.push_back(fraction_digits(low_next, high_next, at + 1));
      return rules_.choice(std::move(ways));
    };
    return with_digit(low != nullptr ? digit_of(*low) : '0', high != nullptr ? digit_of(*high) : '9', low != nullptr,
                      high != nullptr, rest);
  }

  rule_set& rules_;
  json_shapes& shapes_;
  bool only_integers_;
  std::uint32_t max_fraction_;
};

// Most readers make a double of a number, and 0.99999999999999999 is 1 there. A double tells decimals of 15 digits
// apart, so no more are written next to a bound that must not be reached. Next to 0 there is no such danger.
std::uint32_t fraction_beside(const std::optional<number_bound>& bound) {
  constexpr std::size_t double_digits = 15;
  if (!bound || !bound->exclusive || bound->at.is_zero()) return max_fraction_digits;
  const std::size_t n_whole = std::min(bound->at.whole.size(), double_digits - 1);
  const std::size_t n = std::max(double_digits - n_whole, bound->at.fraction.size() + 1);
  return static_cast<std::uint32_t>(std::min<std::size_t>(n, max_fraction_digits));
}

// The bound without its sign, within what is ever written.
number_bound magnitude(const number_bound& bound) {
  number_bound made = bound;
  made.at.negative = false;
  return made;
}

const number_bound& largest() {
  static const number_bound bound{{false, std::string(max_integer_digits, '9'), std::string(max_fraction_digits, '9')},
                                  false};
  return bound;
}

}  // namespace

std::optional<decimal> parse_decimal(std::string_view text) {
  decimal made;
  if (text.starts_with('-')) {
    made.negative = true;
    text.remove_prefix(1);
  }
  int exponent = 0;
  if (const auto e = text.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view digits = text.substr(e + 1);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    text = text.substr(0, e);
  }
  const auto point = text.find('.');
  std::string whole(text.substr(0, point));
  std::string fraction(point == std::string_view::npos ? "" : text.substr(point + 1));
  if (exponent > static_cast<int>(most_digits) || exponent < -static_cast<int>(most_digits)) return std::nullopt;
  for (; exponent > 0; --exponent) {
    whole += fraction.empty() ? '0' : fraction[0];
    if (!fraction.empty()) fraction.erase(0, 1);
  }
  for (; exponent < 0; ++exponent) {
    fraction.insert(0, 1, whole.empty() ? '0' : whole.back());
    if (!whole.empty()) whole.pop_back();
  }
  const auto first = whole.find_first_not_of('0');
  made.whole = first == std::string::npos ? "0" : whole.substr(first);
  const auto last = fraction.find_last_not_of('0');
  made.fraction = last == std::string::npos ? "" : fraction.substr(0, last + 1);
  if (made.whole.size() + made.fraction.size() > 2 * most_digits) return std::nullopt;
  if (made.is_zero()) made.negative = false;
  return made;
}

bool is_less(const decimal& a, const decimal& b) {
  if (a.negative != b.negative) return a.negative;
  return a.negative ? is_less_magnitude(b, a) : is_less_magnitude(a, b);
}

expression_id number_between(rule_set& rules, json_shapes& shapes, const std::optional<number_bound>& low,
                             const std::optional<number_bound>& high, bool only_integers) {
  magnitude_writer writer(rules, shapes, only_integers, std::min(fraction_beside(low), fraction_beside(high)));
  const auto between = [&](number_bound from, number_bound to) {
    if (is_less(largest().at, to.at)) to = largest();
    if (is_less(to.at, from.at)) return rules.choice({});
    return writer.between(from, to);
  };
  const number_bound zero{};
  std::vector<expression_id> ways;
  if (!high || !high->at.negative)
    ways.push_back(between(low && !low->at.negative ? *low : zero, high ? *high : largest()));
  if (!low || low->at.negative) {
    const bool from_zero = !high || !high->at.negative;  // minus zero is not written
    ways.push_back(rules.sequence({rules.literal("-"), between(from_zero ? number_bound{{}, true} : magnitude(*high),
                                                               low ? magnitude(*low) : largest())}));
  }
  return rules.choice(std::move(ways));
}

}  // namespace troupe::grammar
