// POST /v1/embeddings in OpenAI's shapes, and the model beside the other one.
#include "catch.hpp"
#include "fake_embeddings.hpp"
#include "fakes.hpp"

#include <cmath>
#include <cstring>

using namespace troupe;
using namespace troupe::testing;

namespace {

struct embedding_stage : stage {
  std::shared_ptr<byte_embeddings> embedder = std::make_shared<byte_embeddings>();

  embedding_stage() {
    options.inline_bytes = 1 << 20;  // all on this thread
    parts.embeddings.names = {"bytes"};
    parts.embeddings.service = embedder;
    parts.embeddings.created = 1700000001;
  }
  ~embedding_stage() { embedder->held.reset(); }

  json answer(const json& body) {
    const auto stream = post("/v1/embeddings", body);
    INFO(stream->response().body);
    CHECK(stream->response().status == 200);
    return stream->body();
  }
  void refused(const json& body, int status, const std::string& code, const json& param) {
    const auto stream = post("/v1/embeddings", body);
    INFO(body.dump() << "\n" << stream->response().body);
    CHECK(stream->response().status == status);
    const json failure = stream->body()["error"];
    CHECK(failure.size() == 4);
    CHECK(failure["code"] == code);
    CHECK(failure["param"] == param);
  }
};

double length_of(const std::vector<float>& vector) {
  double squares = 0;
  for (const float value : vector)
    squares += double{value} * double{value};
  return std::sqrt(squares);
}

std::vector<float> from_base64(const std::string& text) {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  int n_bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<std::uint32_t>(alphabet.find(c));
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    bytes += static_cast<char>(bits >> n_bits & 255);
  }
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

}  // namespace

TEST_CASE("embeddings have OpenAI's shape", "[openai][embeddings]") {
  embedding_stage s;
  const json made = s.answer({{"model", "bytes"}, {"input", {"ab", "c"}}});
  CHECK(made["object"] == "list");
  CHECK(made["model"] == "bytes");
  CHECK(made["usage"] == json{{"prompt_tokens", 3}, {"total_tokens", 3}});
  REQUIRE(made["data"].size() == 2);
  CHECK(made["data"][1]["object"] == "embedding");
  CHECK(made["data"][1]["index"] == 1);
  const auto vector = made["data"][0]["embedding"].get<std::vector<float>>();
  REQUIRE(vector.size() == byte_embeddings::n);
  CHECK(std::abs(vector[0] / vector[1] - 98.0f / 98.0f) < 1e-6f);  // 1 + 'a', 'b'
  CHECK(s.records.back().usage.prompt_tokens == 3);
  CHECK(s.records.back().route == "/v1/embeddings");
}

TEST_CASE("inputs are a text, tokens, or a list of either", "[openai][embeddings]") {
  embedding_stage s;
  const json text = s.answer({{"input", "ab"}})["data"];
  CHECK(text.size() == 1);
  CHECK(s.answer({{"input", {97, 98}}})["data"] == text);
  CHECK(s.answer({{"input", json::array({json::array({97, 98})})}})["data"] == text);
  CHECK(s.answer({{"input", json::array({"ab"})}, {"model", nullptr}, {"user", "u"}})["data"] == text);
  CHECK(s.answer({{"input", json(std::vector<std::string>(2048, "x"))}})["data"].size() == 2048);
}

TEST_CASE("base64 holds the same floats, and dimensions shorten", "[openai][embeddings]") {
  embedding_stage s;
  const auto whole = s.answer({{"input", "abcdefgh"}})["data"][0]["embedding"].get<std::vector<float>>();
  CHECK(std::abs(length_of(whole) - 1) < 1e-6);
  CHECK(from_base64(s.answer({{"input", "abcdefgh"}, {"encoding_format", "base64"}})["data"][0]["embedding"]) == whole);
  for (std::size_t n = 1; n <= whole.size(); ++n) {
    const json body = {{"input", "abcdefgh"}, {"dimensions", n}};
    const auto shorter = s.answer(body)["data"][0]["embedding"].get<std::vector<float>>();
    REQUIRE(shorter.size() == n);
    CHECK(std::abs(length_of(shorter) - 1) < 1e-6);
    CHECK(std::abs(shorter[n - 1] / shorter[0] - whole[n - 1] / whole[0]) < 1e-6f);
    json coded = body;
    coded["encoding_format"] = "base64";
    const std::string text = s.answer(coded)["data"][0]["embedding"];
    CHECK(text.size() == (4 * n + 2) / 3 * 4);
    CHECK(from_base64(text) == shorter);
  }
}

