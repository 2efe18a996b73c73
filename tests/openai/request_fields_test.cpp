// Every field of a request: what it becomes when valid, and the error that names it when not.
#include "catch.hpp"
#include "fakes.hpp"

#include <chrono>

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr const char* chat = "/v1/chat/completions";
constexpr const char* completions = "/v1/completions";

generation_request take(const char* path, const json& body, http::header_list headers = {}) {
  stage s;
  const auto stream = s.post(path, body, std::move(headers));
  INFO(stream->response().body);
  REQUIRE(s.service->submissions().size() >= 1);
  return s.submitted();
}
sampling_params chat_sampling(const json& more) {
  return take(chat, chat_body(more)).sampling;
}
sampling_params completion_sampling(const json& more) {
  return take(completions, completion_body(more)).sampling;
}

struct wrong_field {
  std::string text;   // the members to add, as JSON
  std::string param;  // what the error must name
};

void check_refused(const char* path, const json& base, const wrong_field& wrong) {
  stage s;
  json body = base;
  body.update(json::parse(wrong.text));
  const auto stream = s.post(path, body);
  INFO(wrong.text << " gave " << stream->response().body);
  REQUIRE(stream->response().status == 400);
  const json error = stream->body()["error"];
  CHECK(error.size() == 4);
  CHECK(error["type"] == "invalid_request_error");
  CHECK(error["param"] == wrong.param);
  CHECK(error["code"].is_string());
  CHECK(error["message"].get<std::string>().size() > 10);
  CHECK(s.service->submissions().empty());
}

const std::vector<wrong_field> wrong_in_both = {
    {R"({"model": 5})", "model"},
    {R"({"n": 0})", "n"},
    {R"({"n": 9})", "n"},
    {R"({"n": 1.5})", "n"},
    {R"({"n": true})", "n"},
    {R"({"n": "2"})", "n"},
    {R"({"temperature": -0.1})", "temperature"},
    {R"({"temperature": "hot"})", "temperature"},
    {R"({"temperature": 1e300})", "temperature"},
    {R"({"temperature": false})", "temperature"},
    {R"({"top_p": 0})", "top_p"},
    {R"({"top_p": 1.01})", "top_p"},
    {R"({"top_k": -2})", "top_k"},
    {R"({"top_k": 2147483648})", "top_k"},
    {R"({"min_p": -0.1})", "min_p"},
    {R"({"presence_penalty": 2.1})", "presence_penalty"},
    {R"({"frequency_penalty": -2.1})", "frequency_penalty"},
    {R"({"repetition_penalty": 0})", "repetition_penalty"},
    {R"({"seed": 1.5})", "seed"},
    {R"({"seed": 18446744073709551615})", "seed"},
    {R"({"seed": "1"})", "seed"},
    {R"({"stop": 5})", "stop"},
    {R"({"stop": ""})", "stop"},
    {R"({"stop": ["a", 1]})", "stop[1]"},
    {R"({"stop": ["a", ""]})", "stop"},
    {R"({"stop": ["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"]})", "stop"},
    {R"({"stop_token_ids": [1, -1]})", "stop_token_ids[1]"},
    {R"({"stop_token_ids": [1000]})", "stop_token_ids"},
    {R"({"stop_token_ids": "1"})", "stop_token_ids"},
    {R"({"logit_bias": {"x": 1}})", "logit_bias"},
    {R"({"logit_bias": {"-1": 1}})", "logit_bias"},
    {R"({"logit_bias": {"1": 101}})", "logit_bias.1"},
    {R"({"logit_bias": {"1": "1"}})", "logit_bias.1"},
    {R"({"logit_bias": {"100000": 1}})", "logit_bias"},
    {R"({"logit_bias": [1]})", "logit_bias"},
    {R"({"min_tokens": -1})", "min_tokens"},
    {R"({"min_tokens": 20, "max_tokens": 10})", "min_tokens"},
    {R"({"ignore_eos": "yes"})", "ignore_eos"},
    {R"({"include_stop_str_in_output": 1})", "include_stop_str_in_output"},
    {R"({"stream": 1})", "stream"},
    {R"({"stream_options": {"include_usage": true}})", "stream_options"},
    {R"({"stream": true, "stream_options": []})", "stream_options"},
    {R"({"stream": true, "stream_options": {"include_usage": 1}})", "stream_options.include_usage"},
    {R"({"response_format": {"type": "json_schema"}})", "response_format.json_schema.schema"},
    {R"({"response_format": {"type": "json_schema", "json_schema": {}}})", "response_format.json_schema.schema"},
    {R"({"response_format": {"type": "json_schema", "json_schema": 5}})", "response_format.json_schema"},
    {R"({"response_format": {"type": "text", "json_schema": {"schema": 5}}})", "response_format.json_schema.schema"},
    {R"({"response_format": {"type": "text", "json_schema": {"strict": "yes"}}})",
     "response_format.json_schema.strict"},
    {R"({"response_format": {"type": "json_object"}, "grammar": "root ::= \"a\""})", "grammar"},
    {R"({"guided_json": {}, "json_schema": {}})", "guided_json"},
    {R"({"response_format": {"type": "json_schema", "json_schema": {"schema": {"not": {}}}}})", "response_format"},
    {R"({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "thing"}}}})",
     "response_format"},
    {R"({"json_schema": {"$ref": "#"}})", "json_schema"},
    {R"({"json_schema": 5})", "json_schema"},
    {R"({"grammar": 5})", "grammar"},
    {R"({"grammar": "root ::= root"})", "grammar"},
    {R"({"guided_grammar": "nothing"})", "guided_grammar"},
    {R"({"guided_choice": []})", "guided_choice"},
    {R"({"guided_choice": ["a", 5]})", "guided_choice"},
    {R"({"guided_choice": "a"})", "guided_choice"},
    {R"({"structured_outputs": {"regex": "a"}})", "structured_outputs.regex"},
    {R"({"structured_outputs": {"json": 5}})", "structured_outputs.json"},
    {R"({"structured_outputs": 5})", "structured_outputs"},
    {R"({"response_format": {"type": "xml"}})", "response_format.type"},
    {R"({"response_format": {}})", "response_format.type"},
    {R"({"response_format": "text"})", "response_format"},
    {R"({"user": 5})", "user"},
    {R"({"cache_salt": ""})", "cache_salt"},
    {R"({"cache_salt": 5})", "cache_salt"},
    {R"({"priority": 1.5})", "priority"},
    {R"({"troupe": 1})", "troupe"},
    {R"({"troupe": {"ttft_ms": 0}})", "troupe.ttft_ms"},
    {R"({"troupe": {"deadline": 5}})", "troupe.deadline"},
    {R"({"troupe": {"program": 5}})", "troupe.program"},
    {R"({"suffix": "x"})", "suffix"},
    {R"({"guided_regex": "a+"})", "guided_regex"},
    {R"({"use_beam_search": true})", "use_beam_search"},
    {R"({"structured_outputs": {"regex": "a"}})", "structured_outputs.regex"},
};

}  // namespace

