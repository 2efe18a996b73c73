#include "runtime/http/client.hpp"

#include "catch.hpp"
#include "runtime/http/event_parser.hpp"
#include "runtime/http/url.hpp"
#include "test_server.hpp"

#include <thread>

using namespace troupe;
using namespace troupe::http;
using namespace troupe::http::test;
using namespace std::chrono_literals;

namespace {

std::string at(const test_server& served, std::string_view path) {
  return "http://127.0.0.1:" + std::to_string(served.port()) + std::string(path);
}

std::vector<server_event> parse(std::string_view text, std::size_t piece) {
  std::vector<server_event> events;
  event_parser parser;
  for (std::size_t begin = 0; begin < text.size(); begin += piece) {
    const auto fed = parser.feed(text.substr(begin, piece), [&](const server_event& event) {
      events.push_back(event);
      return true;
    });
    REQUIRE(fed);
  }
  return events;
}

}  // namespace

TEST_CASE("events are parsed as the HTML standard says, wherever the bytes are cut", "[http]") {
  const std::string text =
      "\xEF\xBB\xBF"
      "data: first\n\n"
      ": a comment\r\n"
      "data:no blank\r\ndata:  two blanks\r\n\r\n"
      "event: add\rdata: a\rdata\rdata: c\r\r"
      "id: 7\nretry: 10\nunknown: x\ndata: with id\n\n"
      "event: nothing\n\n"
      "data\n\n"
      "data: cut short";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    const auto events = parse(text, piece);
    REQUIRE(events.size() == 5);
    CHECK(events[0].data == "first");
    CHECK(events[1].data == "no blank\n two blanks");
    CHECK(events[2].type == "add");
    CHECK(events[2].data == "a\n\nc");
    CHECK(events[3].type == "message");
    CHECK(events[3].id == "7");
    CHECK(events[3].data == "with id");
    CHECK(events[4].data.empty());
  }
}

TEST_CASE("an event over the limit is an error", "[http]") {
  event_parser parser(100);
  const auto fed = parser.feed("data: " + std::string(200, 'x'), [](const server_event&) { return true; });
  REQUIRE_FALSE(fed);
  CHECK(fed.error().code == errc::too_large);
}

TEST_CASE("URLs are taken apart, and what is wrong with one is said", "[http]") {
  const auto whole = parse_url("http://example.org:8000/v1/models?x=1#part");
  REQUIRE(whole);
  CHECK(whole->host == "example.org");
  CHECK(whole->port == "8000");
  CHECK(whole->authority == "example.org:8000");
  CHECK(whole->target == "/v1/models?x=1");
  const auto short_form = parse_url("HTTP://[::1]?q");
  REQUIRE(short_form);
  CHECK(short_form->host == "::1");
  CHECK(short_form->port == "80");
  CHECK(short_form->target == "/?q");
  const auto secure = parse_url("https://example.org/");
  REQUIRE_FALSE(secure);
  CHECK(secure.error().code == errc::unsupported);
  for (const auto* wrong :
       {"", "localhost:8000", "ftp://x", "http://", "http://:80/", "http://a:b/", "http://a:0/", "http://a:70000/",
        "http://[::1/", "http://[::1]x/", "http://a b/", "http://a/\r\nX: 1", "http://user@a/"}) {
    INFO(wrong);
    const auto parsed = parse_url(wrong);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == errc::invalid_argument);
  }
}

