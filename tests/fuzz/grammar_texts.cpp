#include "grammar_texts.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace troupe::test {
namespace {

constexpr auto gbnf_texts = std::to_array<std::string_view>({
    R"(root ::= "yes" | "no")",
    "root ::= item (\",\" item){0,9}\nitem ::= [a-z_]+ | \"\\\"\" [^\"\\\\\\x00-\\x1F]* \"\\\"\"",
    R"gbnf(root ::= "(" root ")" | "x"+)gbnf",
    "root ::= e\ne ::= t ((\"+\" | \"-\") t)*\nt ::= f ((\"*\" | \"/\") f)*\nf ::= [0-9]+ | \"(\" e \")\"",
    R"(root ::= [^\x00-\x7F]{1,4} . "\u00E9" [\U0001F600-\U0001F64F]?)",
    "root ::= a b\na ::= \"a\"* \"b\"?\nb ::= \"a\"* \"c\" | a",
    "root ::= (\"ab\" | \"a\" \"b\"?)* # ways\n | \"\"",
    R"(root ::= ("a"{2,5}){3,} | ("a"? "b"?){7})",
    "root ::= v\nv ::= \"[\" (v (\",\" v)*)? \"]\" | \"{\" (v \":\" v)? \"}\" | \"x\"",
    R"(root ::= [\]\[\-a-z0-9\\]+ "\t\r\n\\\"\x41")",
});

constexpr auto schema_texts = std::to_array<std::string_view>({
    R"({"type":"object"})",
    R"({})",
    R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"]})",
    R"({"$defs":{"n":{"type":"object","properties":{"v":{"type":"number"},"l":{"$ref":"#/$defs/n"}},"required":["v"]}},"$ref":"#/$defs/n"})",
    R"({"type":"array","items":{"enum":["a","é",1,null,[],{}]},"minItems":1,"maxItems":5})",
    R"({"type":"array","prefixItems":[{"type":"boolean"},{"const":"x"}],"items":{"type":"null"}})",
    R"({"anyOf":[{"type":"string","pattern":"^[a-c]{2,3}-\\d+$"},{"type":"string","format":"date-time"}]})",
    R"({"allOf":[{"properties":{"a":{"minimum":5}}},{"properties":{"a":{"type":"integer","maximum":70}},"required":["a"]}]})",
    R"({"type":"number","minimum":-2.5,"exclusiveMaximum":17.125})",
    R"({"type":"integer","exclusiveMinimum":-1000,"maximum":123456})",
    R"({"type":"string","minLength":2,"maxLength":9})",
    R"({"type":"object","properties":{"ab":true,"ac":true},"additionalProperties":{"type":["integer","null"]}})",
    R"({"$ref":"#/anyOf/0","anyOf":[{"type":"boolean"},{"$ref":"#"}]})",
    R"({"oneOf":[{"format":"uri"},{"format":"ipv6"},{"format":"email"},{"pattern":"(a|b)*c?"}],"type":"string"})",
});

constexpr auto tool_texts = std::to_array<std::string_view>({
    R"({"tools":[{"name":"f","parameters":{"type":"object","properties":{"x":{"type":"integer"}}},"strict":true}],"required":true,"parallel":true})",
    R"({"tools":[{"name":"g","parameters":{},"strict":false},{"name":"h","parameters":{"type":"object"},"strict":true}],"required":false,"parallel":false})",
});

constexpr auto gbnf_fragments = std::to_array<std::string_view>({"root",        " ::= ",
                                                                 "\n",          "|",
                                                                 "(",           ")",
                                                                 "*",           "+",
                                                                 "?",           "{0,1}",
                                                                 "{3}",         "{2,}",
                                                                 "{,4}",        "{4096}",
                                                                 "{1,4096}",    "{99999}",
                                                                 "\"\"",        "\"a\"",
                                                                 "\"ab\"",      "[a-z]",
                                                                 "[^a]",        "[]",
                                                                 "[^]",         ".",
                                                                 "\\x80",       "\\uD800",
                                                                 "\\U0010FFFF", "\\U00110000",
                                                                 "#",           "a",
                                                                 "a ::= a b\n", "b ::= \"\" | root\n",
                                                                 "c ::= c\n",   "(root)",
                                                                 "((((((((",    "))))))))",
                                                                 "(\"a\"*)*",   "\xf0\x9f\x98\x80",
                                                                 "\xff"});