TEST_CASE("defaults of a request", "[openai]") {
  const auto chatted = take(chat, chat_body());
  CHECK(chatted.model == "tiny");
  CHECK(chatted.sampling.max_tokens == 1000 - chatted.prompt.size());
  CHECK(chatted.sampling.logprobs == -1);
  CHECK(chatted.sampling.prompt_logprobs == -1);
  CHECK(chatted.tenant.empty());
  const auto completed = take(completions, completion_body());
  CHECK(completed.sampling.max_tokens == 16);
  CHECK(completed.prompt == std::vector<token_id>{'a', 'b'});
  CHECK(take(completions, json{{"prompt", "x"}}).model == "tiny");
  CHECK(take(completions, completion_body({{"model", "other"}})).model == "tiny");
}

TEST_CASE("the server's default sampling holds where the request says nothing", "[openai]") {
  stage s;
  s.options.default_sampling.temperature = 0.25f;
  s.options.default_sampling.top_k = 7;
  s.post(chat, chat_body({{"top_k", 3}}));
  CHECK(s.submitted().sampling.temperature == 0.25f);
  CHECK(s.submitted().sampling.top_k == 3);
}

TEST_CASE("sampling fields reach the service", "[openai]") {
  for (const auto sampling_of : {chat_sampling, completion_sampling}) {
    CHECK(sampling_of({{"temperature", 0}}).temperature == 0.0f);
    CHECK(sampling_of({{"top_p", 0.5}}).top_p == 0.5f);
    CHECK(sampling_of({{"top_p", 5e-324}}).top_p > 0.0f);  // too small for a float, yet above 0
    CHECK(sampling_of({{"top_k", -1}}).top_k == -1);
    CHECK(sampling_of({{"top_k", 40.0}}).top_k == 40);  // an integer to JSON Schema
    CHECK(sampling_of({{"min_p", 0.125}}).min_p == 0.125f);
    CHECK(sampling_of({{"presence_penalty", -2}}).presence_penalty == -2.0f);
    CHECK(sampling_of({{"frequency_penalty", 1.5}}).frequency_penalty == 1.5f);
    CHECK(sampling_of({{"repetition_penalty", 1.25}}).repetition_penalty == 1.25f);
    CHECK(sampling_of({{"seed", 42}}).seed == 42);
    CHECK(sampling_of({{"seed", -1}}).seed == ~std::uint64_t{0});
    CHECK(sampling_of({{"stop", "x"}}).stop == std::vector<std::string>{"x"});
    CHECK(sampling_of({{"stop", {"x", "yz"}}}).stop == std::vector<std::string>{"x", "yz"});
    CHECK(sampling_of({{"stop", json::array()}}).stop.empty());
    CHECK(sampling_of({{"stop_token_ids", {1, 2}}}).stop_tokens == std::vector<token_id>{1, 2});
    CHECK(sampling_of({{"logit_bias", {{"5", -100}, {"6", 0.5}}}}).logit_bias ==
          std::vector<std::pair<token_id, float>>{{5, -100.0f}, {6, 0.5f}});
    CHECK(sampling_of({{"ignore_eos", true}}).ignore_eos);
    CHECK(sampling_of({{"include_stop_str_in_output", true}}).include_stop_in_output);
    CHECK(sampling_of({{"min_tokens", 3}}).min_tokens == 3);
    CHECK(sampling_of({{"max_tokens", 7}}).max_tokens == 7);
    CHECK(sampling_of({{"temperature", nullptr}, {"stop", nullptr}, {"logit_bias", nullptr}}).temperature == 1.0f);
    CHECK(
        sampling_of({{"an_sdk_extra", {1, 2}}, {"response_format", {{"type", "text"}}}, {"suffix", ""}}).stop.empty());
  }
  CHECK(chat_sampling({{"max_tokens", 7}, {"max_completion_tokens", 9}}).max_tokens == 9);
  CHECK(chat_sampling({{"logprobs", true}, {"top_logprobs", 4}}).logprobs == 4);
  CHECK(chat_sampling({{"logprobs", true}}).logprobs == 0);
  CHECK(chat_sampling({{"logprobs", false}}).logprobs == -1);
  CHECK(completion_sampling({{"logprobs", 3}}).logprobs == 3);
  CHECK(completion_sampling({{"logprobs", 3}}).prompt_logprobs == -1);
  CHECK(completion_sampling({{"logprobs", 3}, {"echo", true}}).prompt_logprobs == 3);
  CHECK(completion_sampling({{"logprobs", 0}, {"echo", true}, {"max_tokens", 0}}).max_tokens == 0);
  CHECK(completion_sampling({{"n", 2}, {"best_of", 2}}).max_tokens == 16);
}

