// Hostile templates: every limit is an error that says which, and no input whatever brings the program down.
#include "catch.hpp"
#include "render.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using nlohmann::ordered_json;
using troupe::chat_template;
using troupe::errc;
using troupe::try_render;

namespace {

#ifdef __SANITIZE_THREAD__
constexpr std::chrono::seconds limit{60};  // ThreadSanitizer makes everything about ten times as slow
#else
constexpr std::chrono::seconds limit{10};
#endif

std::string repeated(const std::string& text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i)
    all += text;
  return all;
}

/// The error's code; a template that succeeds, or takes longer than the limit, fails the test.
errc refusal(const std::string& source, std::size_t max_bytes = 8 << 20) {
  const auto begin = std::chrono::steady_clock::now();
  const auto text = try_render(source, ordered_json::object(), max_bytes);
  CHECK(std::chrono::steady_clock::now() - begin < limit);
  REQUIRE_FALSE(text);
  return text.error().code;
}

}  // namespace

TEST_CASE("a source is at most 64 KiB and nested at most 64 levels deep") {
  CHECK(chat_template::parse(std::string(65536, 'x')));
  CHECK(refusal(std::string(65537, 'x')) == errc::too_large);
  CHECK(try_render(repeated("{% if 1 %}", 60) + "x" + repeated("{% endif %}", 60)).value() == "x");
  const std::vector<std::pair<std::string, std::string>> brackets = {
      {"(", ")"}, {"[", "]"}, {"{1: ", "}"}, {"not ", ""}, {"- ", ""}, {"f(", ")"}, {"1 if 1 else ", ""}};
  for (const auto& [open, close] : brackets) {
    INFO(open);
    CHECK(refusal("{{ " + repeated(open, 1000) + "1" + repeated(close, 1000) + " }}") == errc::invalid_argument);
    CHECK(chat_template::parse("{{ " + repeated(open, 60) + "1" + repeated(close, 60) + " }}"));
  }
  CHECK(refusal(repeated("{% if 1 %}", 1000) + repeated("{% endif %}", 1000)) == errc::invalid_argument);
}

TEST_CASE("long chains of operators are refused before they could exhaust the stack") {
  for (const std::string link :
       {"+1", "-1", "*1", "**1", " and 1", " or 1", "|string", ".a", "[0]", "()", " if 1", " is string"}) {
    INFO(link);
    CHECK_FALSE(chat_template::parse("{{ 1" + repeated(link, 5000) + " }}"));
  }
  CHECK(try_render("{{ 1" + repeated("+1", 150) + " }}").value() == "151");
  CHECK(try_render("{{ 1" + repeated("~1", 5000) + " }}").value().size() == 5001);
  CHECK(try_render("{% if 0 %}" + repeated("{% elif 0 %}", 3000) + "{% else %}x{% endif %}").value() == "x");
}

TEST_CASE("endless work ends") {
  CHECK(refusal("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}") == errc::too_large);
  CHECK(refusal("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}") == errc::too_large);
  CHECK(refusal("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}") == errc::too_large);
  CHECK(refusal("{{ range(10000000) }}") == errc::too_large);
  CHECK(refusal("{% set x = range(100000)|list %}{% for a in x %}{% if a in x %}{% endif %}{% endfor %}") ==
        errc::too_large);
  CHECK(refusal("{% set x = 'a' * 8000000 %}{% for a in range(100000) %}{% if 'b' in x %}{% endif %}{% endfor %}") ==
        errc::too_large);
  CHECK(refusal("{% set x = 'a' * 8000000 %}{% for a in range(100000) %}{% if x[7] %}{% endif %}{% endfor %}") ==
        errc::too_large);
}

