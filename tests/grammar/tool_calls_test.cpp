#include "catch.hpp"
#include "grammar/reading.hpp"

#include <string>
#include <string_view>

using namespace troupe;
using namespace troupe::test;

namespace {

const std::string tools = R"("tools": [
  {"name": "weather", "strict": true, "parameters": {"type": "object", "properties": {"city": {"$ref": "#/$defs/place"}},
   "required": ["city"], "$defs": {"place": {"enum": ["Rome", "Oslo"]}}}},
  {"name": "clock", "parameters": {"type": "object", "not": {}}},
  {"name": "stop"}])";

const std::string weather = R"(<tool_call>{"name":"weather","arguments":{"city":"Rome"}}</tool_call>)";
const std::string clock_call = R"(<tool_call>{"name": "clock", "arguments": {"any":[1]}}</tool_call>)";
const std::string stop = "<tool_call>\n{\"name\": \"stop\", \"arguments\": {}}\n</tool_call>";

bool accepts_with(std::string_view options, std::string_view text) {
  const auto compiled = compile_tool_calls("{" + tools + std::string(options) + "}");
  if (!compiled) FAIL(compiled.error().message << " at " << compiled.error().param);
  return accepts((*compiled)->automaton(), text);
}

}  // namespace

TEST_CASE("an answer that may call tools is text, calls, or text and then calls", "[grammar][tools]") {
  for (const std::string& text :
       {std::string(), std::string("Hello."), std::string("1 < 2 <<tool_cal <tool_callx> </tool_call>"), weather,
        clock_call, stop, "Let me see. <" + weather, weather + "\n" + stop + clock_call, "<tool_call" + weather,
        std::string("\xC3\xA9 <tool_call")}) {
    CAPTURE(text);
    CHECK(accepts_with("", text));
  }
  for (const std::string& text :
       {std::string("<tool_call>"), std::string("text <tool_call> more"), weather + " text", weather + "<tool_call>",
        std::string(R"(<tool_call>{"name":"weather","arguments":{"city":"Paris"}}</tool_call>)"),
        std::string(R"(<tool_call>{"name":"unknown","arguments":{}}</tool_call>)"),
        std::string(R"(<tool_call>{"name":"weather","arguments":{}}</tool_call>)"),
        std::string(R"(<tool_call>{"arguments":{}}</tool_call>)"), std::string("<<<tool_call>>")}) {
    CAPTURE(text);
    CHECK_FALSE(accepts_with("", text));
  }
}

TEST_CASE("a call that is required comes first, and alone where calls are not parallel", "[grammar][tools]") {
  CHECK(accepts_with(R"(, "required": true)", weather));
  CHECK(accepts_with(R"(, "required": true)", weather + stop));
  CHECK_FALSE(accepts_with(R"(, "required": true)", ""));
  CHECK_FALSE(accepts_with(R"(, "required": true)", "So: " + weather));
  CHECK(accepts_with(R"(, "required": true, "parallel": false)", stop));
  CHECK_FALSE(accepts_with(R"(, "required": true, "parallel": false)", stop + stop));
  CHECK(accepts_with(R"(, "parallel": false)", "So: " + stop));
  CHECK_FALSE(accepts_with(R"(, "parallel": false)", stop + weather));
}

TEST_CASE("tools that cannot be called are refused", "[grammar][tools]") {
  const auto code_of = [](std::string_view text) {
    const auto compiled = compile_tool_calls(text);
    REQUIRE_FALSE(compiled);
    return compiled.error().code;
  };
  CHECK(code_of("") == errc::invalid_argument);
  CHECK(code_of(R"({"tools": []})") == errc::invalid_argument);
  CHECK(code_of(R"({"tools": [{"parameters": {}}]})") == errc::invalid_argument);
  CHECK(code_of(R"({"tools": [{"name": "f", "parameters": 5}]})") == errc::invalid_argument);
  CHECK(code_of(R"({"tools": [{"name": "f", "strict": true, "parameters": {"not": {}}}]})") == errc::unsupported);
  CHECK(
      code_of(R"({"tools": [{"name": "f", "parameters": {"properties": {"x": {"enum": []}}, "required": ["x"]}}]})") ==
      errc::invalid_argument);
}
