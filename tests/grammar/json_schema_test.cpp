#include "catch.hpp"
#include "grammar/reading.hpp"

#include <string_view>
#include <vector>

using namespace troupe;
using namespace troupe::test;

namespace {

struct row {
  std::string_view schema;
  std::vector<std::string> accepted;
  std::vector<std::string> rejected;
};

void check(const std::vector<row>& rows) {
  for (const auto& [schema, accepted, rejected] : rows) {
    CAPTURE(schema);
    const auto compiled = compile_json_schema(schema);
    if (!compiled) FAIL(compiled.error().message << " at " << compiled.error().param);
    for (const auto& text : accepted) {
      CAPTURE(text);
      CHECK(accepts((*compiled)->automaton(), text));
    }
    for (const auto& text : rejected) {
      CAPTURE(text);
      CHECK(!accepts((*compiled)->automaton(), text));
    }
  }
}

}  // namespace

TEST_CASE("schemas of simple types", "[grammar][schema]") {
  check({
      {"true", {"null", "1", "[]", "{\"a\": [1, 2,3],\"b\":\"\"}"}, {"", " 1", "1 ", "{ }", "{\"a\" :1}", "[1,  2]"}},
      {"{}", {"null", "\"a\""}, {"nul"}},
      {R"({"type":"null"})", {"null"}, {"true"}},
      {R"({"type":"boolean","title":"t","description":"d","default":1,"examples":[2],"$comment":"c"})",
       {"true", "false"},
       {"null"}},
      {R"({"type":["boolean","null"]})", {"true", "null"}, {"1"}},
      {R"({"type":"integer"})",
       {"0", "-1", "123456789012345678"},
       {"-0", "01", "1.0", "1e3", "1234567890123456789", "+1"}},
      {R"({"type":"number"})", {"0", "-1.5", "1e3", "1.25E-07", "-0.0"}, {"01", "1.", ".5", "1e999", "NaN"}},
      {R"({"type":"string"})",
       {"\"\"", "\"aé日😀\"", R"("\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00")"},
       {"\"", "\"\n\"", R"("\x")", R"("\ud83d")", R"("\ude00")", R"("\ud83dx")", "\"\x01\"", "\"\xff\"", "'a'"}},
      {R"({"enum":["a",1,null,{"b":[1.5]},"\"\n"]})",
       {"\"a\"", "1", "null", R"({"b":[1.5]})", R"("\"\n")"},
       {"2", "a"}},
      {R"({"type":"string","enum":["a",1]})", {"\"a\""}, {"1"}},
      {R"({"const":"x"})", {"\"x\""}, {"\"y\""}},
      {R"({"const":1,"enum":[1,2]})", {"1"}, {"2"}},
      {R"({"anyOf":[{"type":"integer"},{"type":"null"}]})", {"1", "null"}, {"\"\""}},
      {R"({"oneOf":[{"const":1},{"const":"b"}]})", {"1", "\"b\""}, {"2"}},
  });
}

TEST_CASE("schemas of numbers with bounds", "[grammar][schema]") {
  check({
      {R"({"type":"integer","minimum":0})", {"0", "7", "100"}, {"-1"}},
      {R"({"type":"integer","minimum":7,"maximum":123})",
       {"7", "9", "10", "99", "100", "123"},
       {"6", "124", "1234", "-8"}},
      {R"({"type":"integer","minimum":-12,"maximum":3})", {"-12", "-1", "0", "3"}, {"-13", "4", "-0", "-20"}},
      {R"({"type":"integer","exclusiveMinimum":1,"exclusiveMaximum":3})", {"2"}, {"1", "3"}},
      {R"({"type":"integer","minimum":1.5,"maximum":3.5})", {"2", "3"}, {"1", "4"}},
      {R"({"type":"integer","maximum":-1})", {"-1", "-100"}, {"0", "1"}},

      {R"({"type":"number","minimum":0,"maximum":1})", {"0", "0.5", "1", "0.999", "1.0"}, {"1.1", "-0.5", "1.01", "2"}},
      {R"({"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1})", {"0.5", "0.001"}, {"0", "1", "0.0", "1.0"}},
      // 0.99999999999999999 is 1 as a double.
      {R"({"type":"number","exclusiveMaximum":1})",
       {"0.99999999999999", "-3.5"},
       {"0.99999999999999999", "0.9999999999999999"}},
      {R"({"type":"number","exclusiveMinimum":-180.5,"exclusiveMaximum":180})",
       {"179.999999999999", "-180.499999999999"},
       {"179.99999999999999999", "-180.49999999999999999", "180", "-180.5"}},
      {R"({"type":"number","minimum":-1.25,"maximum":2.75})",
       {"-1.25", "-1.2", "0", "2.7", "2.75", "2.750", "-0.5", "1.99"},
       {"-1.26", "-1.3", "2.751", "2.8", "3", "-2"}},
      {R"({"type":"number","minimum":10})", {"10", "10.5", "99999"}, {"9.99", "-11"}},
      {R"({"type":"number","minimum":0.1,"maximum":0.1})", {"0.1"}, {"0.11", "0.2", "0"}},
  });
}

