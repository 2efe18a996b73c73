// What goes back to the client: whole answers, streams, logprobs in both styles, failures before and after the first
// byte.
#include "catch.hpp"
#include "fakes.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr const char* chat = "/v1/chat/completions";
constexpr const char* completions = "/v1/completions";

std::vector<json> chunks_of(const recording_stream& stream) {
  std::vector<json> chunks;
  for (const auto& event : stream.events())
    if (event != "[DONE]") chunks.push_back(json::parse(event));
  return chunks;
}

bool is_answer_id(const std::string& id, const std::string& prefix) {
  return id.size() == prefix.size() + 32 && id.starts_with(prefix) &&
         id.find_first_not_of("0123456789abcdef", prefix.size()) == std::string::npos;
}

std::string streamed_text(const recording_stream& stream) {
  std::string text;
  for (const json& chunk : chunks_of(stream))
    for (const json& choice : chunk["choices"])
      text += choice.contains("delta") ? choice["delta"].value("content", "") : choice["text"].get<std::string>();
  return text;
}

}  // namespace

TEST_CASE("a whole chat answer has OpenAI's shape", "[openai]") {
  stage s;
  const auto stream = s.post(chat, chat_body({{"model", "other"}}));
  CHECK_FALSE(stream->ended());
  auto submission = s.service->submissions().at(0);
  const std::vector<generated_token> tokens{byte_token(0, 'y'), byte_token(1, '"')};
  submission.observer->on_tokens(tokens);
  submission.observer->on_end(finish_reason::length, {12, 8, 2}, std::nullopt);
  REQUIRE(stream->response().status == 200);
  CHECK(stream->response().content_type == "application/json");
  json body = stream->body();
  CHECK(is_answer_id(body["id"], "chatcmpl-"));
  CHECK(body["created"].get<std::int64_t>() > 1700000000);
  body.erase("id");
  body.erase("created");
  CHECK(body ==
        json::parse(R"({"object": "chat.completion", "model": "other", "system_fingerprint": "fp_test", "choices":
    [{"index": 0, "message": {"role": "assistant", "content": "y\"", "refusal": null}, "logprobs": null,
      "finish_reason": "length"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14, "prompt_tokens_details": {"cached_tokens": 8}}})"));
  CHECK(s.records.size() == 1);
  CHECK(s.records[0].route == chat);
  CHECK(s.records[0].usage.completion_tokens == 2);
}

TEST_CASE("a whole completion of several prompts and choices", "[openai]") {
  stage s;
  const auto stream = s.post(completions, completion_body({{"prompt", {"ab", "cde"}}, {"n", 2}}));
  auto submissions = s.service->submissions();
  REQUIRE(submissions.size() == 4);
  speak(submissions[3], "four", finish_reason::length);
  speak(submissions[1], "two");
  speak(submissions[0], "one");
  CHECK_FALSE(stream->ended());
  speak(submissions[2], "three");
  const json body = stream->body();
  CHECK(is_answer_id(body["id"], "cmpl-"));
  CHECK(body["object"] == "text_completion");
  CHECK(body["choices"] == json::parse(R"([
    {"index": 0, "text": "one", "logprobs": null, "finish_reason": "stop"},
    {"index": 1, "text": "two", "logprobs": null, "finish_reason": "stop"},
    {"index": 2, "text": "three", "logprobs": null, "finish_reason": "stop"},
    {"index": 3, "text": "four", "logprobs": null, "finish_reason": "length"}])"));
  CHECK(body["usage"]["prompt_tokens"] == 5);  // a prompt counts once
  CHECK(body["usage"]["completion_tokens"] == 15);
}

TEST_CASE("a chat stream: role, text, finish, usage, done", "[openai]") {
  stage s;
  const auto stream = s.post(chat, chat_body({{"stream", true}, {"stream_options", {{"include_usage", true}}}}));
  auto submission = s.service->submissions().at(0);
  CHECK(stream->starts() == 0);  // a late refusal still gets its status
  generated_token held = byte_token(0, 'x');
  held.text.clear();
  submission.observer->on_tokens({&held, 1});
  CHECK(chunks_of(*stream).size() == 1);  // the role; nothing for a character that is not complete
  const std::vector<generated_token> pair{{1, 2, "é", 0.0f, {}}, {2, 3, "\n", 0.0f, {}}};
  submission.observer->on_tokens(pair);
  CHECK(chunks_of(*stream).size() == 2);  // one chunk a batch
  submission.observer->on_end(finish_reason::stop, {12, 0, 3}, std::nullopt);
  CHECK(stream->ended());
  CHECK(stream->response().content_type == "text/event-stream");
  auto chunks = chunks_of(*stream);
  REQUIRE(chunks.size() == 4);
  for (json& chunk : chunks) {
    CHECK(is_answer_id(chunk["id"], "chatcmpl-"));
    CHECK(chunk["id"] == chunks[0]["id"]);
    CHECK(chunk["object"] == "chat.completion.chunk");
    CHECK(chunk["model"] == "tiny");
    CHECK(chunk["system_fingerprint"] == "fp_test");
    CHECK(chunk.contains("created"));
  }
  CHECK(chunks[0]["choices"] == json::parse(R"([{"index": 0, "delta": {"role": "assistant", "content": ""},
    "logprobs": null, "finish_reason": null}])"));
  CHECK(chunks[1]["choices"] ==
        json::parse(R"([{"index": 0, "delta": {"content": "é\n"}, "logprobs": null, "finish_reason": null}])"));
  CHECK(chunks[2]["choices"] ==
        json::parse(R"([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": "stop"}])"));
  CHECK(chunks[2]["usage"].is_null());
  CHECK(chunks[3]["choices"].empty());
  CHECK(chunks[3]["usage"]["total_tokens"] == 15);
  CHECK(stream->events().back() == "[DONE]");
  for (const auto& event : stream->events())
    CHECK(event.find('\n') == std::string::npos);
}

