#include "troupe/client.hpp"

#include "catch.hpp"
#include "runtime/gguf/tiny_model.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include <unistd.h>

using namespace troupe;

namespace {

// A tiny random model in a file of its own for the length of a test.
class tiny_file {
 public:
  tiny_file()
      : path_(std::filesystem::temp_directory_path() / ("troupe_client_" + std::to_string(getpid()) + ".gguf")) {
    const auto bytes = build_tiny_model({});
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  ~tiny_file() { std::filesystem::remove(path_); }
  std::string address() const { return "local:" + path_.string(); }

 private:
  std::filesystem::path path_;
};

sampling_params greedy(std::uint32_t max_tokens) {
  sampling_params sampling;
  sampling.temperature = 0.0f;
  sampling.max_tokens = max_tokens;
  sampling.ignore_eos = true;
  return sampling;
}

}  // namespace

TEST_CASE("a client streams, and the pieces are the whole text", "[client]") {
  const tiny_file model;
  auto client = client::connect(model.address(), {.threads = 1});
  REQUIRE(client);
  auto streamed = client->complete("Hello there", greedy(20));
  REQUIRE(streamed);
  std::string pieces;
  std::size_t tokens = 0;
  while (const auto piece = streamed->next()) {
    pieces += piece->text;
    tokens += piece->tokens.size();
  }
  const auto outcome = streamed->finish();
  CHECK(outcome.reason == finish_reason::length);
  CHECK(tokens == 20);
  CHECK(outcome.usage.completion_tokens == 20);
  auto again = client->complete("Hello there", greedy(20));
  REQUIRE(again);
  const auto whole = again->text();
  REQUIRE(whole);
  CHECK(*whole == pieces);
}

TEST_CASE("a conversation goes through the model's own template", "[client]") {
  const tiny_file model;
  auto client = client::connect(model.address(), {.threads = 1});
  REQUIRE(client);
  auto stream = client->chat({{"user", "Hi"}}, greedy(5));
  REQUIRE(stream);
  CHECK(stream->finish().usage.completion_tokens == 5);
  CHECK(client->models()->size() == 1);
}

TEST_CASE("an answer is held to a grammar, and a grammar that is none is refused", "[client]") {
  const tiny_file model;
  auto client = client::connect(model.address(), {.threads = 1});
  REQUIRE(client);
  auto sampling = greedy(20);
  sampling.grammar = {grammar_kind::gbnf, R"(root ::= "left" | "right")"};
  auto stream = client->complete("Hello", sampling);
  REQUIRE(stream);
  const auto text = stream->text();
  REQUIRE(text);
  CHECK((*text == "left" || *text == "right"));
  sampling.grammar.source = "root ::= up";
  auto refused = client->complete("Hello", sampling);
  REQUIRE(refused);
  const auto failure = refused->finish().failure;
  REQUIRE(failure);
  CHECK(failure->message.find("up") != std::string::npos);
}

TEST_CASE("cancel ends a stream soon, from any thread", "[client]") {
  const tiny_file model;
  auto client = client::connect(model.address(), {.threads = 1});
  REQUIRE(client);
  auto stream = client->complete("Hello", greedy(200));
  REQUIRE(stream);
  REQUIRE(stream->next());
  std::thread([&] { stream->cancel(); }).join();
  const auto outcome = stream->finish();
  CHECK((outcome.reason == finish_reason::cancelled || outcome.reason == finish_reason::length));
}

TEST_CASE("what is wrong is said", "[client]") {
  CHECK(client::connect("ftp://x").error().code == errc::invalid_argument);
  CHECK_FALSE(client::connect("local:/no/such/file.gguf"));
  CHECK(client::connect("http://127.0.0.1:1").error().code == errc::unavailable);
  const tiny_file model;
  auto client = client::connect(model.address(), {.threads = 1});
  REQUIRE(client);
  sampling_params bad;
  bad.top_p = 2.0f;
  CHECK(client->complete("x", bad).error().param == "top_p");
  client->close();
  CHECK(client->complete("x").error().code == errc::unavailable);
}
