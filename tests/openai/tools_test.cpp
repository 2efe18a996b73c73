// Tools and output formats: what reaches the model, and how calls come back.
#include "catch.hpp"
#include "fakes.hpp"
#include "runtime/grammar/tool_calls.hpp"
#include "runtime/openai/tool_call_reader.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr const char* chat = "/v1/chat/completions";

const json tools = json::parse(R"([
  {"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters":
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}},
  {"type": "function", "function": {"name": "stop"}}])");

const std::string weather =
    R"(<tool_call>{"name": "weather", "arguments": {"city": "</tool_call> \"Rome\""}}</tool_call>)";
const std::string arguments = R"({"city":"</tool_call> \"Rome\""})";

struct told {
  std::string text;
  std::vector<openai::tool_call> calls;
};

told read_in_pieces(std::string_view answer, std::size_t size) {
  told out;
  openai::tool_call_reader reader;
  for (std::size_t at = 0; at < answer.size(); at += size)
    reader.read(answer.substr(at, size), out.text, out.calls);
  reader.finish(out.text);
  return out;
}

json grammar_source(const json& more) {
  stage s;
  const auto stream = s.post(chat, chat_body(more));
  INFO(stream->response().body);
  REQUIRE(s.service->submissions().size() == 1);
  const output_grammar& grammar = s.submitted().sampling.grammar;
  CHECK(grammar.kind == grammar_kind::tool_calls);
  return json::parse(grammar.source);
}

output_grammar grammar_for(const json& more) {
  stage s;
  s.post(chat, chat_body(more));
  REQUIRE(s.service->submissions().size() == 1);
  return s.submitted().sampling.grammar;
}

}  // namespace

TEST_CASE("calls are told from text however the answer is cut", "[openai][tools]") {
  const std::string answer =
      "I < you <tool\n" + weather + "\n <tool_call>\n{\"name\": \"stop\", \"arguments\": {}}\n</tool_call>";
  for (std::size_t size = 1; size <= answer.size(); ++size) {
    const told out = read_in_pieces(answer, size);
    REQUIRE(out.text == "I < you <tool\n");
    REQUIRE(out.calls.size() == 2);
    REQUIRE(out.calls[0].name == "weather");
    REQUIRE(out.calls[0].arguments == arguments);
    REQUIRE(out.calls[1].name == "stop");
    REQUIRE(out.calls[1].arguments == "{}");
  }
}

TEST_CASE("what is no whole call is text", "[openai][tools]") {
  for (const std::string answer : {"", "plain", "<tool_call", "<tool_call>{\"name\": \"f\"",
                                   "<tool_call>{}</tool_call>", "<tool_call>no json</tool_call> more", "</tool_call>"})
    for (std::size_t size : {1, 3, 100}) {
      const told out = read_in_pieces(answer, size);
      CHECK(out.text.starts_with(answer.substr(0, answer.find(" more"))));
      CHECK(out.calls.empty());
    }
}

TEST_CASE("tools and tool_choice become a grammar", "[openai][tools]") {
  json source = grammar_source({{"tools", tools}});
  CHECK(source["required"] == false);
  CHECK(source["parallel"] == true);
  CHECK(source["tools"] ==
        json::array({{{"name", "weather"}, {"parameters", tools[0]["function"]["parameters"]}}, {{"name", "stop"}}}));
  source = grammar_source({{"tools", tools}, {"tool_choice", "required"}, {"parallel_tool_calls", false}});
  CHECK(source["required"] == true);
  CHECK(source["parallel"] == false);
  source =
      grammar_source({{"tools", tools}, {"tool_choice", {{"type", "function"}, {"function", {{"name", "stop"}}}}}});
  CHECK(source["required"] == true);
  CHECK(source["tools"] == json::array({{{"name", "stop"}}}));
  CHECK(grammar_for({{"tools", tools}, {"tool_choice", "none"}}).kind == grammar_kind::none);
}

TEST_CASE("every field for an output format comes to the same", "[openai][tools]") {
  const json schema{{"type", "object"}, {"properties", {{"b", {{"type", "null"}}}, {"a", {{"type", "null"}}}}}};
  const output_grammar wanted{grammar_kind::json_schema, schema.dump()};
  CHECK(grammar_for({{"response_format",
                      {{"type", "json_schema"}, {"json_schema", {{"name", "n"}, {"schema", schema}}}}}}) == wanted);
  CHECK(grammar_for({{"json_schema", schema}}) == wanted);
  CHECK(grammar_for({{"json_schema", schema.dump()}}) == wanted);
  CHECK(grammar_for({{"guided_json", schema}}) == wanted);
  CHECK(grammar_for({{"structured_outputs", {{"json", schema}}}}) == wanted);
  const output_grammar object{grammar_kind::json_object, ""};
  CHECK(grammar_for({{"response_format", {{"type", "json_object"}}}}) == object);
  CHECK(grammar_for({{"structured_outputs", {{"json_object", true}}}}) == object);
  const output_grammar gbnf{grammar_kind::gbnf, R"(root ::= "a")"};
  CHECK(grammar_for({{"grammar", gbnf.source}}) == gbnf);
  CHECK(grammar_for({{"guided_grammar", gbnf.source}}) == gbnf);
  const output_grammar choice{grammar_kind::gbnf, R"(root ::= "a" | "say \"b\"\n\\")"};
  CHECK(grammar_for({{"guided_choice", {"a", "say \"b\"\n\\"}}}) == choice);
  CHECK(grammar_for({{"structured_outputs", {{"choice", {"a", "say \"b\"\n\\"}}}}}) == choice);
}