TEST_CASE("a stream without usage has none, and a choice without text has its finish", "[openai]") {
  stage s;
  const auto stream = s.post(completions, completion_body({{"stream", true}, {"n", 2}}));
  auto submissions = s.service->submissions();
  submissions[1].observer->on_end(finish_reason::stop, {2, 0, 0}, std::nullopt);
  CHECK_FALSE(stream->ended());
  speak(submissions[0], "ok");
  CHECK(stream->ended());
  const auto chunks = chunks_of(*stream);
  REQUIRE(chunks.size() == 4);
  for (const json& chunk : chunks)
    CHECK_FALSE(chunk.contains("usage"));
  CHECK(chunks[0]["choices"] ==
        json::parse(R"([{"index": 1, "text": "", "logprobs": null, "finish_reason": "stop"}])"));
  CHECK(chunks[1]["choices"] == json::parse(R"([{"index": 0, "text": "o", "logprobs": null, "finish_reason": null}])"));
  CHECK(stream->events().back() == "[DONE]");
}

TEST_CASE("logprobs of a chat, whole and streamed", "[openai]") {
  const json expected = json::parse(R"({"content": [
    {"token": " the", "logprob": -0.5, "bytes": [32, 116, 104, 101], "top_logprobs": [
      {"token": " of", "logprob": -0.25, "bytes": [32, 111, 102]}, {"token": " the", "logprob": -0.5, "bytes": [32, 116, 104, 101]}]},
    {"token": "\ufffd", "logprob": -9999.0, "bytes": [226], "top_logprobs": []}], "refusal": null})");
  const std::vector<generated_token> tokens{
      {0, 260, " the", -0.5f, {{261, -0.25f}, {260, -0.5f}, {262, -3.0f}}},  // one more than asked for
      {1, 0xE2, "", -std::numeric_limits<float>::infinity(), {}}};
  for (const bool streamed : {false, true}) {
    stage s;
    const auto stream = s.post(chat, chat_body({{"logprobs", true}, {"top_logprobs", 2}, {"stream", streamed}}));
    auto submission = s.service->submissions().at(0);
    submission.observer->on_tokens(tokens);
    submission.observer->on_end(finish_reason::stop, {12, 0, 2}, std::nullopt);
    CHECK((streamed ? chunks_of(*stream).at(1) : stream->body())["choices"][0]["logprobs"] == expected);
  }
}

