// Clients that vanish, clients that send noise, and a server that stops under them.
#include "base/random.hpp"
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

bool still_serves(const test_server& served) {
  raw_client client(served.port());
  return client.send(get("/hello")) && client.read_until("\r\n\r\nhello");
}

}  // namespace

TEST_CASE("a client that goes is noticed while it waits and while it reads", "[http]") {
  test_server served;
  const bool streaming = GENERATE(false, true);
  const bool by_reset = GENERATE(false, true);
  auto client = std::make_unique<raw_client>(served.port());
  REQUIRE(client->send(get("/hold")));
  const auto stream = served.wait_held();
  std::atomic<int> gone = 0;
  std::atomic<bool> on_server_thread = false;
  const auto here = std::this_thread::get_id();
  stream->on_disconnect([&] {
    on_server_thread = std::this_thread::get_id() != here;
    ++gone;
  });
  if (streaming) {
    stream->start_events({});
    stream->send_event("one");
    REQUIRE(client->read_until("data: one"));
  }
  CHECK(gone == 0);
  const auto begin = steady::now();
  if (by_reset) client->reset();
  client.reset();
  REQUIRE(eventually([&] { return gone == 1; }));
  CHECK(steady::now() - begin < 200ms);
  CHECK(on_server_thread);
  if (!streaming) stream->start_events({});
  for (int i = 0; i < 10; ++i)
    stream->send_event("nobody");
  stream->end_events();
  CHECK(eventually([&] { return served.server().status().connections == 0; }));
  CHECK(gone == 1);
}

TEST_CASE("on_disconnect after the client has gone is called at once", "[http]") {
  test_server served;
  auto client = std::make_unique<raw_client>(served.port());
  REQUIRE(client->send(get("/hold")));
  const auto stream = served.wait_held();
  client->reset();
  REQUIRE(eventually([&] { return served.server().status().connections == 0; }));
  bool called = false;
  stream->on_disconnect([&] { called = true; });
  CHECK(called);
}

TEST_CASE("a completed answer forgets its callback", "[http]") {
  test_server served;
  raw_client client(served.port());
  REQUIRE(client.send(get("/hold")));
  auto stream = served.wait_held();
  const auto kept = std::make_shared<int>(1);
  stream->on_disconnect([kept, stream] { ++*kept; });  // a cycle, were it kept
  stream->send({200, "text/plain", {}, "done"});
  stream.reset();
  REQUIRE(client.read_until("done"));
  CHECK(eventually([&] { return kept.use_count() == 1; }));
  client.reset();
  CHECK(eventually([&] { return served.server().status().connections == 0; }));
  CHECK(*kept == 1);
}

TEST_CASE("a half-closed client still gets its answer", "[http]") {
  test_server served;
  raw_client quick(served.port());
  REQUIRE(quick.send(get("/hello")));
  quick.finish_sending();
  REQUIRE(quick.read_to_end());
  CHECK(contains(quick.received(), "\r\n\r\nhello"));

  raw_client slow(served.port());
  REQUIRE(slow.send(get("/hold")));
  slow.finish_sending();
  const auto stream = served.wait_held();
  std::atomic<bool> gone = false;
  stream->on_disconnect([&] { gone = true; });
  CHECK(eventually([&] { return gone.load(); }));
  stream->send({200, "text/plain", {}, "all the same"});
  REQUIRE(slow.read_to_end());
  CHECK(contains(slow.received(), "all the same"));
}

TEST_CASE("events from many threads arrive whole and, of one thread, in order", "[http]") {
  test_server served;
  raw_client client(served.port());
  REQUIRE(client.send(get("/hold")));
  const auto stream = served.wait_held();
  stream->start_events({});
  constexpr int threads = 8;
  constexpr int events = 500;
  std::vector<std::thread> senders;
  for (int t = 0; t < threads; ++t) {
    senders.emplace_back([&, t] {
      for (int i = 0; i < events; ++i)
        stream->send_event("t" + std::to_string(t) + " " + std::to_string(i));
    });
  }
  for (auto& each : senders)
    each.join();
  stream->end_events();
  REQUIRE(client.read_until("\r\n0\r\n\r\n"));
  for (int t = 0; t < threads; ++t) {
    std::size_t at = 0;
    for (int i = 0; i < events; ++i) {
      at = client.received().find("data: t" + std::to_string(t) + " " + std::to_string(i) + "\n\n", at);
      REQUIRE(at != std::string::npos);
    }
  }
}

