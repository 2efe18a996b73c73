// Bodies that are not what they should be: not JSON, too deep, too wide, or valid requests with a few bytes changed.
#include "base/random.hpp"
#include "base/utf8.hpp"
#include "catch.hpp"
#include "fakes.hpp"
#include "runtime/openai/json_parse.hpp"
#include "runtime/openai/json_text.hpp"

#include <set>

using namespace troupe;
using namespace troupe::testing;

namespace {

const std::string rich_chat = R"({"model":"tiny","messages":[{"role":"system","content":"be \u00e9 \ud83d\ude00"},
{"role":"user","content":[{"type":"text","text":"hi"}],"name":"eve"},{"role":"assistant","content":null,"tool_calls":
[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}],"temperature":0.5,"top_p":1,"n":2,"stop":["x","y"],
"logit_bias":{"5":1.5},"stream":true,"stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":3,"seed":-7,
"troupe":{"ttft_ms":100,"priority":1},"response_format":{"type":"text"},"chat_template_kwargs":{"note":"n"}})";

const std::string rich_completion =
    R"({"prompt":[[1,2,3],[260,5]],"max_tokens":5,"echo":true,"logprobs":2,"n":2,"best_of":2,
"stop_token_ids":[1],"min_tokens":1,"user":"u","cache_salt":"s","ignore_eos":true,"suffix":null})";

const std::vector<std::string> interesting = {
    "null", "true",     "-1",      "1e999",   "1.5",  "\"\"",         "[]",
    "{}",   "[[[[]]]]", "{\"a\":", "\\ud800", "\xFF", "\xED\xA0\x80", "99999999999999999999",
    "\"",   "NaN"};

std::string mutate(std::string text, random_stream& random) {
  const std::uint64_t changes = 1 + random.below(4);
  for (std::uint64_t i = 0; i < changes; ++i) {
    const std::size_t at = random.below(text.size() + 1);
    switch (random.below(5)) {
      case 0:
        text.insert(at, interesting[random.below(interesting.size())]);
        break;
      case 1:
        text.erase(at, 1 + random.below(8));
        break;
      case 2:
        text.insert(at, 1, static_cast<char>(random.below(256)));
        break;
      case 3:
        text.resize(at);
        break;
      default: {  // a value for another: what stands after a colon
        const auto colon = text.find(':', at);
        if (colon == std::string::npos) break;
        const auto end = text.find_first_of(",}", colon);
        if (end != std::string::npos)
          text.replace(colon + 1, end - colon - 1, interesting[random.below(interesting.size())]);
      }
    }
  }
  return text;
}

// A request is taken, or it is refused in the right shape with nothing submitted.
void check_taken_or_refused(const char* path, const std::string& body) {
  stage s;
  const auto stream = s.post_text(path, body);
  if (!s.service->submissions().empty()) {
    CHECK(stream->starts() == 0);
    for (auto& submission : s.service->submissions())
      speak(submission, "ok");
    CHECK(stream->ended());
    return;
  }
  INFO(body);
  REQUIRE(stream->starts() == 1);
  const json answer = stream->body();
  if (stream->response().status == 200) {
    CHECK(answer["choices"].size() > 0);  // echo alone
    return;
  }
  CHECK((stream->response().status == 400 || stream->response().status == 404));
  CHECK(answer["error"].size() == 4);
  CHECK(answer["error"]["code"].is_string());
}

}  // namespace

TEST_CASE("bodies that are not JSON are 400 with a sentence", "[openai]") {
  for (const std::string& body :
       {std::string(), std::string(" "), std::string("{"), std::string("[]"), std::string("5"), std::string("{} {}"),
        std::string("{'a': 1}"), std::string("{\"a\": NaN}"), std::string("{\"a\": Infinity}"),
        std::string("{\"a\": 1e999}"), std::string("{\"a\": \"\xFF\"}"), std::string("{\"a\": \"\xC0\xAF\"}"),
        std::string("{\"a\": \"\\ud800\"}"), std::string("{\"a\": \"\\udc00x\"}"), std::string("{\"a\": 01}"),
        std::string("{\"a\": 1,}"), std::string("\0{}", 3), std::string("{\"a\": \"\n\"}"), std::string("// c\n{}")}) {
    stage s;
    const auto stream = s.post_text("/v1/completions", body);
    INFO(body);
    CHECK(stream->response().status == 400);
    CHECK(stream->body()["error"]["code"] == "malformed_request");
  }
}

TEST_CASE("nesting and width are bounded", "[openai]") {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(openai::parse_json(nested(64)));
  CHECK_FALSE(openai::parse_json(nested(65)));
  CHECK_FALSE(openai::parse_json(std::string(1 << 20, '[')));
  CHECK(openai::parse_json("\"" + std::string(1000, '[') + "\""));  // text is not nesting
  CHECK(openai::parse_json("\"\\\"" + std::string(100, '[') + "\""));
  const auto wide = [](std::size_t members) {
    std::string text = "{";
    for (std::size_t i = 0; i < members; ++i)
      text += (i > 0 ? ",\"k" : "\"k") + std::to_string(i) + "\":[]";
    return text + "}";
  };
  CHECK(openai::parse_json(wide(1024)));
  CHECK_FALSE(openai::parse_json(wide(1025)));
  const auto many_objects = [&](std::size_t count) {
    std::string text = "[" + wide(1024);
    for (std::size_t i = 1; i < count; ++i)
      text += "," + wide(1024);
    return text + "]";
  };
  CHECK(openai::parse_json(many_objects(32)));
  CHECK_FALSE(openai::parse_json(many_objects(33)));
  const auto repeated = openai::parse_json(R"({"a": 1, "b": 2, "a": 3})");
  REQUIRE(repeated);
  CHECK((*repeated)["a"] == 3);
}

TEST_CASE("changed requests are taken or refused, never anything else", "[openai]") {
  check_taken_or_refused("/v1/chat/completions", rich_chat);
  check_taken_or_refused("/v1/completions", rich_completion);
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    random_stream random(seed);
    check_taken_or_refused("/v1/chat/completions", mutate(rich_chat, random));
    check_taken_or_refused("/v1/completions", mutate(rich_completion, random));
  }
}

TEST_CASE("strings are written as JSON reads them", "[openai]") {
  std::string all;
  for (char32_t c = 0; c < 0x800; ++c)
    append_utf8(all, c);
  append_utf8(all, 0x2028);
  append_utf8(all, 0x1F600);
  std::string written;
  openai::append_json_string(written, all);
  CHECK(json::parse(written).get<std::string>() == all);
  CHECK(written.find('\n') == std::string::npos);
  for (const float value : {0.0f, -1e-30f, -0.1f, -123456.78f, -1e20f}) {
    std::string number;
    openai::append_json_logprob(number, value);
    CHECK(json::parse(number).get<float>() == value);
  }
}