TEST_CASE("a wrong field is refused by its name", "[openai]") {
  for (const auto& wrong : wrong_in_both) {
    check_refused(chat, chat_body(), wrong);
    check_refused(completions, completion_body(), wrong);
  }
}

TEST_CASE("wrong fields of a chat", "[openai]") {
  const std::vector<wrong_field> wrong = {
      {R"({"messages": null})", "messages"},
      {R"({"messages": []})", "messages"},
      {R"({"messages": "hi"})", "messages"},
      {R"({"messages": ["hi"]})", "messages[0]"},
      {R"({"messages": [{"role": "robot", "content": "x"}]})", "messages[0].role"},
      {R"({"messages": [{"content": "x"}]})", "messages[0].role"},
      {R"({"messages": [{"role": 1, "content": "x"}]})", "messages[0].role"},
      {R"({"messages": [{"role": "user"}]})", "messages[0].content"},
      {R"({"messages": [{"role": "user", "content": 5}]})", "messages[0].content"},
      {R"({"messages": [{"role": "user", "content": []}]})", "messages[0].content"},
      {R"({"messages": [{"role": "user", "content": ["x"]}]})", "messages[0].content[0]"},
      {R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})", "messages[0].content[0].text"},
      {R"({"messages": [{"role": "user", "content": [{"text": "x"}]}]})", "messages[0].content[0].type"},
      {R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url"}]}]})",
       "messages[0].content[1].type"},
      {R"({"messages": [{"role": "user", "content": "x", "name": 5}]})", "messages[0].name"},
      {R"({"messages": [{"role": "assistant", "tool_calls": [5]}]})", "messages[0].tool_calls[0]"},
      {R"({"messages": [{"role": "assistant", "tool_calls": [{"type": {}, "function": {"name": "f"}}]}]})",
       "messages[0].tool_calls[0].type"},
      {R"({"messages": [{"role": "assistant", "tool_calls": [{}]}]})", "messages[0].tool_calls[0].function"},
      {R"({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]})",
       "messages[0].tool_calls[0].function.arguments"},
      {R"({"messages": [{"role": "user", "content": "raise"}]})", "messages"},
      {R"({"max_tokens": 0})", "max_tokens"},
      {R"({"max_tokens": 1.5})", "max_tokens"},
      {R"({"max_completion_tokens": 0})", "max_completion_tokens"},
      {R"({"max_completion_tokens": "5"})", "max_completion_tokens"},
      {R"({"max_tokens": 1000})", "messages"},
      {R"({"logprobs": 1})", "logprobs"},
      {R"({"top_logprobs": 1})", "top_logprobs"},
      {R"({"logprobs": true, "top_logprobs": 21})", "top_logprobs"},
      {R"({"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}]})",
       "tools[1].function.name"},
      {R"({"tools": [{"type": "function", "function": {"name": "f", "strict": 1}}]})", "tools[0].function.strict"},
      {R"({"tools": [{"type": "function", "function": {"name": "f", "strict": true, "parameters": {"not": {}}}}]})",
       "tools"},
      {R"({"tools": [{"type": "function", "function": {"name": "f"}}], "response_format": {"type": "json_object"}})",
       "tools"},
      {R"({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": {"type": "function", "function": {"name": "g"}}})",
       "tool_choice"},
      {R"({"parallel_tool_calls": 5})", "parallel_tool_calls"},
      {R"({"tools": [{"type": "web"}]})", "tools[0]"},
      {R"({"tools": [{"type": "function", "function": {}}]})", "tools[0].function"},
      {R"({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]})",
       "tools[0].function.parameters"},
      {R"({"tools": [{"type": "function", "function": {"name": "f", "description": 5}}]})",
       "tools[0].function.description"},
      {R"({"tool_choice": "required"})", "tool_choice"},
      {R"({"tool_choice": "maybe"})", "tool_choice"},
      {R"({"tool_choice": {"type": "function", "function": {"name": "f"}}})", "tool_choice"},
      {R"({"add_generation_prompt": "x"})", "add_generation_prompt"},
      {R"({"continue_final_message": true})", "continue_final_message"},
      {R"({"continue_final_message": true, "add_generation_prompt": true})", "continue_final_message"},
      {R"({"chat_template_kwargs": {"messages": []}})", "chat_template_kwargs.messages"},
      {R"({"chat_template_kwargs": 5})", "chat_template_kwargs"},
      {R"({"modalities": ["text", "audio"]})", "modalities"},
      {R"({"functions": [{"name": "f"}]})", "functions"},
  };
  for (const auto& field : wrong)
    check_refused(chat, chat_body(), field);
}