TEST_CASE("noise and broken requests harm nobody", "[http]") {
  limits bounds;
  bounds.header_timeout = 300ms;
  bounds.body_timeout = 300ms;
  test_server served(bounds);
  const std::vector<std::string> seeds{
      get("/hello"), post("/echo", "some body"),
      "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5;x=y\r\nabcde\r\n0\r\nT: "
      "1\r\n\r\n",
      "HEAD /stream/2 HTTP/1.0\r\nConnection: keep-alive, x\r\nX: a\r\n folded\r\n\r\n" + get("/drop"),
      "POST /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc" + get("/throw")};
  random_stream random(20240607);
  for (int round = 0; round < 1500; ++round) {
    std::string bytes;
    if (round % 5 == 0) {
      bytes.resize(random.below(400));
      for (char& byte : bytes)
        byte = static_cast<char>(random.below(256));
    } else {
      bytes = seeds[random.below(seeds.size())];
      for (auto edits = 1 + random.below(4); edits > 0 && !bytes.empty(); --edits) {
        const auto at = random.below(bytes.size());
        switch (random.below(4)) {
          case 0:
            bytes[at] = static_cast<char>(random.below(256));
            break;
          case 1:
            bytes.erase(at, 1 + random.below(5));
            break;
          case 2:
            bytes.insert(at, 1 + random.below(3), "\r\n :0;,\xff"[random.below(8)]);
            break;
          default:
            bytes.insert(at, bytes.substr(random.below(bytes.size()), random.below(40)));
            break;
        }
      }
    }
    raw_client client(served.port());
    const auto cut = random.below(bytes.size() + 1);
    client.send(std::string_view(bytes).substr(0, cut));
    client.send(std::string_view(bytes).substr(cut));
    client.finish_sending();
    INFO("round " << round);
    REQUIRE(client.read_to_end());
    REQUIRE((client.received().empty() || client.received().starts_with("HTTP/1.1 ")));
  }
  CHECK(still_serves(served));
  CHECK(eventually([&] { return served.server().status().connections == 0; }));
}

TEST_CASE("stop cuts streams, tells their writers, and leaves them harmless", "[http]") {
  auto served = std::make_unique<test_server>();
  raw_client client(served->port());
  REQUIRE(client.send(get("/hold")));
  const auto stream = served->wait_held();
  std::atomic<bool> gone = false;
  stream->on_disconnect([&] { gone = true; });
  stream->start_events({});
  std::atomic<bool> done = false;
  std::thread sender([&] {
    while (!done) {
      stream->send_event("event");
      std::this_thread::sleep_for(100us);
    }
  });
  REQUIRE(client.read_until("data: event"));
  const auto begin = steady::now();
  served->server().stop();
  CHECK(steady::now() - begin < 1s);
  CHECK(gone);
  served.reset();
  std::this_thread::sleep_for(5ms);  // events to a server that is no more
  done = true;
  sender.join();
  CHECK(client.read_to_end());
  CHECK_FALSE(contains(client.received(), "\r\n0\r\n\r\n"));
}

TEST_CASE("stop with a drain refuses new clients and lets running answers end", "[http]") {
  test_server served;
  raw_client idle(served.port());
  REQUIRE(idle.send(get("/hello")));
  REQUIRE(idle.read_until("hello"));
  raw_client busy(served.port());
  REQUIRE(busy.send(get("/hold") + get("/hello")));
  auto stream = served.wait_held();
  std::thread stopper([&] { served.server().stop(10s); });
  CHECK(idle.read_to_end());
  CHECK(eventually([&] { return !raw_client(served.port()).connected(); }));
  const auto begin = steady::now();
  stream->send({200, "text/plain", {}, "last words"});
  stream.reset();
  CHECK(busy.read_to_end());
  CHECK(contains(busy.received(), "last words"));
  busy.reset();
  stopper.join();
  CHECK(steady::now() - begin < 3s);
}
