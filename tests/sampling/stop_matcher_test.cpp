#include "runtime/sampling/stop_matcher.hpp"

#include "base/random.hpp"
#include "base/utf8.hpp"
#include "catch.hpp"

#include <algorithm>
#include <optional>

using namespace troupe;

namespace {

// The definition, word for word: the first byte at which a stop string is complete; there, the longest.
std::optional<std::string> brute_force(const std::string& text, const std::vector<std::string>& stops, bool include) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const auto& stop : stops)
      if (!stop.empty() && text.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
    if (longest > 0) return text.substr(0, include ? end : end - longest);
  }
  return std::nullopt;
}

// The longest suffix that is a proper beginning of a stop string: nothing less may be held back, and nothing more.
std::size_t suffix_to_hold(const std::string& text, const std::vector<std::string>& stops) {
  std::size_t longest = 0;
  for (const auto& stop : stops)
    for (std::size_t n = 1; n < stop.size() && n <= text.size(); ++n)
      if (text.ends_with(stop.substr(0, n))) longest = std::max(longest, n);
  return longest;
}

std::string random_text(random_stream& random, std::size_t n_characters) {
  static const std::array<std::string, 4> characters{"a", "b", "é", "日"};
  std::string text;
  while (n_characters-- > 0)
    text += characters[random.below(characters.size())];
  return text;
}

}  // namespace

TEST_CASE("a matcher equals the definition, however the text is cut", "[sampling][stop_matcher]") {
  int n_matched = 0;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    random_stream random(seed);
    std::vector<std::string> stops(random.below(4));
    for (auto& stop : stops)
      stop = random_text(random, random.below(5));
    const bool include = random.below(2) == 0;
    const std::string text = random_text(random, random.below(40));
    CAPTURE(seed, text, stops, include);
    const auto expected = brute_force(text, stops, include);

    stop_matcher matcher(stops, include);
    std::string given, seen;
    for (std::size_t at = 0; at < text.size() && !matcher.matched();) {
      const std::size_t n = std::min<std::size_t>(text.size() - at, 1 + random.below(6));
      given += matcher.push(std::string_view(text).substr(at, n));
      at += n;
      seen = text.substr(0, at);
      if (!matcher.matched()) REQUIRE(given == seen.substr(0, seen.size() - suffix_to_hold(seen, stops)));
      // A match is told with the piece that completes it.
      REQUIRE(matcher.matched() == brute_force(seen, stops, include).has_value());
    }
    given += matcher.finish();
    CHECK(matcher.matched() == expected.has_value());
    CHECK(given == expected.value_or(text));
    n_matched += matcher.matched();
  }
  CHECK(n_matched > 1000);
}

TEST_CASE("which stop string wins", "[sampling][stop_matcher]") {
  const auto run = [](const std::vector<std::string>& stops, std::string_view text, bool include = false) {
    stop_matcher matcher(stops, include);
    std::string out = matcher.push(text);
    return out + matcher.finish() + (matcher.matched() ? "|" : "");
  };
  CHECK(run({"abcd", "bc"}, "xabcd") == "xa|");        // the first that is complete
  CHECK(run({"c", "bc", "abc"}, "xabcd") == "x|");     // the longest of those complete together
  CHECK(run({"aab"}, "aaab") == "a|");                 // a false start goes on inside itself
  CHECK(run({"\n\n"}, "one\ntwo\n") == "one\ntwo\n");  // held back, then given out
  CHECK(run({"END"}, "theEND.", true) == "theEND|");
  CHECK(run({""}, "text") == "text");
  CHECK(run({}, "text") == "text");
}

TEST_CASE("nothing comes after a match", "[sampling][stop_matcher]") {
  const std::vector<std::string> stops{"."};
  stop_matcher matcher(stops);
  CHECK(matcher.push("a.b") == "a");
  CHECK(matcher.push("c") == "");
  CHECK(matcher.finish() == "");
}