TEST_CASE("wrong fields of a completion", "[openai]") {
  const std::vector<wrong_field> wrong = {
      {R"({"prompt": null})", "prompt"},
      {R"({"prompt": []})", "prompt"},
      {R"({"prompt": ""})", "prompt"},
      {R"({"prompt": 5})", "prompt"},
      {R"({"prompt": {}})", "prompt"},
      {R"({"prompt": ["a", 5]})", "prompt[1]"},
      {R"({"prompt": [1, "a"]})", "prompt[1]"},
      {R"({"prompt": [[1], [2, -1]]})", "prompt[1][1]"},
      {R"({"prompt": [[1], "a"]})", "prompt[1]"},
      {R"({"prompt": [[]]})", "prompt"},
      {R"({"prompt": [100000]})", "prompt"},
      {R"({"prompt": [1.5]})", "prompt[0]"},
      {R"({"prompt": [true]})", "prompt[0]"},
      {R"({"max_tokens": -1})", "max_tokens"},
      {R"({"max_tokens": 0})", "max_tokens"},
      {R"({"max_tokens": 999})", "prompt"},
      {R"({"logprobs": true})", "logprobs"},
      {R"({"logprobs": 21})", "logprobs"},
      {R"({"echo": 1})", "echo"},
      {R"({"n": 2, "best_of": 3})", "best_of"},
      {R"({"best_of": "1"})", "best_of"},
      {R"({"add_special_tokens": 1})", "add_special_tokens"},
  };
  for (const auto& field : wrong)
    check_refused(completions, completion_body(), field);
  json many{{"prompt", json::array()}};
  for (int i = 0; i < 65; ++i)
    many["prompt"].push_back("p");
  check_refused(completions, completion_body(), {many.dump(), "prompt"});
  many["prompt"].erase(0);
  many["n"] = 3;
  check_refused(completions, completion_body(), {many.dump(), "n"});
}