constexpr auto schema_fragments = std::to_array<std::string_view>({R"("type":)",
                                                                   R"("object")",
                                                                   R"("array")",
                                                                   R"("string")",
                                                                   R"("number")",
                                                                   R"("integer")",
                                                                   R"("boolean")",
                                                                   R"("null")",
                                                                   R"("enum":[)",
                                                                   R"("const":)",
                                                                   R"("properties":{)",
                                                                   R"("required":["a"],)",
                                                                   R"("additionalProperties":)",
                                                                   R"("items":)",
                                                                   R"("prefixItems":[)",
                                                                   R"("minItems":3,)",
                                                                   R"("maxItems":2,)",
                                                                   R"("maxItems":4096,)",
                                                                   R"("anyOf":[)",
                                                                   R"("oneOf":[)",
                                                                   R"("allOf":[)",
                                                                   R"("$ref":"#",)",
                                                                   R"("$ref":"#/$defs/n",)",
                                                                   R"("$ref":"#/anyOf/0")",
                                                                   R"("$defs":{)",
                                                                   R"("minLength":1,)",
                                                                   R"("maxLength":4096,)",
                                                                   R"("minLength":4096,)",
                                                                   R"("pattern":"(a+)+$",)",
                                                                   R"("pattern":"[^a-z]{2,}",)",
                                                                   R"("pattern":"(\\w|\\s|.){1,4096}",)",
                                                                   R"("pattern":"^(?:\\u00e9|\\.|\\S)*$",)",
                                                                   R"("format":"uuid",)",
                                                                   R"("format":"time",)",
                                                                   R"("minimum":-1e15,)",
                                                                   R"("maximum":0.1,)",
                                                                   R"("exclusiveMinimum":0.3,)",
                                                                   R"("exclusiveMaximum":1e-9,)",
                                                                   R"("maximum":-0.0,)",
                                                                   R"("minimum":123456789012345678,)",
                                                                   R"("not":{},)",
                                                                   "true",
                                                                   "false",
                                                                   "{}",
                                                                   "[]",
                                                                   "{",
                                                                   "}",
                                                                   "[",
                                                                   "]",
                                                                   ",",
                                                                   ":",
                                                                   "\"",
                                                                   "\\",
                                                                   "\\ud800",
                                                                   "1e400",
                                                                   "-0",
                                                                   "\"a\":",
                                                                   "{\"type\":\"string\"},",
                                                                   "\xc3\xa9",
                                                                   "\xff"});

std::string_view pick(std::span<const std::string_view> from, random_stream& random) {
  return from[random.below(from.size())];
}

}  // namespace

grammar_kind grammar_text_kind(std::string_view input) {
  constexpr std::array kinds{grammar_kind::gbnf, grammar_kind::json_schema, grammar_kind::gbnf,
                             grammar_kind::json_schema, grammar_kind::tool_calls};
  return kinds[static_cast<unsigned char>(input[0]) % kinds.size()];
}

std::string random_grammar_text(random_stream& random) {
  const auto kind = static_cast<char>(random.below(5));
  std::string text(1, kind);
  switch (grammar_text_kind(text)) {
    case grammar_kind::json_schema:
      return text.append(pick(schema_texts, random));
    case grammar_kind::tool_calls:
      return text.append(pick(tool_texts, random));
    default:
      return text.append(pick(gbnf_texts, random));
  }
}

std::string with_fragment(std::string input, random_stream& random) {
  const std::size_t at = 1 + random.below(input.size());
  const std::size_t length = random.below(std::min<std::size_t>(input.size() - at, 40) + 1);
  const bool is_gbnf = grammar_text_kind(input) == grammar_kind::gbnf;
  const std::string fragment(is_gbnf ? pick(gbnf_fragments, random) : pick(schema_fragments, random));
  switch (random.below(4)) {
    case 0:
      return input.replace(at, length, fragment);
    case 1: {
      const std::string again = input.substr(at, length);
      return input.insert(1 + random.below(input.size()), again);
    }
    default:
      return input.insert(at, fragment);
  }
}

}  // namespace troupe::test
