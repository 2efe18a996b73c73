// What a well-behaved client sees.
#include "runtime/http/server.hpp"

#include "catch.hpp"
#include "raw_client.hpp"
#include "test_server.hpp"

#include <thread>

using namespace troupe;
using namespace troupe::http;
using namespace troupe::http::test;
using namespace std::chrono_literals;

namespace {

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
    ++found;
  return found;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a connection is kept for several requests", "[http]") {
  test_server served;
  raw_client client(served.port());
  for (int i = 0; i < 3; ++i) {
    client.forget();
    REQUIRE(client.send(get("/hello")));
    REQUIRE(client.read_until("\r\n\r\nhello"));
    CHECK(contains(client.received(), "HTTP/1.1 200 OK\r\n"));
    CHECK(contains(client.received(), "content-length: 5\r\n"));
    CHECK(contains(client.received(), "connection: keep-alive\r\n"));
    CHECK(contains(client.received(), "\r\ndate: "));
  }
  CHECK(served.server().status().requests_total == 3);
  CHECK(served.server().status().connections == 1);
}

TEST_CASE("Connection: close and HTTP/1.0 end the connection after the answer", "[http]") {
  test_server served;
  for (const auto& asked : {get("/hello", "Connection: close\r\n"), std::string("GET /hello HTTP/1.0\r\n\r\n")}) {
    raw_client client(served.port());
    REQUIRE(client.send(asked));
    REQUIRE(client.read_to_end());
    CHECK(contains(client.received(), "connection: close\r\n"));
    CHECK(contains(client.received(), "hello"));
  }
  raw_client old_but_kept(served.port());
  REQUIRE(old_but_kept.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  REQUIRE(old_but_kept.read_until("hello"));
  CHECK(contains(old_but_kept.received(), "connection: keep-alive\r\n"));
}

TEST_CASE("pipelined requests are answered in order, however they are cut", "[http]") {
  test_server served;
  std::string asked;
  for (int i = 0; i < 50; ++i) {
    asked += i % 3 == 0 ? get("/stream/3") : post("/echo?n=" + std::to_string(i), "body" + std::to_string(i));
  }
  const auto piece = GENERATE(std::size_t{7}, std::size_t{1000}, std::size_t{1} << 20);
  raw_client client(served.port());
  for (std::size_t at = 0; at < asked.size(); at += piece)
    REQUIRE(client.send(std::string_view(asked).substr(at, piece)));
  REQUIRE(client.read_until("n=49|body49"));
  CHECK(count(client.received(), "HTTP/1.1 200 OK") == 50);
  std::size_t last = 0;
  for (int i = 1; i < 50; ++i) {
    if (i % 3 == 0) continue;
    const auto at = client.received().find("POST /echo?n=" + std::to_string(i) + "|body" + std::to_string(i), last);
    REQUIRE(at != std::string::npos);
    last = at;
  }
}

TEST_CASE("a request that waits behind a stream is answered after it", "[http]") {
  test_server served;
  raw_client client(served.port());
  REQUIRE(client.send(get("/hold") + get("/hello")));
  const auto stream = served.wait_held();
  std::this_thread::sleep_for(20ms);
  stream->start_events({});
  stream->send_event("late");
  stream->end_events();
  REQUIRE(client.read_until("\r\n\r\nhello"));
  CHECK(client.received().find("data: late") < client.received().find("hello"));
}

TEST_CASE("request bodies come by length or in chunks, and trailers change nothing", "[http]") {
  test_server served;
  raw_client client(served.port());
  REQUIRE(
      client.send("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3\r\nabc\r\nA;ext=\"quoted;x\"\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n"));
  REQUIRE(client.read_until("POST /echo?|abc0123456789"));
  client.forget();
  REQUIRE(
      client.send("POST /headers HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n1\r\na\r\n0\r\nAuthorization: x\r\n\r\n"));
  REQUIRE(client.read_until("Transfer-Encoding=chunked"));
  CHECK_FALSE(contains(client.received(), "Authorization"));
}

TEST_CASE("Expect: 100-continue is answered before the body is sent", "[http]") {
  test_server served;
  raw_client client(served.port());
  REQUIRE(client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"));
  REQUIRE(client.read_until("HTTP/1.1 100 Continue\r\n\r\n"));
  REQUIRE(client.send("body"));
  REQUIRE(client.read_until("|body"));
}

TEST_CASE("targets are decoded once, and odd forms are understood or refused", "[http]") {
  test_server served;
  const auto answer = [&](std::string_view target) {
    raw_client client(served.port());
    client.send("GET " + std::string(target) + " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    client.read_to_end();
    return client.received();
  };
  CHECK(contains(answer("/%65cho?a=%20&b"), "GET /echo?a=%20&b|"));
  CHECK(contains(answer("http://elsewhere:80/echo?q"), "GET /echo?q|"));
  CHECK(contains(answer("http://elsewhere"), " 404 "));
  CHECK(contains(answer("/bad%2"), " 400 "));
  CHECK(contains(answer("/bad%zz"), " 400 "));
  CHECK(contains(answer("/nul%00"), " 400 "));
  CHECK(contains(answer("echo"), " 400 "));
  CHECK(contains(answer("*"), " 404 "));
}

TEST_CASE("HEAD has the headers of GET and no body", "[http]") {
  test_server served;
  raw_client client(served.port());
  REQUIRE(client.send("HEAD /hello HTTP/1.1\r\nHost: t\r\n\r\n" + get("/empty") +
                      "HEAD /stream/4 HTTP/1.1\r\nHost: t\r\n\r\n" + "OPTIONS /echo HTTP/1.1\r\nHost: t\r\n\r\n"));
  REQUIRE(client.read_until("OPTIONS /echo?|"));
  CHECK(contains(client.received(), "content-length: 5\r\n"));
  CHECK_FALSE(contains(client.received(), "\r\n\r\nhello"));
  CHECK(contains(client.received(), "HTTP/1.1 204 No Content\r\n"));
  CHECK_FALSE(contains(client.received(), "data: "));
}

TEST_CASE("events arrive as chunks over 1.1 and until the end over 1.0", "[http]") {
  test_server served;
  raw_client client(served.port());
  REQUIRE(client.send(get("/stream/3")));
  REQUIRE(client.read_until("0\r\n\r\n"));
  CHECK(contains(client.received(), "content-type: text/event-stream; charset=utf-8\r\n"));
  CHECK(contains(client.received(), "cache-control: no-cache\r\n"));
  CHECK(contains(client.received(), "x-accel-buffering: no\r\n"));
  CHECK(contains(client.received(), "x-stream: yes\r\n"));
  CHECK(contains(client.received(), "\r\n\r\n9\r\ndata: 0\n\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"));
  client.forget();
  REQUIRE(client.send(get("/hello")));
  REQUIRE(client.read_until("hello"));

  raw_client old(served.port());
  REQUIRE(old.send("GET /stream/2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  REQUIRE(old.read_to_end());
  CHECK(contains(old.received(), "connection: close\r\n"));
  CHECK(contains(old.received(), "\r\n\r\ndata: 0\n\ndata: 1\n\n"));
  CHECK_FALSE(contains(old.received(), "transfer-encoding"));
}

TEST_CASE("a stream with nothing to say sends pings", "[http]") {
  limits bounds;
  bounds.ping_interval = 30ms;
  test_server served(bounds);
  raw_client client(served.port());
  REQUIRE(client.send(get("/hold")));
  const auto stream = served.wait_held();
  stream->start_events({});
  REQUIRE(client.read_until(": ping\n\n\r\n8\r\n: ping\n\n"));
  stream->send_event("done");
  stream->end_events();
  REQUIRE(client.read_until("data: done\n\n\r\n0\r\n\r\n"));
}

TEST_CASE("what a handler fails to answer is answered 500 in the error's shape", "[http]") {
  test_server served;
  raw_client client(served.port());
  REQUIRE(client.send(get("/throw")));
  REQUIRE(client.read_until("failed to answer"));
  CHECK(contains(client.received(), "HTTP/1.1 500 "));
  CHECK_FALSE(contains(client.received(), "the handler's own words"));  // those are for the log
  CHECK(contains(client.received(), "x-error: 1\r\n"));
  client.forget();
  REQUIRE(client.send(get("/drop")));
  REQUIRE(client.read_until("}"));
  CHECK(contains(client.received(), "HTTP/1.1 500 "));
  client.forget();
  REQUIRE(client.send(get("/hold")));
  auto stream = served.wait_held();
  std::thread([&] { stream.reset(); }).join();
  REQUIRE(client.read_until("}"));
  CHECK(contains(client.received(), "HTTP/1.1 500 "));
}

TEST_CASE("a stream that is dropped before its end is cut, not ended", "[http]") {
  test_server served;
  raw_client client(served.port());
  REQUIRE(client.send(get("/hold")));
  auto stream = served.wait_held();
  stream->start_events({});
  stream->send_event("half");
  stream.reset();
  REQUIRE(client.read_to_end());
  CHECK(contains(client.received(), "data: half"));
  CHECK_FALSE(contains(client.received(), "0\r\n\r\n"));
}

TEST_CASE("no value that a handler gives can add a header", "[http]") {
  test_server served;
  raw_client client(served.port());
  REQUIRE(client.send(get("/inject")));
  REQUIRE(client.read_until("\r\n\r\nwhole"));
  CHECK_FALSE(contains(client.received(), "\r\nx-evil"));
  CHECK_FALSE(contains(client.received(), "x bad"));
  CHECK(count(client.received(), "ontent-") == 2);
  CHECK(contains(client.received(), "x-good: a  x-evil: 2\r\n"));
}

TEST_CASE("line breaks in an event begin further data lines", "[http]") {
  test_server served;
  raw_client client(served.port());
  REQUIRE(client.send("GET /hold HTTP/1.0\r\n\r\n"));
  const auto stream = served.wait_held();
  stream->start_events({});
  stream->send_event("a\nb\r\nc\rd");
  stream->end_events();
  REQUIRE(client.read_to_end());
  CHECK(contains(client.received(), "\r\n\r\ndata: a\ndata: b\ndata: c\ndata: d\n\n"));
}

TEST_CASE("a large answer arrives whole", "[http]") {
  test_server served;
  raw_client client(served.port(), 4096);
  REQUIRE(client.send(get("/large/3000000", "Connection: close\r\n")));
  REQUIRE(client.read_to_end(10s));
  const auto body = client.received().substr(client.received().find("\r\n\r\n") + 4);
  CHECK(body.size() == 3000000);
}

TEST_CASE("starting tells what is wrong with the address", "[http]") {
  test_server taken;
  const auto start = [](std::string host, std::uint16_t port) {
    options opts;
    opts.host = std::move(host);
    opts.port = port;
    server other(
        opts, [](request, std::shared_ptr<response_stream>) {},
        [](int status, std::string_view) {
          return response{status, "", {}, ""};
        });
    return other.start();
  };
  const auto in_use = start("127.0.0.1", taken.port());
  REQUIRE_FALSE(in_use);
  CHECK(in_use.error().code == errc::unavailable);
  CHECK(in_use.error().param == "port");
  const auto not_ours = start("192.0.2.1", 0);
  REQUIRE_FALSE(not_ours);
  CHECK(not_ours.error().param == "host");
  CHECK_FALSE(start("no such host", 0));
  CHECK(start("localhost", 0));
  CHECK(start("[::1]", 0));
  CHECK(start("::1", 0));
}
