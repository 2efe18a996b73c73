// etcd's API, version 3 (etcd 3.4 and later), over its JSON gateway: a POST a call, keys and values in base64, 64-bit
// numbers as texts. A call blocks; its cost is one connection and one round trip. Plain http and no password: etcd
// belongs into the cluster's private network, as its nodes do.
#pragma once

#include "base/result.hpp"
#include "runtime/http/client.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe {

struct etcd_location {
  std::vector<std::string> endpoints;  // HOST:PORT
  std::string prefix;                  // of all keys, without a slash at its end
};

bool names_etcd(std::string_view text);

/// etcd://HOST[:PORT][,HOST[:PORT]…]/PREFIX; the port is 2379 when there is none. Errors: invalid_argument.
result<etcd_location> parse_etcd_location(std::string_view text);

struct etcd_entry {
  std::string key;
  std::string value;
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
  std::int64_t lease = 0;  // 0: none
};

struct etcd_range {
  std::vector<etcd_entry> entries;
  bool more = false;          // the limit cut it
  std::int64_t revision = 0;  // of the whole store, as this answer saw it
};

struct etcd_outcome {
  bool succeeded = false;         // every comparison held
  std::int64_t revision = 0;      // of the whole store: that of what was put
  std::vector<etcd_entry> found;  // by the ranges of the branch that was taken, in order
  std::string endpoint;           // that answered
  const etcd_entry* find(std::string_view key) const;
};

/// A transaction in the making; keys and values as they are.
class etcd_transaction {
 public:
  etcd_transaction& if_created_at(std::string_view key, std::int64_t revision);  // 0: there is no such key
  etcd_transaction& if_changed_at(std::string_view key, std::int64_t revision);
  etcd_transaction& then_put(std::string_view key, std::string_view value, std::int64_t lease = 0);
  etcd_transaction& then_get(std::string_view key);
  etcd_transaction& else_get(std::string_view key);
  const nlohmann::json& body() const { return body_; }

 private:
  nlohmann::json body_;
};

/// One call at a time; cancel() from any thread. An endpoint that does not answer as it should costs its share of the
/// call's time, then the next one is asked; name resolution comes on top of that time. Errors name the endpoints:
/// unavailable (none answers; whether a change was made is then unknown), corrupt (an answer that is not etcd's),
/// too_large, cancelled.
class etcd_gateway {
 public:
  explicit etcd_gateway(std::vector<std::string> endpoints, std::chrono::milliseconds call_timeout);

  /// Keys from `begin` to before `end`, at `revision` (0: now).
  result<etcd_range> range(std::string_view begin, std::string_view end, std::size_t limit, std::int64_t revision = 0);
  result<etcd_outcome> transact(const etcd_transaction& asked);
  result<std::int64_t> grant(std::chrono::seconds time_to_live);
  /// False when there is no such lease any more.
  result<bool> keep_alive(std::int64_t lease);
  result<> revoke(std::int64_t lease);

  /// Ends the running call, and every later one.
  void cancel();

 private:
  struct answer {
    nlohmann::json body;  // an object
    std::string endpoint;
  };
  result<answer> call(std::string_view path, const nlohmann::json& body);
  result<answer> call_one(const std::string& endpoint, std::string_view path, const std::string& body,
                          std::chrono::milliseconds timeout);

  std::vector<std::string> endpoints_;
  std::chrono::milliseconds call_timeout_;
  std::size_t first_ = 0;  // the endpoint that answered last
  http::client client_;
};

}  // namespace troupe