TEST_CASE("a template that knows no tools is told of them in its messages", "[openai][tools]") {
  const byte_tokenizer vocabulary;
  const auto prompt_of = [&](const json& messages) {
    stage s;
    s.post(chat, chat_body({{"tools", tools}, {"messages", messages}}));
    REQUIRE(s.service->submissions().size() == 1);
    return vocabulary.decode(s.submitted().prompt, true);
  };
  const std::string plain = prompt_of(json::parse(R"([{"role": "user", "content": "hi"}])"));
  CHECK(plain.starts_with("<|im_start|>system\nYou may call"));
  CHECK(plain.find(tools[0]["function"].dump()) != std::string::npos);
  CHECK(plain.ends_with("<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"));
  const std::string later = prompt_of(json::parse(R"([{"role": "system", "content": "Be brief."},
    {"role": "user", "content": "hi"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function",
    "function": {"name": "stop", "arguments": "{}"}}]}, {"role": "tool", "content": "1", "tool_call_id": "c"},
    {"role": "tool", "content": "2"}])"));
  CHECK(later.starts_with("<|im_start|>system\nBe brief.\n\nYou may call"));
  CHECK(later.find("<|im_start|>assistant\n<tool_call>{\"name\":\"stop\",\"arguments\":{}}</tool_call><|im_end|>") !=
        std::string::npos);
  CHECK(later.find(
            "<|im_start|>user\n<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n</tool_response><|im_end|>") !=
        std::string::npos);
}

TEST_CASE("calls come back in OpenAI's shape, whole and streamed", "[openai][tools]") {
  stage s;
  s.service->on_submit = [](scripted_service::submission& to) { speak(to, "Well. " + weather + weather); };
  const json choice = s.post(chat, chat_body({{"tools", tools}}))->body()["choices"][0];
  CHECK(choice["finish_reason"] == "tool_calls");
  CHECK(choice["message"]["content"] == "Well. ");
  const json& calls = choice["message"]["tool_calls"];
  REQUIRE(calls.size() == 2);
  CHECK(calls[0]["type"] == "function");
  CHECK(calls[0]["function"]["name"] == "weather");
  CHECK(calls[0]["function"]["arguments"] == arguments);
  CHECK(calls[0]["id"].get<std::string>().starts_with("call_"));
  CHECK(calls[0]["id"] != calls[1]["id"]);

  std::string text;
  std::vector<json> streamed;
  std::string reason;
  const auto stream = s.post(chat, chat_body({{"tools", tools}, {"stream", true}}));
  for (const auto& event : stream->events()) {
    if (event == "[DONE]") continue;
    const json part = json::parse(event)["choices"][0];
    text += part["delta"].value("content", "");
    for (const json& call : part["delta"].value("tool_calls", json::array()))
      streamed.push_back(call);
    if (part["finish_reason"].is_string()) reason = part["finish_reason"];
  }
  CHECK(text == "Well. ");
  CHECK(reason == "tool_calls");
  REQUIRE(streamed.size() == 2);
  CHECK(streamed[1]["index"] == 1);
  CHECK(streamed[1]["function"]["arguments"] == arguments);

  s.service->on_submit = [](scripted_service::submission& to) { speak(to, weather); };
  CHECK(s.post(chat, chat_body({{"tools", tools}}))->body()["choices"][0]["message"]["content"].is_null());
  s.service->on_submit = [](scripted_service::submission& to) { speak(to, "<tool_call>{\"na", finish_reason::length); };
  const json cut = s.post(chat, chat_body({{"tools", tools}}))->body()["choices"][0];
  CHECK(cut["finish_reason"] == "length");
  CHECK(cut["message"]["content"] == "<tool_call>{\"na");
  CHECK_FALSE(cut["message"].contains("tool_calls"));
  // Without tools a mark is text.
  s.service->on_submit = [](scripted_service::submission& to) { speak(to, weather); };
  CHECK(s.post(chat, chat_body())->body()["choices"][0]["message"]["content"] == weather);
}