TEST_CASE("the client asks and is answered", "[http]") {
  test_server served;
  client asker;
  const auto hello = asker.request("GET", at(served, "/hello"));
  REQUIRE(hello);
  CHECK(hello->status == 200);
  CHECK(hello->content_type == "text/plain");
  CHECK(hello->body == "hello");
  const auto echoed = asker.request("POST", at(served, "/echo?a=b"), {{"X-Key", "v"}}, "the body");
  REQUIRE(echoed);
  CHECK(echoed->body == "POST /echo?a=b|the body");
  const auto missing = asker.request("GET", at(served, "/nowhere"));
  REQUIRE(missing);
  CHECK(missing->status == 404);
  const auto head = asker.request("HEAD", at(served, "/hello"));
  REQUIRE(head);
  CHECK(head->body.empty());
  const auto headers = asker.request("GET", at(served, "/headers"), {{"X-Key", "v"}});
  REQUIRE(headers);
  CHECK(headers->body.find("X-Key=v\n") != std::string::npos);
  const auto refused = asker.request("POST", at(served, "/echo"), {}, std::string(4'000'000, 'x'));
  REQUIRE(refused);
  CHECK(refused->status == 413);
}

TEST_CASE("the client says what went wrong", "[http]") {
  std::uint16_t closed_port = 0;
  {
    test_server briefly;
    closed_port = briefly.port();
  }
  client asker;
  const auto nobody = asker.request("GET", "http://127.0.0.1:" + std::to_string(closed_port) + "/");
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code == errc::unavailable);
  test_server served;
  const auto slow = asker.request("GET", at(served, "/hold"), {}, {}, 50ms);
  REQUIRE_FALSE(slow);
  CHECK(slow.error().code == errc::deadline_exceeded);
  CHECK_FALSE(asker.request("GET", at(served, "/"), {{"X", "a\r\nY: b"}}));
  CHECK_FALSE(asker.request("GET IT", at(served, "/")));
  client_limits bounds;
  bounds.body_bytes = 1000;
  const auto large = client(bounds).request("GET", at(served, "/large/1001"));
  REQUIRE_FALSE(large);
  CHECK(large.error().code == errc::too_large);
}

TEST_CASE("the client reads streams, to the end or as far as it wants", "[http]") {
  test_server served;
  client asker;
  std::string all;
  const auto whole = asker.stream_events(at(served, "/stream/5"), {}, "{}", [&](std::string_view data) {
    all += std::string(data) + ";";
    return true;
  });
  REQUIRE(whole);
  CHECK(whole->status == 200);
  CHECK(all == "0;1;2;3;4;");
  int seen = 0;
  const auto part =
      asker.stream_events(at(served, "/stream/500"), {}, "{}", [&](std::string_view) { return ++seen < 3; });
  CHECK(part);
  CHECK(seen == 3);
  const auto no_stream = asker.stream_events(at(served, "/nowhere"), {}, "{}", [](std::string_view) { return true; });
  REQUIRE(no_stream);
  CHECK(no_stream->status == 404);
  CHECK(no_stream->body == "no such path");
}

TEST_CASE("a stream that is cut, silent or cancelled is an error of its kind", "[http]") {
  test_server served;
  client asker;
  const auto follow = [&](std::chrono::milliseconds silence) {
    return asker.stream_events(
        at(served, "/hold"), {}, "{}", [](std::string_view) { return true; }, silence);
  };
  std::thread cutter([&] {
    auto stream = served.wait_held();
    stream->start_events({});
    stream->send_event("half");
  });
  const auto cut = follow(5s);
  cutter.join();
  REQUIRE_FALSE(cut);
  CHECK(cut.error().code == errc::unavailable);

  std::shared_ptr<response_stream> kept;
  std::thread holder([&] {
    kept = served.wait_held();
    kept->start_events({});
  });
  const auto silent = follow(60ms);
  holder.join();
  REQUIRE_FALSE(silent);
  CHECK(silent.error().code == errc::deadline_exceeded);

  std::atomic<bool> gone = false;
  std::thread canceller([&] {
    const auto stream = served.wait_held();
    stream->on_disconnect([&] { gone = true; });
    stream->start_events({});
    asker.cancel();
    eventually([&] { return gone.load(); });
  });
  const auto cancelled = follow(5s);
  canceller.join();
  REQUIRE_FALSE(cancelled);
  CHECK(cancelled.error().code == errc::cancelled);
  CHECK(gone);
}
