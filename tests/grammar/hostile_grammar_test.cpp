// Grammars made to hang or to eat memory: each is refused or compiled, and its masks are found or refused, in bounded
// time.
#include "catch.hpp"
#include "grammar/reading.hpp"

#include <chrono>

using namespace troupe;
using namespace troupe::test;

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string repeated(std::string_view text, std::size_t n) {
  std::string made;
  for (; n > 0; --n)
    made += text;
  return made;
}

std::string chain_of_rules(std::size_t n, std::string_view body) {
  std::string source = "root ::= r0\n";
  for (std::size_t i = 0; i < n; ++i) {
    std::string line(body);
    for (std::size_t at; (at = line.find('%')) != std::string::npos;)
      line.replace(at, 1, "r" + std::to_string(i + 1));
    source += "r" + std::to_string(i) + " ::= " + line + "\n";
  }
  return source + "r" + std::to_string(n) + " ::= \"x\"\n";
}

constexpr double seconds_allowed = 10;  // under sanitizers on a busy machine; it takes well under one

}  // namespace

TEST_CASE("hostile grammars take bounded time", "[grammar][hostile]") {
  struct row {
    std::string name;
    std::string source;
  };
  const row rows[] = {
      {"doubling rules", chain_of_rules(40, "% %")},
      {"doubling rules of choices", chain_of_rules(200, "% | \"a\" %")},
      {"a long chain", chain_of_rules(4000, "%")},
      {"too many rules", chain_of_rules(5000, "\"a\" %")},
      {"nested groups", "root ::= " + repeated("(", 100'000) + "\"a\"" + repeated(")", 100'000)},
      {"repetitions of repetitions", "root ::= ((((\"a\"{4000}){4000}){4000}){4000}){4000}"},
      {"repetitions of nothing", "root ::= ((((\"\"{4000}){4000}){4000}){4000}){4000} \"a\""},
      {"optional repetitions of optional repetitions", "root ::= (([a-c]{0,4000}){0,4000}){0,4000}"},
      {"stars of stars", "root ::= " + repeated("(", 60) + "\"a\"" + repeated(")*", 60)},
      {"exponential subsets", "root ::= [ab]* \"a\" [ab]{30}"},
      {"a long literal", "root ::= \"" + repeated("a", 200'000) + "\""},
      {"many alternatives", "root ::= " + repeated("[a-z]{3} \"x\" | ", 4000) + "\"y\""},
      {"many classes", "root ::= " + repeated("[\\u0100-\\u0200\\u0300\\u0305\\u0800-\\uFFFF] ", 3000)},
      {"ambiguous", "root ::= s\ns ::= \"a\" s s | \"a\" s | \"a\""},
      {"ambiguous pairs", "root ::= s\ns ::= \"a\" s \"b\" | \"a\" s \"c\" | \"a\" \"a\" s | \"x\""},
      {"hidden nothing", "root ::= s\ns ::= e e e \"a\" s e | \"a\"\ne ::= \"\" | \"a\" e"},
      {"long sets, each a little other", "root ::= (\"ab\" | \"a\"{1,4096} \"b\"?)*"},
      {"long sets of three rules", "root ::= a{4096} b\na ::= \"a\"* \"b\"?\nb ::= \"a\"* \"c\" | a"},
      {"too long", repeated("#", 300'000)},
      {"many unclosed", "root ::= " + repeated("(\"a\"|", 60)},
      {"an automaton as wide as it is long",
       "root ::= " + repeated("[\\x01-\\x7F]? ", 600) + repeated("[ace] | [bdf] ", 800)},
  };
  const auto tokens = make_tokens({"a", "b", "c", "x", "aa", "aaa", "ab", "abc", "aaaaaaaa", "xy", "\xc4\x80"});
  for (const auto& [name, source] : rows) {
    CAPTURE(name);
    const auto start = std::chrono::steady_clock::now();
    const auto compiled = compile_gbnf(source);
    CHECK(seconds_since(start) < seconds_allowed);
    if (!compiled) {
      INFO(compiled.error().message);
      CHECK((compiled.error().code == errc::too_large || compiled.error().code == errc::invalid_argument));
      continue;
    }
    CHECK((*compiled)->bytes() < 64 << 20);
    const auto matcher = std::make_shared<grammar_matcher>(*compiled, tokens);
    grammar_state state(matcher);
    for (int step = 0; step < 300; ++step) {
      std::vector<std::uint64_t> bits(tokens->mask_words());
      if (!state.mask(bits) || !state.accept(2)) break;
    }
    CHECK(seconds_since(start) < 2 * seconds_allowed);
  }
}

TEST_CASE("hostile schemas take bounded time", "[grammar][hostile][schema]") {
  std::string chain = "{\"$ref\":\"#/$defs/d0\",\"$defs\":{", fans = "{\"$ref\":\"#/$defs/d0\",\"$defs\":{";
  for (int i = 0; i < 2000; ++i)
    chain += "\"d" + std::to_string(i) + "\":{\"items\":{\"$ref\":\"#/$defs/d" + std::to_string(i + 1) + "\"}},";
  for (int i = 0; i < 40; ++i) {
    const std::string next = "{\"$ref\":\"#/$defs/d" + std::to_string(i + 1) + "\"}";
    fans += "\"d" + std::to_string(i) + "\":{\"allOf\":[" + next + "," + next + "]},";
  }
  std::string wide = "{\"properties\":{", keys = "{\"additionalProperties\":{},\"properties\":{",
              values = "{\"enum\":[0";
  for (int i = 0; i < 5000; ++i) {
    wide += "\"k" + std::to_string(i * 7919) + "\":{\"type\":\"string\"},";
    if (i < 500) keys += "\"" + repeated("k", static_cast<std::size_t>(i)) + "\":{},";
    values += ",\"" + std::to_string(i * 104729) + "\"";
  }
  const std::string alternatives =
      "{\"anyOf\":[" + repeated("{\"type\":\"object\",\"properties\":{\"a\":{}}},", 2000) + "{}]}";
  const std::string sources[] = {
      chain + "\"d2000\":{}}}",
      fans + "\"d40\":{}}}",
      wide + "\"z\":{}}}",
      keys + "\"z\":{}}}",
      values + "]}",
      alternatives,
      repeated("{\"items\":", 60) + "{}" + repeated("}", 60),
      repeated("[", 100'000),
      repeated("{\"anyOf\":[", 31) + "{}" + repeated("]}", 31),
      R"({"type":"string","maxLength":4096})",
      R"({"type":"array","items":{"type":"string","maxLength":4096},"maxItems":4096})",
      R"({"type":"array","items":{"type":"array","items":{"type":"integer"},"maxItems":4096},"maxItems":4096})",
      R"~({"pattern":"^((((a{0,4096}){0,4096}){0,4096}){0,4096}){0,4096}$"})~",
      R"~({"pattern":"(a|b)*a(a|b){40}$"})~",
      R"({"type":"number","minimum":1e-40,"maximum":1e40})",
      R"({"type":"number","minimum":1e-400,"maximum":1e400})",
  };
  const auto tokens = make_tokens({"[", "\"", "a", "{\"", "k", "1", ",", "\"a\"", "}", "]"});
  for (const auto& source : sources) {
    CAPTURE(source.substr(0, 100));
    const auto start = std::chrono::steady_clock::now();
    const auto compiled = compile_json_schema(source);
    CHECK(seconds_since(start) < seconds_allowed);
    if (!compiled) continue;
    grammar_state state(std::make_shared<grammar_matcher>(*compiled, tokens));
    random_stream random(1);
    for (int step = 0; step < 200; ++step) {
      std::vector<std::uint64_t> bits(tokens->mask_words());
      if (!state.mask(bits)) break;
      for (int tries = 0; tries < 50 && !state.accept(static_cast<token_id>(2 + random.below(10))); ++tries) {
      }
    }
    CHECK(seconds_since(start) < 2 * seconds_allowed);
  }
}
