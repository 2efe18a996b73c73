// The registry's store in a real etcd; skipped where there is none.
#include "actors/registry/etcd_registry_store.hpp"
#include "catch.hpp"
#include "etcd_process.hpp"

#include <chrono>
#include <functional>
#include <thread>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

namespace {

etcd_head_options options_of(std::string holder) {
  // A second is the shortest lease that etcd's clock tells from none; it ends up to a second late.
  return {.holder = std::move(holder), .lease = 2s, .patience = 0ms, .call_timeout = 1s};
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds patience = 10s) {
  const auto end = steady::now() + patience;
  while (!condition()) {
    if (steady::now() > end) return false;
    std::this_thread::sleep_for(20ms);
  }
  return true;
}

std::string place(const etcd_process& etcd) {
  return "etcd://" + etcd.endpoint() + "/test/cluster";
}

bool skipped() {
  if (has_etcd()) return false;
  WARN("skipped: there is no etcd (the package etcd-server)");
  return true;
}

constexpr auto head_key = "test/cluster/head";
constexpr auto term_key = "test/cluster/term";

/// As a lease that ended, or an operator's hand: the head's key is gone.
void remove_head_key(etcd_gateway& gateway) {
  const auto seen = gateway.transact(etcd_transaction().then_get(head_key));
  REQUIRE(seen);
  REQUIRE(seen->found.size() == 1);
  REQUIRE(gateway.revoke(seen->found[0].lease));
}

}  // namespace

TEST_CASE("what is saved in etcd is there for the next head", "[registry][etcd]") {
  if (skipped()) return;
  etcd_process etcd;
  REQUIRE(etcd.start());
  {
    // The first endpoint is nobody's.
    const auto store =
        open_etcd_registry_store("etcd://127.0.0.1:1," + etcd.endpoint() + "/test/cluster/", options_of("first"));
    REQUIRE(store);
    const auto none = (*store)->load();
    REQUIRE(none);
    CHECK(none->empty());
    CHECK((*store)->save("node-1", {1, false}));
    CHECK((*store)->save("a name / with \xff and \"quotes\"", {2, false}));
    CHECK((*store)->save("node-1", {1, true}));
    for (std::uint32_t i = 3; i <= 1203; ++i)
      REQUIRE((*store)->save("node-" + std::to_string(i), {i, false}));
  }
  // Given back when the first ended: nothing to wait for.
  const auto store = open_etcd_registry_store(place(etcd), options_of("second"));
  REQUIRE(store);
  const auto records = (*store)->load();
  REQUIRE(records);
  CHECK(records->size() == 1203);
  CHECK(records->at("node-1").number == 1);
  CHECK(records->at("node-1").drained);
  CHECK(records->at("a name / with \xff and \"quotes\"").number == 2);
  CHECK(records->at("node-1203").number == 1203);
  CHECK((*store)->save("node-1", {1, false}));

  const auto other = open_etcd_registry_store("etcd://" + etcd.endpoint() + "/test/clusters", options_of("other"));
  REQUIRE(other);
  CHECK((*other)->load()->empty());
}

TEST_CASE("a second head is refused and told who is the first", "[registry][etcd]") {
  if (skipped()) return;
  etcd_process etcd;
  REQUIRE(etcd.start());
  const auto store = open_etcd_registry_store(place(etcd), options_of("first of host-a"));
  REQUIRE(store);
  auto patient = options_of("second");
  patient.patience = 4s;  // past the lease's end, which the first head keeps from coming
  const auto refused = open_etcd_registry_store(place(etcd), patient);
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::unavailable);
  CHECK(refused.error().message.find("first of host-a") != std::string::npos);
  CHECK((*store)->save("node-1", {1, false}));
}

TEST_CASE("a head that was replaced writes nothing, for good", "[registry][etcd]") {
  if (skipped()) return;
  etcd_process etcd;
  REQUIRE(etcd.start());
  etcd_gateway gateway({etcd.endpoint()}, 1s);
  const auto first = open_etcd_registry_store(place(etcd), options_of("first"));
  REQUIRE(first);
  CHECK((*first)->load());
  CHECK((*first)->save("node-1", {1, false}));
  const auto lease = gateway.grant(60s);
  REQUIRE(lease);
  const std::string usurper = R"({"holder":"usurper","id":"x"})";
  const auto take =
      etcd_transaction().if_created_at(head_key, 0).then_put(head_key, usurper, *lease).then_put(term_key, usurper);
  // The first head's thread may be quicker, when it looks just then.
  for (bool taken = false; !taken;) {
    remove_head_key(gateway);
    const auto tried = gateway.transact(take);
    REQUIRE(tried);
    taken = tried->succeeded;
  }
  const auto refused = (*first)->save("node-2", {2, false});
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::unavailable);
  const auto names_usurper = [&] {
    const auto again = (*first)->save("node-2", {2, false});
    return !again && again.error().message.find("usurper") != std::string::npos;
  };
  CHECK(eventually(names_usurper));
  // Nor when that one is gone as well: it may have given number 2 to another.
  remove_head_key(gateway);
  std::this_thread::sleep_for(1s);
  CHECK(names_usurper());
  const auto members = gateway.range("test/cluster/members/", "test/cluster/members0", 10);
  REQUIRE(members);
  CHECK(members->entries.size() == 1);
}