TEST_CASE("memory is bounded") {
  CHECK(refusal("{{ 'a' * 1000000000000 }}") == errc::too_large);
  CHECK(refusal("{{ [1] * 1000000000000 }}") == errc::too_large);
  CHECK(refusal("{{ '' * 9000000000000000000 ~ raise_exception('empty') }}") == errc::invalid_argument);
  CHECK(refusal("{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}") ==
        errc::too_large);
  CHECK(refusal("{% set n = namespace(s=[1]) %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}") ==
        errc::too_large);
  CHECK(
      refusal(
          "{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s|replace('a', n.s) %}{% endfor %}") ==
      errc::too_large);
  CHECK(refusal(
            "{% set n = namespace(s=[1]) %}{% for i in range(60) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}") ==
        errc::too_large);
  CHECK(refusal("{% set n = namespace(s=[1]) %}{% for i in range(60) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ "
                "n.s|tojson }}") == errc::too_large);
  CHECK(refusal("{% set n = namespace(s=[1]) %}{% for i in range(60) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s == "
                "[n.s] }}"
                "{% set m = namespace(s=[1]) %}{% for i in range(60) %}{% set m.s = [m.s, m.s] %}{% endfor %}{{ n.s == "
                "m.s }}") == errc::too_large);
  CHECK(refusal("{% for i in range(100000) %}{{ 'xxxxxxxxxx' }}{% endfor %}", 999'999) == errc::too_large);
  CHECK(try_render("{% for i in range(100) %}x{% endfor %}", ordered_json::object(), 100).value().size() == 100);
}

TEST_CASE("values that contain themselves, or nest without end, neither leak nor overflow the stack") {
  CHECK(try_render("{% set n = namespace() %}{% set n.n = n %}{% set n.l = [n] %}x").value() == "x");
  CHECK(refusal("{% set n = namespace() %}{% set n.n = n %}{{ n }}") == errc::too_large);
  CHECK(refusal("{% set n = namespace(s=[]) %}{% for i in range(100000) %}{% set n.s = [n.s] %}{% endfor %}") ==
        errc::too_large);
  CHECK(refusal("{% set n = namespace(s=[]) %}{% for i in range(100000) %}{% set n.s = [n.s.count] %}{% endfor %}") ==
        errc::too_large);
  CHECK(
      try_render("{% set n = namespace(s=1) %}{% for i in range(1000) %}{% set n.s = namespace(s=n.s) %}{% endfor %}x")
          .value() == "x");
  CHECK(try_render("{% macro m() %}{{ m }}{% endmacro %}{% set n = namespace(m=m) %}x").value() == "x");
  ordered_json deep = 1;
  for (int i = 0; i < 1000; ++i)
    deep = ordered_json::array({deep});
  const auto refused = try_render("x", {{"deep", deep}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::too_large);
}

TEST_CASE("integers at the edge of 64 bits are errors or exact, never undefined behaviour") {
  const std::string least = "(-9223372036854775807 - 1)";
  for (const std::string tail : {"|abs", " // -1", " * -1", " - 1", " ** 2"}) {
    INFO(tail);
    CHECK(refusal("{{ " + least + tail + " }}") == errc::invalid_argument);
  }
  CHECK(refusal("{{ -" + least + " }}") == errc::invalid_argument);
  CHECK(refusal("{{ 99999999999999999999 }}") == errc::invalid_argument);
  CHECK(refusal("{{ '99999999999999999999'|int }}") == errc::invalid_argument);
  CHECK(try_render("{{ " + least + " % -1 }}").value() == "0");
  CHECK(
      try_render("{{ 'abc'[" + least + ":9223372036854775807:" + least + "] }}|{{ 'abc'[::" + least + "] }}").value() ==
      "|c");
  CHECK(try_render("{{ range(9223372036854775806, 9223372036854775807, 5)|list }}").value() == "[9223372036854775806]");
}

TEST_CASE("random bytes and mutated templates end in text or an error") {
  std::mt19937_64 random(20240615);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  std::vector<std::string> sources;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(std::getenv("TROUPE_TEST_DATA")) + "/templates")) {
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    sources.push_back(text.str());
  }
  REQUIRE(sources.size() >= 10);
  const std::vector<std::string> pieces = {
      "{{",   "}}", "{%",   "%}",          "{#",       "#}",          "-",      "(",    ")", "[", "]",  "|", ".",
      "'",    "\"", "\\",   " if ",        " else ",   "for x in ",   "endfor", "set ", "~", "*", "//", "1", "none",
      "loop", "\n", "\xff", "{% endif %}", "messages", "namespace()", " is ",   ":",    ",", "{", "}"};
  const ordered_json context = {
      {"messages",
       {{{"role", "system"}, {"content", "s"}},
        {{"role", "user"}, {"content", "u"}},
        {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", ordered_json::array()}}}},
      {"bos_token", "<s>"},
      {"add_generation_prompt", true}};
  std::size_t parsed_count = 0;
  std::size_t rendered = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string source;
    if (i % 4 == 0) {
      for (std::size_t n = below(40); n > 0; --n)
        source += below(3) == 0 ? std::string(1, static_cast<char>(below(256))) : pieces[below(pieces.size())];
    } else {
      source = sources[below(sources.size())];
      for (std::size_t n = 1 + below(3); n > 0; --n) {
        const std::size_t at = below(source.size());
        switch (below(3)) {
          case 0:
            source.erase(at, 1 + below(8));
            break;
          case 1:
            source.insert(at, pieces[below(pieces.size())]);
            break;
          default:
            source.insert(at, source.substr(below(source.size()), below(60)));
        }
      }
    }
    const auto parsed = chat_template::parse(source);
    if (!parsed) {
      CHECK_FALSE(parsed.error().message.empty());
      continue;
    }
    ++parsed_count;
    if ((*parsed)->render(context, 1 << 16)) ++rendered;
  }
  // The test is only worth something while mutants get past the parser.
  CHECK(parsed_count > 2'000);
  CHECK(rendered > 1'000);
}