TEST_CASE("what is wrong with a request for embeddings is named", "[openai][embeddings]") {
  embedding_stage s;
  s.refused({{"input", "x"}, {"model", "none"}}, 404, "model_not_found", "model");
  s.refused({{"input", "x"}, {"model", "tiny"}}, 400, "unsupported_value", "model");
  s.refused({{"input", "x"}, {"model", 5}}, 400, "invalid_value", "model");
  s.refused(json::object(), 400, "invalid_value", "input");
  s.refused({{"input", nullptr}}, 400, "invalid_value", "input");
  s.refused({{"input", json::array()}}, 400, "invalid_value", "input");
  s.refused({{"input", 5}}, 400, "invalid_value", "input");
  s.refused({{"input", {"a", 5}}}, 400, "invalid_value", "input[1]");
  s.refused({{"input", {1, "a"}}}, 400, "invalid_value", "input[1]");
  s.refused({{"input", {1, -1}}}, 400, "invalid_value", "input[1]");
  s.refused({{"input", json(std::vector<std::string>(2049, "x"))}}, 400, "invalid_value", "input");
  s.refused({{"input", {"a", ""}}}, 400, "invalid_value", "input[1]");
  s.refused({{"input", {"a", std::string(65, 'x')}}}, 400, "context_length_exceeded", "input[1]");
  s.refused({{"input", "x"}, {"encoding_format", "hex"}}, 400, "invalid_value", "encoding_format");
  for (const json& wrong : {json(0), json(9), json(-1), json(1.5), json("8")})
    s.refused({{"input", "x"}, {"dimensions", wrong}}, 400, "invalid_value", "dimensions");
  s.embedder->is_full = true;
  s.refused({{"input", "x"}}, 429, "queue_full", nullptr);
  CHECK(s.post("/v1/embeddings", {{"input", "x"}})->header("Retry-After") == "1");
}

TEST_CASE("both models are listed", "[openai][embeddings]") {
  embedding_stage s;
  const json list = s.get("/v1/models")->body()["data"];
  REQUIRE(list.size() == 3);
  CHECK(list[2] == json::parse(R"({"id": "bytes", "object": "model", "created": 1700000001, "owned_by": "troupe",
    "root": "bytes", "parent": null, "max_model_len": 64})"));
  CHECK(s.get("/v1/models/bytes")->body() == list[2]);
  const json schemas = s.get("/openapi.json")->body()["components"]["schemas"];
  CHECK(schemas["embedding_request"]["properties"]["model"]["enum"] == json::parse(R"([null, "bytes"])"));
  CHECK(schemas["embedding_request"]["properties"]["dimensions"]["maximum"] == 8);
  CHECK(schemas["embedding_token_id"]["maximum"] == 255);
}

TEST_CASE("who has left is not answered, and is recorded once", "[openai][embeddings]") {
  embedding_stage s;
  s.embedder->holds = true;
  for (const bool answered_late : {true, false}) {
    const auto stream = s.post("/v1/embeddings", {{"input", "x"}});
    REQUIRE(s.embedder->held);
    CHECK(s.embedder->held->is_waiting());
    const std::size_t n_before = s.records.size();
    stream->disconnect();
    CHECK_FALSE(s.embedder->held->is_waiting());
    if (answered_late) s.embedder->held->on_end(embeddings{std::vector<float>(8, 0.5f), 1});
    s.embedder->held.reset();
    CHECK_FALSE(stream->ended());
    REQUIRE(s.records.size() == n_before + 1);
    CHECK(s.records.back().client_gone);
  }
}