TEST_CASE("schemas of strings with bounds", "[grammar][schema]") {
  check({
      {R"({"type":"string","minLength":1,"maxLength":2})", {"\"a\"", "\"日😀\"", R"("\n\"")"}, {"\"\"", "\"abc\""}},
      {R"({"type":"string","maxLength":300})",
       {"\"\"", "\"" + std::string(300, 'x') + "\""},
       {"\"" + std::string(301, 'x') + "\""}},
      {R"({"type":"string","pattern":"^[A-Z]{2}\\d+$"})", {"\"AB1\"", "\"XY99\""}, {"\"A1\"", "\"AB\"", "\"AB1x\""}},
      {R"({"type":"string","pattern":"b+"})", {"\"abc\"", "\"b\""}, {"\"ac\"", "\"\""}},
      {R"({"type":"string","pattern":"^a|b$"})", {"\"axx\"", "\"xxb\""}, {"\"xax\""}},
      {R"({"type":"string","pattern":"^(?:x|\\.|[^a-z\"])*?$"})",
       {"\"x.X\"", R"("\\")", R"("\n")", "\"\""},
       {"\"a\"", R"("\"")"}},
      {R"({"pattern":"^\"\\\\\\n\\u00e9\\s\\w$"})", {R"("\"\\\né _")"}, {"\"\""}},
      {R"({"type":"string","format":"date"})",
       {"\"2024-02-28\"", "\"1999-12-31\""},
       {"\"2024-02-30\"", "\"2024-13-01\"", "\"2024-04-31\""}},
      {R"({"type":"string","format":"time"})",
       {"\"12:30:00Z\"", "\"23:59:59.123+01:00\""},
       {"\"24:00:00Z\"", "\"12:30\""}},
      {R"({"type":"string","format":"date-time"})", {"\"2024-01-01T00:00:00Z\""}, {"\"2024-01-01\""}},
      {R"({"type":"string","format":"uuid"})", {"\"123e4567-e89b-12d3-a456-426614174000\""}, {"\"123e4567\""}},
      {R"({"type":"string","format":"ipv4"})",
       {"\"127.0.0.1\"", "\"255.255.255.255\""},
       {"\"256.0.0.1\"", "\"1.2.3\"", "\"01.2.3.4\""}},
      {R"({"type":"string","format":"email"})", {"\"a.b@example.com\""}, {"\"a\"", "\"@b.c\"", "\"a@b\""}},
      {R"({"type":"string","format":"uri"})", {"\"https://example.com/a?b=1\""}, {"\"example\""}},
  });
}