TEST_CASE("echo with logprobs, as lm-eval asks for it", "[openai]") {
  for (const bool streamed : {false, true}) {
    stage s;
    s.parts.model.vocabulary = std::make_shared<byte_tokenizer>(true);
    const auto stream = s.post(
        completions,
        completion_body({{"prompt", "é"}, {"echo", true}, {"logprobs", 1}, {"max_tokens", 1}, {"stream", streamed}}));
    auto submission = s.service->submissions().at(0);
    CHECK(submission.request.sampling.prompt_logprobs == 1);
    const std::vector<prompt_token_logprob> prompt{
        {257, 0.0f, {}}, {0xC3, -1.5f, {{260, -0.125f}}}, {0xA9, -0.5f, {{0xA9, -0.5f}}}};
    submission.observer->on_prompt_logprobs(prompt);
    const generated_token token{0, 260, " the", -2.0f, {{260, -2.0f}}};
    submission.observer->on_tokens({&token, 1});
    submission.observer->on_end(finish_reason::length, {3, 0, 1}, std::nullopt);
    const json choice = (streamed ? chunks_of(*stream).at(0) : stream->body())["choices"][0];
    CHECK(choice["text"] == "é the");
    CHECK(choice["logprobs"] == json::parse(R"({
      "tokens": ["<|begin|>", "bytes:\\xc3", "bytes:\\xa9", " the"],
      "token_logprobs": [null, -1.5, -0.5, -2.0],
      "top_logprobs": [null, {" the": -0.125, "bytes:\\xc3": -1.5}, {"bytes:\\xa9": -0.5}, {" the": -2.0}],
      "text_offset": [0, 0, 1, 1]})"));
  }
}

TEST_CASE("echo alone: the prompt comes back, without the model where nothing is to be computed", "[openai]") {
  stage s;
  const auto none = s.post(completions, completion_body({{"echo", true}, {"max_tokens", 0}}));
  REQUIRE(none->ended());
  CHECK(s.service->submissions().empty());
  CHECK(none->body()["choices"][0]["text"] == "ab");
  CHECK(none->body()["choices"][0]["finish_reason"] == "length");
  CHECK(none->body()["usage"]["prompt_tokens"] == 2);

  const auto scored = s.post(completions, completion_body({{"echo", true}, {"max_tokens", 0}, {"logprobs", 0}}));
  auto submission = s.service->submissions().at(0);
  const std::vector<prompt_token_logprob> prompt{{'a', 0.0f, {}}, {'b', -0.25f, {}}};
  submission.observer->on_prompt_logprobs(prompt);
  submission.observer->on_end(finish_reason::length, {2, 0, 0}, std::nullopt);
  CHECK(scored->body()["choices"][0]["logprobs"]["top_logprobs"] == json::parse(R"([null, {"b": -0.25}])"));

  const auto streamed =
      s.post(completions, completion_body({{"echo", true}, {"prompt", {260, 0xFF}}, {"stream", true}}));
  auto last = s.service->submissions().back();
  speak(last, "!");
  CHECK(streamed_text(*streamed) == " the\xEF\xBF\xBD!");
}

TEST_CASE("a failure before the first byte has its HTTP status", "[openai]") {
  const std::vector<std::tuple<errc, int, std::string, std::string>> table = {
      {errc::invalid_argument, 400, "invalid_request_error", "invalid_value"},
      {errc::context_length_exceeded, 400, "invalid_request_error", "context_length_exceeded"},
      {errc::unauthenticated, 401, "authentication_error", "invalid_api_key"},
      {errc::not_found, 404, "not_found_error", "not_found"},
      {errc::method_not_allowed, 405, "invalid_request_error", "method_not_allowed"},
      {errc::too_large, 413, "invalid_request_error", "request_too_large"},
      {errc::overloaded, 429, "rate_limit_error", "queue_full"},
      {errc::unavailable, 503, "overloaded_error", "service_unavailable"},
      {errc::deadline_exceeded, 408, "overloaded_error", "deadline_exceeded"},
      {errc::cancelled, 499, "invalid_request_error", "request_cancelled"},
      {errc::corrupt, 400, "invalid_request_error", "malformed_request"},
      {errc::unsupported, 400, "invalid_request_error", "unsupported_value"},
      {errc::internal, 500, "server_error", "internal_error"}};
  for (const auto& [code, status, type, name] : table) {
    stage s;
    s.service->on_submit = [&](auto& submission) {
      submission.observer->on_end(finish_reason::failed, {}, make_error(code, "Because \xFF."));
    };
    const auto stream = s.post(chat, chat_body({{"stream", true}}));
    CHECK(stream->response().status == status);
    const json error = stream->body()["error"];
    CHECK(error == json{{"message", "Because \xEF\xBF\xBD."}, {"type", type}, {"param", nullptr}, {"code", name}});
    CHECK(stream->header("Retry-After").empty() == (status != 429 && status != 503));
    CHECK(s.records.at(0).error_code == name);
  }
}