TEST_CASE("prompts in every form", "[openai]") {
  const std::vector<std::pair<json, std::vector<std::vector<token_id>>>> forms = {
      {"a<|end|>b", {{'a', 256, 'b'}}},
      {{"a", "bc"}, {{'a'}, {'b', 'c'}}},
      {{1, 2, 3}, {{1, 2, 3}}},
      {json::parse("[[1,2],[260]]"), {{1, 2}, {260}}},
  };
  for (const auto& [form, expected] : forms) {
    stage s;
    s.post(completions, completion_body({{"prompt", form}}));
    const auto submissions = s.service->submissions();
    REQUIRE(submissions.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      CHECK(submissions[i].request.prompt == expected[i]);
  }
}

TEST_CASE("a begin token goes in front unless the client says no", "[openai]") {
  stage s;
  s.parts.model.vocabulary = std::make_shared<byte_tokenizer>(true);
  s.post(completions, completion_body());
  s.post(completions, completion_body({{"add_special_tokens", false}}));
  s.post(completions, completion_body({{"prompt", {5}}}));
  s.post(chat, chat_body());
  CHECK(s.submitted(0).prompt == std::vector<token_id>{257, 'a', 'b'});
  CHECK(s.submitted(1).prompt == std::vector<token_id>{'a', 'b'});
  CHECK(s.submitted(2).prompt == std::vector<token_id>{5});
  CHECK(s.submitted(3).prompt.front() == 258);  // the template writes what it wants
}

TEST_CASE("messages become the template's text", "[openai]") {
  const byte_tokenizer vocabulary;
  const auto prompt_of = [&](const json& more) { return vocabulary.decode(take(chat, chat_body(more)).prompt, true); };
  CHECK(prompt_of(json::object()) == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
  CHECK(prompt_of({{"add_generation_prompt", false}}) == "<|im_start|>user\nhi<|im_end|>\n");
  CHECK(prompt_of({{"chat_template_kwargs", {{"note", "N"}}}}).starts_with("N\n<|im_start|>"));
  const json parts = json::parse(R"([{"role": "developer", "content": "be brief"}, {"role": "user", "content":
    [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "eve"}, {"role": "assistant", "content": null},
    {"role": "tool", "content": "42", "tool_call_id": "c1"}])");
  CHECK(prompt_of({{"messages", parts}, {"add_generation_prompt", false}}) ==
        "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\na\nb<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n"
        "<|im_start|>user\n<tool_response>\n42\n</tool_response><|im_end|>\n");
  const json begun = json::parse(R"([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Well,"}])");
  CHECK(prompt_of({{"messages", begun}, {"continue_final_message", true}}).ends_with("<|im_start|>assistant\nWell,"));
  const json called = json::parse(R"([{"role": "assistant", "tool_calls": [{"id": "c", "type": "function",
    "function": {"name": "f", "arguments": "{\"b\": 1, \"a\": 2}"}}]}])");
  CHECK(prompt_of({{"messages", called}}).find(R"("arguments":{"b":1,"a":2})") != std::string::npos);
}

