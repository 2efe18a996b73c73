// Random walks through masks, steered to the end after a while: what comes out is JSON that another validator
// (valijson, where it is installed) takes.
#include "catch.hpp"
#include "grammar/reading.hpp"
#include "json_validator.hpp"

#include <nlohmann/json.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

std::vector<std::string> json_vocabulary() {
  std::vector<std::string> texts;
  for (int byte = 0; byte < 256; ++byte)
    texts.emplace_back(1, static_cast<char>(byte));
  for (const char* text :
       {"{\"",      "\":",      "\": ",     "\",\"", "\", \"", "\"}",  "\"]",  "},{",   "}, {", "]}",
        "}}",       "[]",       "{}",       "true",  "false",  "null", "12",   "00",    "0.",   "1.5",
        "-1",       "e1",       "\\\"",     "\\u",   "\\n",    "ab",   "the ", " a",    "name", "id",
        "\xc3\xa9", "\xf0\x9f", "\x98\x80", "20",    "24-",    "-01",  "T0",   "\":\"", "\":[", "\":{"})
    texts.emplace_back(text);
  return texts;
}

// Uniform over what is allowed for max_tokens, then whatever comes nearest to the end.
std::string walk(const std::shared_ptr<grammar_matcher>& matcher, random_stream& random, int max_tokens) {
  const token_set& tokens = matcher->tokens();
  grammar_state state(matcher);
  std::string text;
  for (int n = 0; !state.has_ended(); ++n) {
    const auto allowed = mask_of(state, tokens);
    std::vector<token_id> possible;
    for (std::size_t i = 0; i < allowed.size(); ++i)
      if (allowed[i]) possible.push_back(static_cast<token_id>(i));
    REQUIRE(!possible.empty());
    REQUIRE(n < max_tokens + 2000);
    token_id chosen = possible[random.below(possible.size())];
    if (n >= max_tokens) {
      std::size_t nearest = ~std::size_t{0};
      for (const token_id id : possible) {
        grammar_state trial = state;
        REQUIRE(trial.accept(id));
        if (const std::size_t left = trial.bytes_to_end(); left < nearest || trial.has_ended()) {
          nearest = trial.has_ended() ? 0 : left;
          chosen = id;
          if (trial.has_ended()) break;
        }
      }
    }
    REQUIRE(state.accept(chosen));
    if (!state.has_ended()) text += tokens.bytes(chosen);
  }
  return text;
}

}  // namespace

TEST_CASE("random walks give valid JSON", "[grammar][schema][property]") {
  // Draft 7, which valijson reads.
  const char* schemas[] = {
      R"({"type":"object"})",
      R"({"type":"object","properties":{"name":{"type":"string"},"id":{"type":"integer","minimum":-3,"maximum":1200},
          "score":{"type":"number","minimum":0,"exclusiveMaximum":1.5},"tags":{"type":"array","items":{"type":"string","maxLength":4},"maxItems":3},
          "kind":{"enum":["a","b",null]}},"required":["name","id"],"additionalProperties":false})",
      R"({"type":"array","items":{"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":["number","null"]}},"required":["b"]},"minItems":2})",
      R"({"definitions":{"node":{"type":"object","properties":{"v":{"type":"integer"},"l":{"$ref":"#/definitions/node"},"r":{"$ref":"#/definitions/node"}},
          "required":["v"],"additionalProperties":false}},"$ref":"#/definitions/node"})",
      R"({"properties":{"a":{"type":"string","minLength":2,"maxLength":5}},"required":["a"],"additionalProperties":{"type":"integer"},"type":"object"})",
      R"({"type":"array","items":[{"type":"string","pattern":"^[a-c]{2,3}-\\d+$"},{"type":"boolean"}],"additionalItems":{"type":"null"},"minItems":1,"maxItems":5})",
      R"({"anyOf":[{"type":"string","pattern":"x"},{"type":"object","properties":{"t":{"const":"x"}},"required":["t"]},{"type":"number","minimum":-2.5,"maximum":-1.25}]})",
      R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer","minimum":5}}},{"required":["a"],"properties":{"a":{"maximum":70},"b":{"type":"string","format":"date-time"}}}]})",
      R"({})",
  };
  const auto tokens = make_tokens(json_vocabulary());
  for (const char* schema : schemas) {
    CAPTURE(schema);
    const auto compiled = compile_json_schema(schema);
    if (!compiled) FAIL(compiled.error().message);
    const auto matcher = std::make_shared<grammar_matcher>(*compiled, tokens);
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      random_stream random(seed);
      const std::string text = walk(matcher, random, static_cast<int>(random.below(120)));
      CAPTURE(seed, text);
      REQUIRE(nlohmann::json::accept(text));
      CHECK(is_valid(nlohmann::json::parse(schema), nlohmann::json::parse(text)));
    }
  }
}
