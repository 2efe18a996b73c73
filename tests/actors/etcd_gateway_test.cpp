// Against a server that plays etcd, well or badly; and the texts that go in and out.
#include "actors/registry/etcd_gateway.hpp"

#include "actors/registry/etcd_base64.hpp"
#include "actors/registry/etcd_registry_store.hpp"
#include "catch.hpp"
#include "runtime/http/server.hpp"

#include <chrono>
#include <mutex>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

/// Answers everything with the same.
class fake_etcd {
 public:
  fake_etcd()
      : server_(
            {"127.0.0.1", 0, {}}, [this](auto asked, auto stream) { answer(asked, std::move(stream)); }, refuse) {
    REQUIRE(server_.start());
  }
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(server_.port()); }
  void say(int status, std::string body) {
    const std::lock_guard lock(mutex_);
    answer_ = {status, "application/json", {}, std::move(body)};
  }
  std::uint64_t asked() const { return server_.status().requests_total; }

 private:
  void answer(const http::request&, std::shared_ptr<http::response_stream> stream) {
    const std::lock_guard lock(mutex_);
    stream->send(answer_);
  }
  static http::response refuse(int status, std::string_view message) {
    return {status, "text/plain", {}, std::string(message)};
  }

  std::mutex mutex_;
  http::response answer_;
  http::server server_;
};

}  // namespace

TEST_CASE("base64 is that of RFC 4648 and nothing else", "[etcd]") {
  const std::pair<const char*, const char*> pairs[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"\xff\xfe", "//4="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : pairs) {
    CHECK(encode_base64(bytes) == text);
    CHECK(decode_base64(text) == bytes);
  }
  for (const auto* const text :
       {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "=", "Z===", "Zg==Zg==", "Zm 8", "Zm9v\n", "Zm-_"}) {
    CAPTURE(text);
    CHECK(!decode_base64(text));
  }
}

TEST_CASE("where a registry lies in etcd", "[etcd]") {
  const auto location = parse_etcd_location("etcd://a,b:1,[::1],[::1]:5/x/y/");
  REQUIRE(location);
  CHECK(location->endpoints == std::vector<std::string>{"a:2379", "b:1", "[::1]:2379", "[::1]:5"});
  CHECK(location->prefix == "x/y");
  for (const std::string text : {"", "http://a/x", "etcd://a", "etcd://a/", "etcd:///x", "etcd://a,/x", "etcd://a,,b/x",
                                 "etcd://a:b/x", "etcd://a:0/x", "etcd://user@a/x", "etcd://a?b/x", "etcd://a b/x",
                                 "etcd://a/x y", "etcd://a/\xc3\xa4", "etcd://[::1/x"}) {
    CAPTURE(text);
    const auto refused = parse_etcd_location(text);
    REQUIRE(!refused);
    CHECK(refused.error().code == errc::invalid_argument);
  }
  CHECK(!parse_etcd_location("etcd://a/" + std::string(257, 'x')));
  CHECK(!parse_etcd_location("etcd://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a/x"));
}

TEST_CASE("an answer that is not etcd's is an error that names the endpoint", "[etcd]") {
  fake_etcd etcd;
  etcd_gateway gateway({etcd.endpoint()}, 1s);
  const auto check = [&](const auto& outcome, errc code) {
    REQUIRE(!outcome);
    CHECK(outcome.error().code == code);
    CHECK(outcome.error().message.find(etcd.endpoint()) != std::string::npos);
  };
  for (const auto* const body :
       {"", "null", "[]", "1", "{", "<html>", "{\"header\":1}", R"({"header":{"revision":"x"}})",
        R"({"header":{"revision":"1"},"kvs":1,"succeeded":1})",
        R"({"header":{"revision":"1"},"kvs":[1],"responses":1})",
        R"({"header":{"revision":"1"},"kvs":[{"key":"!"}],"responses":[1]})",
        R"({"header":{"revision":"1"},"kvs":[{"key":"Zg==","value":"Zg=="}],"responses":[{"response_range":1}]})",
        R"({"header":{"revision":"1"},"more":1,"responses":[{"response_range":{"kvs":[{"key":"Zg=="}]}}]})"}) {
    CAPTURE(body);
    etcd.say(200, body);
    check(gateway.range("a", "b", 10), errc::corrupt);
    check(gateway.transact(etcd_transaction().then_get("f")), errc::corrupt);
    check(gateway.grant(5s), errc::corrupt);
    check(gateway.keep_alive(7), errc::corrupt);
  }
  etcd.say(200, R"({"result":{"ID":"7"}})");
  const auto gone = gateway.keep_alive(7);
  REQUIRE(gone);
  CHECK(!*gone);
  // More than was asked for.
  etcd.say(200, R"({"header":{"revision":"1"},"kvs":[{"key":"Zg==","create_revision":"1","mod_revision":"1"},)"
                R"({"key":"Zg==","create_revision":"1","mod_revision":"1"}]})");
  CHECK(gateway.range("a", "z", 2));
  check(gateway.range("a", "z", 1), errc::corrupt);
  etcd.say(200, "{\"x\":\"" + std::string(5 << 20, 'x') + "\"}");
  check(gateway.range("a", "b", 10), errc::too_large);
  etcd.say(503, R"({"error":"etcdserver: no leader","code":14})");
  const auto refused = gateway.grant(5s);
  check(refused, errc::unavailable);
  CHECK(refused.error().message.find("no leader") != std::string::npos);
  etcd.say(404, "404 page\nnot found");
  check(gateway.grant(5s), errc::unavailable);
}

TEST_CASE("the next endpoint is asked when one does not answer, and first from then on", "[etcd]") {
  fake_etcd broken, good;
  broken.say(503, "{}");
  good.say(200, R"({"ID":"7","TTL":"5"})");
  etcd_gateway gateway({"127.0.0.1:1", broken.endpoint(), good.endpoint()}, 1s);
  for (int i = 0; i < 3; ++i)
    CHECK(*gateway.grant(5s) == 7);
  CHECK(broken.asked() == 1);
  CHECK(good.asked() == 3);
  good.say(500, "{}");
  const auto refused = gateway.grant(5s);
  REQUIRE(!refused);
  for (const auto& endpoint : {std::string("127.0.0.1:1"), broken.endpoint(), good.endpoint()})
    CHECK(refused.error().message.find(endpoint) != std::string::npos);
}

TEST_CASE("a store on something else than etcd does not open", "[etcd]") {
  fake_etcd other;
  other.say(200, "{}");
  const auto refused = open_etcd_registry_store("etcd://" + other.endpoint() + "/x", {.holder = "test"});
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::corrupt);
  CHECK(!open_etcd_registry_store("etcd://127.0.0.1:1/x", {.holder = "test"}));
  CHECK(!open_etcd_registry_store("etcd://127.0.0.1:1", {.holder = "test"}));
}