TEST_CASE("a failure in the middle of a stream is an error event and the end", "[openai]") {
  stage s;
  const auto stream = s.post(chat, chat_body({{"stream", true}, {"n", 2}}));
  auto submissions = s.service->submissions();
  const generated_token token = byte_token(0, 'x');
  submissions[0].observer->on_tokens({&token, 1});
  submissions[1].observer->on_end(finish_reason::failed, {}, make_error(errc::unavailable, "The last worker is gone."));
  CHECK(stream->ended());
  CHECK(stream->starts() == 1);
  const json last = json::parse(stream->events().back());
  CHECK(last["error"]["code"] == "service_unavailable");
  CHECK(s.service->cancelled().size() == 2);
  const auto before = stream->events().size();
  submissions[0].observer->on_tokens({&token, 1});
  submissions[0].observer->on_end(finish_reason::cancelled, {}, std::nullopt);
  CHECK(stream->events().size() == before);
}

TEST_CASE("one refused choice refuses the request and submits no more", "[openai]") {
  stage s;
  s.service->on_submit = [&](auto& submission) {
    if (s.service->submissions().size() == 2)
      submission.observer->on_end(finish_reason::failed, {}, make_error(errc::overloaded, "The queue is full."));
  };
  const auto stream = s.post(chat, chat_body({{"n", 4}}));
  CHECK(stream->response().status == 429);
  CHECK(stream->starts() == 1);
  CHECK(s.service->submissions().size() == 2);
  CHECK(s.service->cancelled().size() >= 2);
}

TEST_CASE("a client that goes cancels all its streams", "[openai]") {
  stage s;
  const auto stream = s.post(chat, chat_body({{"stream", true}, {"n", 3}}));
  auto submissions = s.service->submissions();
  const generated_token token = byte_token(0, 'x');
  submissions[0].observer->on_tokens({&token, 1});
  const auto before = stream->events().size();
  stream->disconnect();
  const auto cancelled = s.service->cancelled();
  REQUIRE(cancelled.size() == 3);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(cancelled[i] == submissions[i].request.id);
  submissions[1].observer->on_tokens({&token, 1});
  submissions[1].observer->on_end(finish_reason::cancelled, {}, std::nullopt);
  CHECK(stream->events().size() == before);
  REQUIRE(s.records.size() == 1);
  CHECK(s.records[0].client_gone);
  CHECK(s.records[0].streamed);
}

TEST_CASE("a client that went during the submission cancels what was submitted", "[openai]") {
  stage s;
  std::shared_ptr<recording_stream> stream = std::make_shared<recording_stream>();
  s.service->on_submit = [&](auto&) { stream->disconnect(); };
  s.endpoint = std::make_unique<openai::endpoint>(s.options, s.parts);
  s.endpoint->handle({"POST", chat, "", {}, chat_body({{"n", 2}}).dump()}, stream);
  REQUIRE(s.service->submissions().size() == 1);
  const auto cancelled = s.service->cancelled();
  CHECK(std::find(cancelled.begin(), cancelled.end(), s.submitted().id) != cancelled.end());
  CHECK(stream->starts() == 0);
}

TEST_CASE("a stream ended by an operator is an error, not a short answer", "[openai]") {
  stage s;
  const auto stream = s.post(chat, chat_body());
  s.service->submissions().at(0).observer->on_end(finish_reason::cancelled, {}, std::nullopt);
  CHECK(stream->response().status == 499);
}

TEST_CASE("prompts over the context are refused with their size", "[openai]") {
  stage s;
  const auto text = s.post(completions, completion_body({{"prompt", std::string(1001, 'x')}}));
  CHECK(text->response().status == 400);
  CHECK(text->body()["error"]["code"] == "context_length_exceeded");
  CHECK(text->body()["error"]["message"].get<std::string>().find("1001 in the prompt") != std::string::npos);
  const auto full = s.post(completions, completion_body({{"prompt", std::string(1000, 'x')}}));
  CHECK(full->body()["error"]["code"] == "context_length_exceeded");
  s.post(completions, completion_body({{"prompt", std::string(995, 'x')}}));
  CHECK(s.submitted().sampling.max_tokens == 5);  // the default of 16 is cut to the room there is
  CHECK(s.service->submissions().size() == 1);
}
