// Routes, methods, keys, cross-origin requests, identifiers, health, and the document that describes them.
#include "catch.hpp"
#include "fakes.hpp"
#include "runtime/openai/client_identity.hpp"
#include "runtime/openai/errors.hpp"
#include "runtime/openai/routes.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

using namespace troupe;
using namespace troupe::testing;

namespace {

void check_error(const recording_stream& stream, int status, const std::string& code) {
  INFO(stream.response().body);
  CHECK(stream.response().status == status);
  const json error = stream.body()["error"];
  CHECK(error.size() == 4);
  CHECK(error["code"] == code);
}

// Waits, at most five seconds, for what another thread is about to do.
template <class Condition>
bool soon(Condition condition) {
  for (int i = 0; i < 5000 && !condition(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return condition();
}

}  // namespace

TEST_CASE("models, by all their names", "[openai]") {
  stage s;
  const json list = s.get("/v1/models")->body();
  CHECK(list["object"] == "list");
  REQUIRE(list["data"].size() == 2);
  CHECK(list["data"][1] ==
        json::parse(R"({"id": "other", "object": "model", "created": 1700000000, "owned_by": "troupe",
    "root": "tiny", "parent": null, "max_model_len": 1000})"));
  CHECK(s.get("/v1/models/other/")->body()["id"] == "other");
  check_error(*s.get("/v1/models/none"), 404, "model_not_found");
  s.parts.model.names = {"org/with-slash"};
  s.endpoint.reset();
  CHECK(s.get("/v1/models/org/with-slash")->body()["id"] == "org/with-slash");
  const auto unknown = s.post("/v1/completions", completion_body());
  check_error(*unknown, 404, "model_not_found");
  CHECK(unknown->body()["error"]["type"] == "not_found_error");
}

TEST_CASE("tokenize and detokenize in vLLM's shapes", "[openai]") {
  stage s;
  CHECK(s.post("/tokenize", {{"prompt", "a<|end|>"}, {"return_token_strs", true}})->body() ==
        json::parse(R"({"count": 2, "max_model_len": 1000, "tokens": [97, 256], "token_strs": ["a", "<|end|>"]})"));
  const json chat = s.post("/tokenize", {{"model", "tiny"}, {"messages", chat_body()["messages"]}})->body();
  CHECK(chat["tokens"][0] == 258);
  CHECK(chat["token_strs"].is_null());
  CHECK(s.post("/detokenize", {{"tokens", chat["tokens"]}})->body()["prompt"] ==
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
  CHECK(s.post("/detokenize", {{"tokens", json::array()}})->body()["prompt"] == "");
  const std::vector<std::pair<const char*, json>> wrong = {
      {"prompt", json::object()},
      {"prompt", {{"prompt", 5}}},
      {"messages", {{"messages", 5}}},
      {"tokens", {{"tokens", "a"}}},
      {"tokens[0]", {{"tokens", {-1}}}},
      {"tokens", {{"tokens", {100000}}}},
      {"return_token_strs", {{"prompt", "a"}, {"return_token_strs", 1}}}};
  for (const auto& [param, body] : wrong) {
    const auto stream = s.post(body.contains("tokens") ? "/detokenize" : "/tokenize", body);
    check_error(*stream, 400, "invalid_value");
    CHECK(stream->body()["error"]["param"] == param);
  }
  check_error(*s.post("/tokenize", {{"prompt", "a"}, {"model", "none"}}), 404, "model_not_found");
  check_error(*s.post("/detokenize", {{"tokens", {1}}, {"model", "none"}}), 404, "model_not_found");
}

TEST_CASE("the tokenizer describes itself as lm-eval's remote tokenizer wants it", "[openai]") {
  stage s;
  CHECK(s.get("/tokenizer_info")->body() ==
        json::parse(R"({"tokenizer_class": "byte_level_bpe", "bos_token": "<|begin|>",
    "eos_token": "<|end|>", "add_bos_token": false, "vocab_size": 263, "model_max_length": 1000})"));
}

TEST_CASE("health follows the service, liveness does not", "[openai]") {
  stage s;
  s.service->current.requests_running = 3;
  CHECK(s.get("/health")->body()["requests_running"] == 3);
  CHECK(s.get("/health/ready")->response().status == 200);
  s.service->current.ready = false;
  for (const char* path : {"/health", "/health/ready"}) {
    const auto stream = s.get(path);
    check_error(*stream, 503, "service_unavailable");
    CHECK(stream->header("Retry-After") == "1");
  }
  CHECK(s.get("/health/live")->response().status == 200);
}

TEST_CASE("version, metrics, embeddings and page", "[openai]") {
  stage s;
  s.parts.find_page_asset = [](std::string_view path) -> std::optional<http::response> {
    if (path != "/") return std::nullopt;
    return http::response{200, "text/html", {}, "<p>hello</p>"};
  };
  CHECK(s.get("/version")->body() == json{{"version", "1.2.3"}});
  CHECK(s.get("/metrics")->response().body == "troupe_requests_total 1\n");
  CHECK(s.get("/metrics")->response().content_type.starts_with("text/plain"));
  CHECK(s.get("/")->response().body == "<p>hello</p>");
  CHECK_FALSE(s.get("/")->header("x-request-id").empty());
  check_error(*s.post("/", json::object()), 405, "method_not_allowed");
  check_error(*s.get("/nothing"), 404, "not_found");
  check_error(*s.get("/nothing\xFF"), 404, "not_found");
  check_error(*s.post("/v1/embeddings", {{"input", "x"}}), 400, "unsupported_value");
  s.parts.expose_metrics = nullptr;
  s.endpoint.reset();
  check_error(*s.get("/metrics"), 404, "not_found");
}

TEST_CASE("the wrong method is told the right one", "[openai]") {
  stage s;
  for (const auto& route : openai::routes) {
    std::string path(route.path);
    if (path.ends_with("{id}")) path.replace(path.size() - 4, 4, "tiny");
    for (const char* method : {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "junk"}) {
      const auto stream = s.send({method, path, "", {}, ""});
      const bool right = openai::allows(route, method);
      INFO(method << " " << path);
      CHECK((stream->response().status == 405) == !right);
      if (!right) CHECK(stream->header("Allow") == openai::allowed_methods(route));
    }
  }
}

TEST_CASE("keys guard what they should", "[openai]") {
  stage s;
  s.options.api_keys = {"alpha", "beta"};
  for (const auto& route : openai::routes) {
    const bool open = route.path.starts_with("/health") || route.path == "/version";
    CHECK(route.needs_key == !open);
    const std::string method(route.method);
    const std::string path(route.path);
    const auto with = [&](http::header_list headers) {
      return s.send({method, path, "", headers, ""})->response().status;
    };
    CHECK((with({}) == 401) == route.needs_key);
    CHECK((with({{"Authorization", "Bearer gamma"}}) == 401) == route.needs_key);
    CHECK((with({{"Authorization", "Bearer "}}) == 401) == route.needs_key);
    CHECK((with({{"Authorization", "alpha"}}) == 401) == route.needs_key);
    CHECK(with({{"Authorization", "bearer beta"}}) != 401);
    CHECK(with({{"authorization", "Bearer alpha"}}) != 401);
  }
  const auto refused = s.get("/v1/models");
  check_error(*refused, 401, "invalid_api_key");
  CHECK(refused->header("WWW-Authenticate") == "Bearer");
}

TEST_CASE("cross-origin requests only from origins that are named", "[openai]") {
  const http::header_list preflight{{"Origin", "https://a.example"},
                                    {"Access-Control-Request-Method", "POST"},
                                    {"Access-Control-Request-Headers", "authorization, x-stainless-lang"}};
  const http::request asks{"OPTIONS", "/v1/completions", "", preflight, ""};
  stage off;
  CHECK(off.send(asks)->response().status == 405);
  stage s;
  s.options.allowed_origins = {"https://a.example"};
  s.options.api_keys = {"k"};
  const auto answer = s.send(asks);
  CHECK(answer->response().status == 204);
  CHECK(answer->header("Access-Control-Allow-Origin") == "https://a.example");
  CHECK(answer->header("Access-Control-Allow-Headers") == "authorization, x-stainless-lang");
  CHECK(answer->header("Access-Control-Allow-Methods") == "POST");
  const auto version = s.send({"GET", "/version", "", {{"Origin", "https://a.example"}}, ""});
  CHECK(version->header("Access-Control-Allow-Origin") == "https://a.example");
  const auto other = s.send({"GET", "/version", "", {{"Origin", "https://b.example"}}, ""});
  CHECK(other->header("Access-Control-Allow-Origin").empty());
  http::request smuggles = asks;
  smuggles.headers[2].second = "x\r\nSet-Cookie: a=b";
  CHECK(s.send(smuggles)->header("Access-Control-Allow-Headers").empty());
}

TEST_CASE("only JSON is read, so that a page elsewhere cannot post unasked", "[openai]") {
  stage s;
  const std::string body = chat_body().dump();
  CHECK(s.send({"POST", "/v1/chat/completions", "", {{"Content-Type", "text/plain"}}, body})->response().status == 400);
  s.send({"POST", "/v1/chat/completions", "", {}, body});
  s.send({"POST", "/v1/chat/completions/", "", {{"Content-Type", "application/json; charset=utf-8"}}, body});
  CHECK(s.service->submissions().size() == 2);
}

TEST_CASE("request ids come back, clean or made anew", "[openai]") {
  stage s;
  const auto id_for = [&](std::string given) {
    return s.send({"GET", "/version", "", {{"X-Request-Id", std::move(given)}}, ""})->header("x-request-id");
  };
  CHECK(id_for("abc-1.2:3_Z") == "abc-1.2:3_Z");
  for (const std::string& bad : {std::string(), std::string("a b"), std::string("a\r\nb"), std::string(129, 'a')}) {
    CHECK(id_for(bad).size() == 32);
    CHECK(id_for(bad) != id_for(bad));
  }
  const std::string valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const auto trace_of = [&](std::string given) {
    s.send({"GET", "/version", "", {{"traceparent", std::move(given)}}, ""});
    return s.records.back().traceparent;
  };
  CHECK(trace_of(valid) == valid);
  CHECK(trace_of("cc" + valid.substr(2) + "-more") == "cc" + valid.substr(2));
  CHECK(trace_of(valid + "-more").empty());
  CHECK(trace_of("ff" + valid.substr(2)).empty());
  CHECK(trace_of("00-00000000000000000000000000000000-00f067aa0ba902b7-01").empty());
  CHECK(trace_of("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01").empty());
  CHECK(trace_of("x").empty());
}

TEST_CASE("a grammar is compiled on the endpoint's own thread the first time", "[openai]") {
  stage s;
  s.options.queue_grammars = true;
  std::atomic<int> submitted{0};
  std::thread::id submitter;
  s.service->on_submit = [&](scripted_service::submission& to) {
    submitter = std::this_thread::get_id();
    speak(to, "a");
    ++submitted;
  };
  const auto ask = [&](const char* grammar) {
    const int before = submitted;
    s.post("/v1/completions", completion_body({{"grammar", grammar}}));
    REQUIRE(soon([&] { return submitted == before + 1; }));
    return submitter == std::this_thread::get_id();
  };
  CHECK_FALSE(ask(R"(root ::= "a")"));
  CHECK(ask(R"(root ::= "a")"));  // known now
  CHECK_FALSE(ask(R"(root ::= "b")"));
  const auto bad = s.post("/v1/completions", completion_body({{"grammar", "root ::= root"}}));
  REQUIRE(soon([&] { return bad->ended(); }));
  CHECK(bad->response().status == 400);
}

TEST_CASE("long bodies are prepared on the endpoint's thread, and no more than it can hold", "[openai]") {
  stage s;
  s.options.preparation_jobs = 2;
  s.parts.model.context_length = 100000;
  std::atomic<bool> hold = true;
  std::atomic<int> held = 0;
  std::atomic<std::thread::id> submitter;
  s.service->on_submit = [&](auto&) {
    submitter = std::this_thread::get_id();
    ++held;
    while (hold)
      std::this_thread::yield();
  };
  const json longer = completion_body({{"prompt", std::string(5000, 'x')}});
  s.post("/v1/completions", longer);
  REQUIRE(soon([&] { return held == 1; }));
  CHECK(submitter.load() != std::this_thread::get_id());
  std::vector<std::shared_ptr<recording_stream>> streams;
  for (int i = 0; i < 4; ++i)
    streams.push_back(s.post("/v1/completions", longer));
  check_error(*streams[2], 429, "queue_full");
  CHECK(streams[3]->header("Retry-After") == "1");
  CHECK(s.get("/version")->response().status == 200);  // this thread is free
  hold = false;
  CHECK(soon([&] { return s.service->submissions().size() == 3; }));
  s.post("/v1/completions", completion_body());
  CHECK(submitter.load() == std::this_thread::get_id());  // a small one costs no change of thread
}

TEST_CASE("an endpoint that closes refuses what it has not begun", "[openai]") {
  stage s;
  s.parts.model.context_length = 100000;
  std::atomic<bool> hold = true;
  std::atomic<int> held = 0;
  s.service->on_submit = [&](auto&) {
    ++held;
    while (hold)
      std::this_thread::yield();
  };
  const json longer = completion_body({{"prompt", std::string(5000, 'x')}});
  s.post("/v1/completions", longer);
  REQUIRE(soon([&] { return held == 1; }));
  const auto waiting = s.post("/v1/completions", longer);
  std::thread closing([&] { s.endpoint.reset(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  hold = false;
  closing.join();
  CHECK(waiting->ended());
  check_error(*waiting, 503, "service_unavailable");
}

TEST_CASE("openapi.json and the routes agree", "[openai]") {
  stage s;
  const auto stream = s.get("/openapi.json");
  CHECK(stream->response().body.find("\"@") == std::string::npos);  // every placeholder is filled
  const json document = stream->body();
  CHECK(document["openapi"] == "3.1.0");
  CHECK(document["info"]["version"] == "1.2.3");
  CHECK(document["paths"].size() == openai::routes.size());
  for (const auto& route : openai::routes) {
    const json& path = document["paths"].at(std::string(route.path));
    CHECK(path.size() == 1);
    const json& operation = path.at(route.method == "GET" ? "get" : "post");
    CHECK(operation.contains("security") == route.needs_key);
    CHECK(operation["responses"].contains("401") == route.needs_key);
  }
  const json& schemas = document["components"]["schemas"];
  CHECK(schemas["model_name"]["enum"] == json::parse(R"([null, "tiny", "other"])"));
  CHECK(schemas["token_id"]["maximum"] == 262);
  CHECK(schemas["chat_request"]["properties"]["n"]["maximum"] == 8);
}

TEST_CASE("what the HTTP server refuses has the same shape", "[openai]") {
  const std::vector<std::pair<int, const char*>> table = {
      {400, "malformed_request"}, {408, "request_timeout"},     {413, "request_too_large"}, {431, "headers_too_large"},
      {500, "internal_error"},    {503, "service_unavailable"}, {505, "internal_error"},    {414, "malformed_request"}};
  for (const auto& [status, code] : table) {
    const auto response = openai::format_server_refusal(status, "Because.");
    CHECK(response.status == status);
    const json error = json::parse(response.body)["error"];
    CHECK(error.size() == 4);
    CHECK(error["code"] == code);
    CHECK(error["param"].is_null());
  }
}

TEST_CASE("texts are compared whole", "[openai]") {
  CHECK(openai::equal_in_constant_time("", ""));
  CHECK(openai::equal_in_constant_time("abc", "abc"));
  CHECK_FALSE(openai::equal_in_constant_time("abc", "abd"));
  CHECK_FALSE(openai::equal_in_constant_time("abc", "ab"));
}

TEST_CASE("a page's file that the client holds already is not sent again", "[openai]") {
  stage s;
  s.parts.find_page_asset = [](std::string_view path) -> std::optional<http::response> {
    if (path != "/") return std::nullopt;
    return http::response{200, "text/html", {{"etag", "\"abc\""}}, "<p>"};
  };
  CHECK(s.get("/")->response().body == "<p>");
  const auto again = s.send({"GET", "/", "", {{"If-None-Match", "\"abc\""}}, ""});
  CHECK(again->response().status == 304);
  CHECK(again->response().body.empty());
  CHECK(again->header("etag") == "\"abc\"");
  CHECK(s.send({"GET", "/", "", {{"If-None-Match", "\"old\""}}, ""})->response().status == 200);
}