TEST_CASE("schemas of objects and arrays", "[grammar][schema]") {
  check({
      {R"({"type":"object"})", {"{}", R"({"a":1, "b": {"c":[]}})"}, {"[]", "{,}", R"({"a":1,})"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"null"}},"required":["a"]})",
       {R"({"a":1})", R"({"a": 1, "b": null})"},
       {"{}", R"({"b":null})", R"({"b":null,"a":1})", R"({"a":1,"c":2})", R"({"a":"x"})"}},
      {R"({"properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}}})",
       {"{}", R"({"a":1})", R"({"b":2})", R"({"c":3})", R"({"a":1,"c":3})", R"({"a":1,"b":2,"c":3})"},
       {R"({,"a":1})", R"({"a":1,})", R"({"a":1,"a":1})", R"({"c":3,"a":1})"}},
      {R"({"properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"required":["b"]})",
       {R"({"b":2})", R"({"a":1,"b":2})", R"({"b":2,"c":3})"},
       {"{}", R"({"a":1,"c":3})"}},
      {R"({"type":"object","additionalProperties":{"type":"integer"}})", {"{}", R"({"x":1,"y":2})"}, {R"({"x":"1"})"}},
      {R"({"type":"object","additionalProperties":false})", {"{}"}, {R"({"x":1})"}},
      {R"({"properties":{"ab":{"const":1},"a\"":{"const":2}},"additionalProperties":{"type":"null"}})",
       {R"({"ab":1})", R"({"ab":1,"a":null})", R"({"abc":null,"b":null,"":null})", R"({"a\"":2,"a\"\"":null})",
        R"({"a\n":null})"},
       {R"({"ab":null})", R"({"a\"":null})", R"({"a\u0062":null})", R"({"a":1})"}},
      {R"({"required":["x"]})", {R"({"x":[1]})", R"({"x":1,"y":2})"}, {"{}", R"({"y":2})"}},
      {R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})",
       {"[1]", "[1, 2,3]"},
       {"[]", "[1,2,3,4]", "[\"a\"]", "[1,]"}},
      {R"({"type":"array","prefixItems":[{"const":1},{"const":2}],"items":false})",
       {"[]", "[1]", "[1,2]"},
       {"[2]", "[1,2,3]"}},
      {R"({"type":"array","prefixItems":[{"const":1},{"const":2}],"items":{"const":3},"minItems":1})",
       {"[1]", "[1,2]", "[1,2,3,3]"},
       {"[]", "[1,3]", "[2]"}},
      {R"({"prefixItems":[{"const":1}],"minItems":3,"maxItems":3})", {"[1,\"x\",null]"}, {"[1]", "[1,2]", "[1,2,3,4]"}},
      {R"({"type":"array","maxItems":0})", {"[]"}, {"[1]"}},
      {R"({"type":"array","items":[{"const":1}],"additionalItems":false})", {"[1]", "[]"}, {"[1,2]"}},
      {R"({"properties":{"bad":false,"good":true}})", {"{}", R"({"good":1})"}, {R"({"bad":1})"}},
  });
}

TEST_CASE("schemas that refer to, and combine, others", "[grammar][schema]") {
  check({
      {R"({"$defs":{"n":{"type":"integer"}},"type":"array","items":{"$ref":"#/$defs/n"}})", {"[1,2]"}, {"[null]"}},
      {R"({"definitions":{"a/b":{"const":1}},"properties":{"x":{"$ref":"#/definitions/a~1b","description":"d"}}})",
       {R"({"x":1})"},
       {R"({"x":2})"}},
      {R"({"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["v","next"]})",
       {R"({"v":1,"next":null})", R"({"v":1,"next":{"v":2, "next": null}})"},
       {R"({"v":1})", R"({"v":1,"next":{"v":2}})"}},
      {R"({"$ref":"#/$defs/tree","$defs":{"tree":{"type":"array","items":{"$ref":"#/$defs/tree"}}}})",
       {"[]", "[[],[[]]]"},
       {"[1]"}},
      {R"({"allOf":[{"type":"object","properties":{"a":{"const":1}},"required":["a"]},{"properties":{"b":{"const":2}},"required":["b"]}]})",
       {R"({"a":1,"b":2})"},
       {R"({"a":1})", "{}"}},
      {R"({"allOf":[{"type":"integer","minimum":2},{"type":"number","maximum":4},{"minimum":3}]})",
       {"3", "4"},
       {"2", "5", "3.5"}},
      {R"({"$defs":{"base":{"type":"object","properties":{"a":{"const":1}},"required":["a"]}},"$ref":"#/$defs/base","properties":{"b":{"const":2}}})",
       {R"({"a":1})", R"({"a":1,"b":2})"},
       {R"({"b":2})"}},
      {R"({"type":"object","properties":{"k":{"type":"string"}},"anyOf":[{"required":["k"]},{"properties":{"n":{"const":1}},"required":["n"]}]})",
       {R"({"k":"x"})", R"({"n":1})", R"({"k":"","n":1})"},
       {"{}"}},
      {R"({"allOf":[{"properties":{"a":{"type":"integer"}}},{"properties":{"a":{"maximum":3}}}]})",
       {R"({"a":3})"},
       {R"({"a":4})", R"({"a":"x"})"}},
      {R"({"allOf":[{"enum":[1,2,3]},{"enum":[2,3,4]}]})", {"2", "3"}, {"1", "4"}},
  });
}

