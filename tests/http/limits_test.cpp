// Each limit of the server, and what the client is told at it.
#include "catch.hpp"
#include "raw_client.hpp"
#include "test_server.hpp"

#include <thread>

using namespace troupe;
using namespace troupe::http;
using namespace troupe::http::test;
using namespace std::chrono_literals;

namespace {

using steady = std::chrono::steady_clock;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// Sends, reads to the end: what refused requests must allow.
std::string exchange_bytes(std::uint16_t port, std::string_view bytes) {
  raw_client client(port);
  client.send(bytes);
  if (!client.read_to_end()) return "the connection stayed open: " + client.received();
  return client.received();
}

/// The status, in the error shape of the server's owner, and the end of the connection.
bool refused(const std::string& received, int status) {
  return received.starts_with("HTTP/1.1 " + std::to_string(status) + " ") && contains(received, "x-error: 1\r\n") &&
         contains(received, "connection: close\r\n") && contains(received, "\r\n\r\n{\"error\":\"");
}

}  // namespace

TEST_CASE("headers are bounded in bytes, whatever the pieces they come in", "[http]") {
  limits bounds;
  bounds.header_bytes = 1000;
  test_server served(bounds);
  CHECK(refused(exchange_bytes(served.port(), get("/hello", "X: " + std::string(1000, 'x') + "\r\n")), 431));
  CHECK(refused(exchange_bytes(served.port(), get("/" + std::string(1000, 'x'))), 414));
  CHECK(refused(exchange_bytes(served.port(), std::string(2000, 'G')), 414));

  raw_client trickling(served.port());
  REQUIRE(trickling.send("GET /hello HTTP/1.1\r\nHost: t\r\n"));
  for (int i = 0; i < 100 && trickling.send("X-Line: 0123456789\r\n"); ++i)
    std::this_thread::sleep_for(1ms);
  REQUIRE(trickling.read_to_end());
  CHECK(refused(trickling.received(), 431));

  const std::string fits = "Connection: close\r\nX: " + std::string(900, 'x') + "\r\n";
  CHECK(contains(exchange_bytes(served.port(), get("/hello", fits)), " 200 OK"));
}

TEST_CASE("header lines are bounded in number", "[http]") {
  limits bounds;
  bounds.header_lines = 10;
  test_server served(bounds);
  std::string lines = "Connection: close\r\n";
  for (int i = 0; i < 8; ++i)
    lines += "X: 1\r\n";
  CHECK(contains(exchange_bytes(served.port(), get("/hello", lines)), " 200 OK"));
  CHECK(refused(exchange_bytes(served.port(), get("/hello", lines + "X: 1\r\n")), 431));
}

TEST_CASE("bodies are bounded by length and in chunks, and refused before they are sent", "[http]") {
  limits bounds;
  bounds.body_bytes = 1000;
  test_server served(bounds);
  raw_client client(served.port());
  REQUIRE(client.send(post("/echo", std::string(1000, 'b'))));
  REQUIRE(client.read_until(std::string(1000, 'b')));
  CHECK(refused(exchange_bytes(served.port(), post("/echo", std::string(1001, 'b'))), 413));
  CHECK(
      refused(exchange_bytes(served.port(),
                             "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n"),
              413));
  std::string chunked = "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 101; ++i)
    chunked += "A\r\n0123456789\r\n";
  CHECK(refused(exchange_bytes(served.port(), chunked), 413));
  CHECK(
      refused(exchange_bytes(served.port(),
                             "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\n"),
              413));
  // A client that sends it all before it reads still gets to read the answer.
  CHECK(refused(exchange_bytes(served.port(), post("/echo", std::string(3'000'000, 'b'))), 413));
}