TEST_CASE("a head whose lease ended takes the key again if nobody else did", "[registry][etcd]") {
  if (skipped()) return;
  etcd_process etcd;
  REQUIRE(etcd.start());
  etcd_gateway gateway({etcd.endpoint()}, 1s);
  const auto store = open_etcd_registry_store(place(etcd), options_of("first"));
  REQUIRE(store);
  CHECK((*store)->load());
  auto refused = result<>();
  for (std::uint32_t i = 2; refused; ++i) {  // until the head's thread is not quicker
    remove_head_key(gateway);
    refused = (*store)->save("node-" + std::to_string(i), {i, false});
  }
  CHECK(refused.error().message.find("lost its lease") != std::string::npos);
  CHECK(refused.error().message.find(etcd.endpoint()) != std::string::npos);
  CHECK(eventually([&] { return (*store)->save("node-1", {1, false}).has_value(); }));
}

TEST_CASE("etcd is killed and comes back", "[registry][etcd]") {
  if (skipped()) return;
  etcd_process etcd;
  REQUIRE(etcd.start());
  const auto store = open_etcd_registry_store(place(etcd), options_of("first"));
  REQUIRE(store);
  CHECK((*store)->load());
  CHECK((*store)->save("node-1", {1, false}));
  etcd.kill();
  const auto refused = (*store)->save("node-2", {2, false});
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::unavailable);
  CHECK(refused.error().message.find(etcd.endpoint()) != std::string::npos);
  std::this_thread::sleep_for(3s);  // longer than the lease
  REQUIRE(etcd.start());
  CHECK(eventually([&] { return (*store)->save("node-2", {2, false}).has_value(); }));
  const auto records = (*store)->load();
  REQUIRE(records);
  CHECK(records->size() == 2);
}

TEST_CASE("an etcd that stands still costs a bounded time", "[registry][etcd]") {
  if (skipped()) return;
  etcd_process etcd;
  REQUIRE(etcd.start());
  const auto store = open_etcd_registry_store(place(etcd), options_of("first"));
  REQUIRE(store);
  etcd.freeze(true);
  auto began = steady::now();
  CHECK(!(*store)->save("node-1", {1, false}));
  CHECK(steady::now() - began < 1500ms);
  std::this_thread::sleep_for(2s);  // by now the thread knows it too
  began = steady::now();
  CHECK(!(*store)->save("node-1", {1, false}));
  CHECK(steady::now() - began < 100ms);
  etcd.freeze(false);
  CHECK(eventually([&] { return (*store)->save("node-1", {1, true}).has_value(); }));
  const auto records = (*store)->load();
  REQUIRE(records);
  CHECK(records->at("node-1").drained);
}

TEST_CASE("keys that another program wrote are not taken for members", "[registry][etcd]") {
  if (skipped()) return;
  etcd_process etcd;
  REQUIRE(etcd.start());
  etcd_gateway gateway({etcd.endpoint()}, 1s);
  const auto store = open_etcd_registry_store(place(etcd), options_of("first"));
  REQUIRE(store);
  const auto put = [&](std::string_view name, std::string_view value) {
    REQUIRE(gateway.transact(etcd_transaction().then_put("test/cluster/members/" + std::string(name), value)));
  };
  put("node-1", R"({"number":1,"drained":false})");
  CHECK((*store)->load());
  put("node-2", R"({"number":1,"drained":false})");
  auto records = (*store)->load();
  REQUIRE(!records);
  CHECK(records.error().code == errc::corrupt);
  CHECK(records.error().message.find("node-2") != std::string::npos);
  for (const auto* const value : {"", "{}", "7", R"({"number":-1,"drained":false})", R"({"number":0,"drained":false})",
                                  R"({"number":4294967296,"drained":false})", R"({"number":2,"drained":0})"}) {
    CAPTURE(value);
    put("node-2", value);
    CHECK(!(*store)->load());
  }
  put("node-2", R"({"number":2,"drained":false})");
  CHECK((*store)->load());
  // Behind the store's back: the record is the same member's, so the newer wins; another number is nobody's to change.
  put("node-2", R"({"number":2,"drained":true})");
  CHECK((*store)->save("node-2", {2, false}));
  put("node-2", R"({"number":3,"drained":true})");
  const auto refused = (*store)->save("node-2", {2, false});
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::corrupt);
}
