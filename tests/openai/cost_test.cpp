// What the endpoint costs. Hidden from ordinary runs, since a busy machine makes any bound on time a lie:
//   test_openai "[cost]"
#include "catch.hpp"
#include "fakes.hpp"
#include "runtime/openai/answer_writer.hpp"
#include "runtime/openai/json_parse.hpp"

#include <chrono>
#include <cstdio>

using namespace troupe;
using namespace troupe::testing;

namespace {

/// Takes every event and keeps none.
class silent_stream final : public http::response_stream {
 public:
  void send(http::response) override {}
  void start_events(http::header_list) override {}
  void send_event(std::string_view data) override { bytes += data.size(); }
  void end_events() override {}
  void on_disconnect(std::function<void()>) override {}
  std::size_t bytes = 0;
};

/// The least of five runs, in microseconds for each of `count` calls.
template <class Work>
double microseconds_each(std::size_t count, Work&& work) {
  double least = 1e30;
  for (int run = 0; run < 5; ++run) {
    const auto began = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < count; ++i)
      work();
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - began;
    least = std::min(least, took.count() / static_cast<double>(count));
  }
  return least;
}

}  // namespace

TEST_CASE("cost of a streamed token, from observer to event", "[.cost]") {
  for (const bool with_logprobs : {false, true}) {
    stage s;
    json body = chat_body({{"stream", true}});
    if (with_logprobs) body.update({{"logprobs", true}, {"top_logprobs", 5}});
    s.endpoint = std::make_unique<openai::endpoint>(s.options, s.parts);
    const auto stream = std::make_shared<silent_stream>();
    s.endpoint->handle({"POST", "/v1/chat/completions", "", {}, body.dump()}, stream);
    auto submission = s.service->submissions().at(0);
    generated_token token{0, byte_tokenizer::word_id, " the", -0.5f, {}};
    for (token_id id = 'a'; id < 'f'; ++id)
      token.top.push_back({id, -1.0f});
    const double each = microseconds_each(20000, [&] { submission.observer->on_tokens({&token, 1}); });
    std::printf("a streamed token%s: %.2f us\n", with_logprobs ? " with 5 logprobs" : "", each);
    CHECK(stream->bytes > 100000 * 200);  // every token went out
    submission.observer->on_end(finish_reason::stop, {}, std::nullopt);
  }
}

TEST_CASE("cost of taking a request, from bytes to submission", "[.cost]") {
  for (const std::size_t words : {10, 500}) {
    stage s;
    s.parts.model.context_length = 1 << 20;
    s.options.inline_bytes = 1 << 20;
    std::string text;
    for (std::size_t i = 0; i < words; ++i)
      text += "word ";
    const std::string body =
        chat_body({{"messages", json::array({{{"role", "user"}, {"content", text}}})}, {"temperature", 0.7}}).dump();
    s.endpoint = std::make_unique<openai::endpoint>(s.options, s.parts);
    const auto stream = std::make_shared<silent_stream>();
    const double each = microseconds_each(200, [&] {
      s.endpoint->handle({"POST", "/v1/chat/completions", "", {}, body}, stream);
    });
    std::printf("a request of %zu bytes, with a tokenizer that costs little: %.1f us\n", body.size(), each);
    CHECK(s.service->submissions().size() == 1000);
  }
}

TEST_CASE("cost of reading a large body", "[.cost]") {
  std::string ids = "[0";
  while (ids.size() < (1 << 20) - 8)
    ids += ",12345";
  ids += "]";
  const std::string wide = [] {  // as wide as is allowed
    std::string text = "[";
    for (std::size_t object = 0; object < openai::max_json_members_total / openai::max_json_members; ++object) {
      text += object > 0 ? ",{" : "{";
      for (std::size_t i = 0; i < openai::max_json_members; ++i)
        text += (i > 0 ? ",\"member" : "\"member") + std::to_string(i) + "\":0";
      text += "}";
    }
    return text + "]";
  }();
  for (const auto& [name, body] : {std::pair("token ids", ids), std::pair("the widest objects", wide)}) {
    const double each = microseconds_each(2, [&, &text = body] { CHECK(openai::parse_json(text)); });
    std::printf("parsing %zu KiB of %s: %.1f ms\n", body.size() / 1024, name, each / 1000);
  }
}