TEST_CASE("a chunk's size line and the trailers are bounded", "[http]") {
  test_server served;
  const std::string head = "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
  CHECK(refused(exchange_bytes(served.port(), head + "1;" + std::string(100'000, 'x')), 431));
  std::string trailers = head + "0\r\n";
  for (int i = 0; i < 10'000; ++i)
    trailers += "X: 0123456789\r\n";
  CHECK(refused(exchange_bytes(served.port(), trailers), 431));
}

TEST_CASE("a byte at a time is cut at the time-out", "[http]") {
  limits bounds;
  bounds.header_timeout = 150ms;
  bounds.body_timeout = 200ms;
  test_server served(bounds);
  const auto slowly = [&](std::string_view at_once, std::string_view then) {
    raw_client client(served.port());
    client.send(at_once);
    const auto begin = steady::now();
    for (const char byte : then) {
      client.send({&byte, 1});
      if (client.read_until("\r\n\r\n{", 10ms)) break;
    }
    const auto took = steady::now() - begin;
    client.read_to_end();
    return std::pair(client.received(), took);
  };
  const auto [headers, header_time] = slowly("", get("/" + std::string(200, 'x')));
  CHECK(refused(headers, 408));
  CHECK(header_time > 140ms);
  CHECK(header_time < 800ms);
  const auto [body, body_time] =
      slowly("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 500\r\n\r\n", std::string(200, 'x'));
  CHECK(refused(body, 408));
  CHECK(body_time > 190ms);
  CHECK(body_time < 800ms);
}

TEST_CASE("an idle connection is closed without a word", "[http]") {
  limits bounds;
  bounds.idle_timeout = 100ms;
  test_server served(bounds);
  raw_client client(served.port());
  REQUIRE(client.send(get("/hello")));
  REQUIRE(client.read_until("hello"));
  client.forget();
  const auto begin = steady::now();
  REQUIRE(client.read_to_end());
  CHECK(client.received().empty());
  CHECK(steady::now() - begin > 80ms);
  CHECK(eventually([&] { return served.server().status().connections == 0; }));
}

TEST_CASE("connections past the limit are told so and closed", "[http]") {
  limits bounds;
  bounds.connections = 2;
  test_server served(bounds);
  raw_client first(served.port());
  raw_client second(served.port());
  REQUIRE(first.send(get("/hello")));
  REQUIRE(first.read_until("hello"));
  REQUIRE(second.send(get("/hello")));
  REQUIRE(second.read_until("hello"));
  CHECK(refused(exchange_bytes(served.port(), get("/hello")), 503));
  CHECK(served.server().status().rejected_total == 1);
  first.reset();
  CHECK(eventually(
      [&] { return contains(exchange_bytes(served.port(), get("/hello", "Connection: close\r\n")), " 200 OK"); }));
}

TEST_CASE("a client that takes nothing is gone after the time-out", "[http]") {
  limits bounds;
  bounds.stalled_write_timeout = 200ms;
  bounds.unsent_bytes = 64 << 20;
  test_server served(bounds);
  raw_client client(served.port(), 4096);
  REQUIRE(client.send(get("/hold")));
  const auto stream = served.wait_held();
  std::atomic<bool> gone = false;
  stream->on_disconnect([&] { gone = true; });
  stream->start_events({});
  const std::string event(1000, 'e');
  for (int i = 0; i < 20'000; ++i)
    stream->send_event(event);
  CHECK(eventually([&] { return gone.load(); }));
  CHECK(eventually([&] { return served.server().status().connections == 0; }));
  stream->send_event("into the void");
  stream->end_events();
}

TEST_CASE("a client too far behind is gone at the bound of unsent bytes", "[http]") {
  limits bounds;
  bounds.unsent_bytes = 100'000;
  test_server served(bounds);
  raw_client client(served.port(), 4096);
  REQUIRE(client.send(get("/hold")));
  const auto stream = served.wait_held();
  std::atomic<bool> gone = false;
  stream->on_disconnect([&] { gone = true; });
  stream->start_events({});
  const std::string event(1000, 'e');
  const auto begin = steady::now();
  int sent = 0;
  for (; sent < 100'000 && !gone; ++sent) {
    stream->send_event(event);
    if (sent % 50 == 0) std::this_thread::sleep_for(1ms);
  }
  CHECK(gone);
  CHECK(sent > 100);
  CHECK(sent < 20'000);  // the kernel's buffers and the bound, no more
  CHECK(steady::now() - begin < 10s);
  CHECK(client.read_to_end());
}

TEST_CASE("other versions and codings are named for what they are", "[http]") {
  test_server served;
  CHECK(refused(exchange_bytes(served.port(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505));
  CHECK(refused(exchange_bytes(served.port(), "GET / HTTP/9.9\r\nHost: t\r\n\r\n"), 505));
  CHECK(refused(exchange_bytes(served.port(), "GET / HTTQ/1.1\r\nHost: t\r\n\r\n"), 400));
  CHECK(refused(exchange_bytes(served.port(), "CONNECT t:80 HTTP/1.1\r\nHost: t\r\n\r\n"), 501));
  CHECK(refused(exchange_bytes(served.port(), get("/", "Expect: a miracle\r\n")), 417));
  CHECK(refused(exchange_bytes(served.port(), "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
                501));
  const auto tls = exchange_bytes(
      served.port(), std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(100, 'x'));
  CHECK(refused(tls, 400));
  CHECK(contains(tls, "TLS"));
}

TEST_CASE("requests that two readers could end at different bytes are refused", "[http]") {
  limits bounds;
  bounds.body_timeout = 100ms;
  test_server served(bounds);
  const auto attempt = [&](std::string_view headers, std::string_view body) {
    return exchange_bytes(served.port(),
                          "POST /echo HTTP/1.1\r\nHost: t\r\n" + std::string(headers) + "\r\n" + std::string(body));
  };
  const std::string smuggled = "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n";
  CHECK(refused(attempt("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + smuggled), 400));
  CHECK(refused(attempt("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n" + smuggled), 400));
  CHECK(refused(attempt("Content-Length: 5\r\nContent-Length: 6\r\n", "abcdef"), 400));
  CHECK(refused(attempt("Content-Length: 5\r\nContent-Length: 5\r\n", "abcde"), 400));
  CHECK(refused(attempt("Content-Length: 5, 6\r\n", "abcdef"), 400));
  CHECK(refused(attempt("Content-Length: 5, 5\r\n", "abcde"), 400));
  CHECK(refused(attempt("Content-Length: +5\r\n", "abcde"), 400));
  CHECK(refused(attempt("Content-Length: -1\r\n", ""), 400));
  CHECK(refused(attempt("Content-Length: 0x5\r\n", "abcde"), 400));
  CHECK(refused(attempt("Content-Length: \r\n", ""), 400));
  CHECK(refused(attempt("Content-Length: 99999999999999999999999\r\n", ""), 400));
  CHECK(refused(attempt("Content-Length : 5\r\n", "abcde"), 400));
  CHECK(refused(attempt("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400));
  CHECK(refused(attempt("Transfer-Encoding: chunked, identity\r\n", smuggled), 501));
  CHECK(refused(attempt("Transfer-Encoding: xchunked\r\n", smuggled), 501));
  CHECK(refused(attempt("Transfer-Encoding: chunked\r\n", "5;\r\nabcde\r\n0\r\n\r\n"), 400));
  CHECK(refused(attempt("Transfer-Encoding: chunked\r\n", "5\nabcde\n0\n\n"), 408));  // a bare LF ends nothing
  CHECK(refused(attempt("Transfer-Encoding: chunked\r\n", "3\r\nabcde\r\n0\r\n\r\n"), 400));
  CHECK(refused(attempt("Transfer-Encoding: chunked\r\n", "-1\r\n\r\n"), 400));
  CHECK(refused(attempt("Transfer-Encoding: chunked\r\n", "11111111111111111\r\n"), 400));
  CHECK(refused(exchange_bytes(served.port(), "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                400));
  CHECK(refused(exchange_bytes(served.port(), "GET /hello HTTP/1.1\r\n\r\n"), 400));
  CHECK(refused(exchange_bytes(served.port(), "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400));
  CHECK(refused(exchange_bytes(served.port(), "GET /hello HTTP/1.1\nHost: a\n\n\r\n\r\n"), 400));
  CHECK(refused(exchange_bytes(served.port(), get("/hello", "X: a\rb\r\n")), 400));
  CHECK(refused(exchange_bytes(served.port(), get("/hello", std::string("X: a\0b\r\n", 8))), 400));
  CHECK(served.server().status().requests_total == 0);
}

TEST_CASE("a request that ends in its middle is refused", "[http]") {
  test_server served;
  raw_client client(served.port());
  REQUIRE(client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc"));
  client.finish_sending();
  REQUIRE(client.read_to_end());
  CHECK(refused(client.received(), 400));
}