TEST_CASE("tools reach a template that knows them", "[openai]") {
  const json tools =
      json::parse(R"([{"type": "function", "function": {"name": "f", "parameters": {"z": 1, "a": 2}}}])");
  const byte_tokenizer vocabulary;
  stage s;
  s.parts.model.chat_uses_tools = true;
  s.post(chat, chat_body({{"tools", tools}, {"tool_choice", "auto"}}));
  s.post(chat, chat_body({{"tools", tools}, {"tool_choice", "none"}}));
  CHECK(vocabulary.decode(s.submitted(0).prompt, true).starts_with("tools: " + tools.dump()));
  CHECK(vocabulary.decode(s.submitted(1).prompt, true).starts_with("<|im_start|>"));
}

TEST_CASE("n choices have seeds of their own that do not depend on n", "[openai]") {
  stage s;
  s.post(chat, chat_body({{"n", 3}, {"seed", 7}}));
  s.post(chat, chat_body({{"n", 2}, {"seed", 7}}));
  s.post(chat, chat_body({{"seed", 7}}));
  s.post(completions, completion_body({{"prompt", {"x", "y"}}, {"n", 2}, {"seed", 7}}));
  const auto seed = [&](std::size_t i) { return s.submitted(i).sampling.seed; };
  CHECK(seed(0) == 7);
  CHECK(seed(1) != seed(0));
  CHECK(seed(2) != seed(1));
  CHECK(seed(3) == seed(0));
  CHECK(seed(4) == seed(1));
  CHECK(seed(5) == seed(0));
  CHECK(seed(8) == seed(0));  // prompt 1, choice 0: as if it had come alone
  CHECK(seed(9) == seed(1));
  CHECK(s.submitted(0).id != s.submitted(1).id);
  s.post(chat, chat_body());
  s.post(chat, chat_body());
  CHECK(seed(10) != seed(11));
}

TEST_CASE("objectives from headers and body", "[openai]") {
  using std::chrono::milliseconds;
  const http::header_list headers{{"X-Troupe-TTFT-ms", "250"},  {"x-troupe-tpot-ms", "40"},
                                  {"x-troupe-ttlt-ms", "700"},  {"x-troupe-deadline-ms", "9000"},
                                  {"x-troupe-priority", "-3"},  {"x-troupe-program", "run 7"},
                                  {"x-troupe-workflow", "sql"}, {"x-troupe-step", "revise"}};
  const auto taken = take(chat, chat_body(), headers);
  CHECK(taken.call.program == "run 7");
  CHECK(taken.call.workflow == "sql");
  CHECK(taken.call.step == "revise");
  CHECK(take(chat, chat_body({{"troupe", {{"step", "draft"}}}}), headers).call.step == "draft");
  const auto by_header = taken.objective;
  CHECK(by_header.ttlt == milliseconds(700));
  CHECK(by_header.ttft == milliseconds(250));
  CHECK(by_header.tpot == milliseconds(40));
  CHECK(by_header.deadline == milliseconds(9000));
  CHECK(by_header.priority == -3);
  const auto by_both =
      take(completions, completion_body({{"troupe", {{"ttft_ms", 100}, {"priority", 5}}}}), headers).objective;
  CHECK(by_both.ttft == milliseconds(100));
  CHECK(by_both.tpot == milliseconds(40));
  CHECK(by_both.priority == 5);
  CHECK(take(chat, chat_body({{"priority", 4}})).objective.priority == 4);
  for (const char* bad : {"0", "-1", "1.5", "x", "", "99999999999999999999", "5 "}) {
    stage s;
    const auto stream = s.post(chat, chat_body(), {{"x-troupe-deadline-ms", bad}});
    CHECK(stream->response().status == 400);
    CHECK(stream->body()["error"]["param"] == "x-troupe-deadline-ms");
  }
}

TEST_CASE("tenants are told apart by key and salt", "[openai]") {
  stage s;
  s.options.api_keys = {"alpha", "beta"};
  const auto tenant = [&](const char* key, json more) {
    s.post(chat, chat_body(more), {{"Authorization", std::string("Bearer ") + key}});
    return s.service->submissions().back().request.tenant;
  };
  const std::string alpha = tenant("alpha", json::object());
  CHECK(alpha == tenant("alpha", {{"user", "someone"}}));
  CHECK(alpha.find("alpha") == std::string::npos);
  CHECK(alpha != tenant("beta", json::object()));
  CHECK(alpha != tenant("alpha", {{"cache_salt", "s"}}));
  CHECK(tenant("alpha", {{"cache_salt", "s"}}) != tenant("beta", {{"cache_salt", "s"}}));
}