TEST_CASE("schemas that are not read name the place", "[grammar][schema]") {
  struct bad {
    std::string_view schema;
    errc code;
    std::string_view param;
  };
  const bad rows[] = {
      {"", errc::invalid_argument, ""},
      {"{", errc::invalid_argument, ""},
      {"3", errc::invalid_argument, ""},
      {"{\"title\":\"\xff\"}", errc::invalid_argument, ""},
      {"false", errc::invalid_argument, ""},
      {R"({"type":"thing"})", errc::invalid_argument, "/type"},
      {R"({"enum":[]})", errc::invalid_argument, ""},
      {R"({"properties":{"a":{"not":{}}}})", errc::unsupported, "/properties/a/not"},
      {R"({"properties":{"a/b":{"multipleOf":2}}})", errc::unsupported, "/properties/a~1b/multipleOf"},
      {R"({"items":{"uniqueItems":true}})", errc::unsupported, "/items/uniqueItems"},
      {R"({"if":{},"then":{}})", errc::unsupported, "/if"},
      {R"({"patternProperties":{}})", errc::unsupported, "/patternProperties"},
      {R"({"allOf":[{"not":{}},{}]})", errc::unsupported, "/not"},
      {R"({"format":"color"})", errc::unsupported, "/format"},
      {R"~({"pattern":"^(?=a)"})~", errc::unsupported, "/pattern"},
      {R"({"pattern":"\\1"})", errc::unsupported, "/pattern"},
      {R"~({"pattern":"("})~", errc::invalid_argument, "/pattern"},
      {R"({"pattern":"a","minLength":2})", errc::unsupported, ""},
      {R"({"minLength":-1,"type":"string"})", errc::invalid_argument, "/minLength"},
      {R"({"maxLength":99999,"type":"string"})", errc::too_large, "/maxLength"},
      {R"({"$ref":"http://example.com/x"})", errc::unsupported, "/$ref"},
      {R"({"$ref":"#/$defs/none"})", errc::invalid_argument, "/$ref"},
      {R"({"$ref":"#"})", errc::unsupported, ""},
      {R"({"allOf":[{"$ref":"#"},{}]})", errc::unsupported, ""},
      {R"({"anyOf":[{"$ref":"#"},{"type":"null"}]})", errc::unsupported, ""},
      {R"({"properties":{"a":{"$ref":"#"}},"required":["a"]})", errc::invalid_argument, ""},
      {R"({"type":"integer","minimum":3,"maximum":2})", errc::invalid_argument, ""},
      {R"({"properties":[]})", errc::invalid_argument, "/properties"},
      {R"({"required":"a"})", errc::invalid_argument, "/required"},
      {R"({"type":"object","additionalProperties":false,"required":["a"]})", errc::invalid_argument, ""},
  };
  for (const auto& [schema, code, param] : rows) {
    CAPTURE(schema);
    const auto compiled = compile_json_schema(schema);
    REQUIRE(!compiled);
    INFO(compiled.error().message);
    CHECK(compiled.error().code == code);
    CHECK_THAT(compiled.error().param, Catch::Matchers::EndsWith(std::string(param)));
  }
}

TEST_CASE("any JSON object", "[grammar][schema]") {
  const auto compiled = compile_json_object();
  REQUIRE(compiled);
  const auto& a = (*compiled)->automaton();
  CHECK(accepts(a, R"({"a": [1,{"b":null}], "c":"d"})"));
  CHECK(!accepts(a, "[]"));
  CHECK(!accepts(a, ""));
  CHECK(begins(a, "{\"a\":" + std::string(100, '[')));
}
