#include "actors/registry/etcd_gateway.hpp"

#include "actors/registry/etcd_base64.hpp"
#include "runtime/http/url.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace troupe {
namespace {

using json = nlohmann::json;
using steady = std::chrono::steady_clock;

constexpr std::string_view scheme = "etcd://";
constexpr std::size_t max_endpoints = 16;
constexpr std::size_t max_prefix_bytes = 256;
constexpr std::size_t max_answer_bytes = 4 * 1024 * 1024;  // a page of 1000 members takes about a tenth

/// Some words of what a server said, fit for a log.
std::string quote(std::string_view text) {
  std::string quoted(text.substr(0, 200));
  for (char& c : quoted)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = ' ';
  return quoted;
}

/// A 64-bit number, which is a text in etcd's JSON and left out when it is 0.
std::optional<std::int64_t> read_number(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return 0;
  if (found->is_number_integer()) return found->get<std::int64_t>();
  if (!found->is_string()) return std::nullopt;
  const auto& text = found->get_ref<const std::string&>();
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::string> read_bytes(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return std::string();
  if (!found->is_string()) return std::nullopt;
  return decode_base64(found->get_ref<const std::string&>());
}

std::optional<bool> read_flag(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return false;
  if (!found->is_boolean()) return std::nullopt;
  return found->get<bool>();
}

std::optional<std::int64_t> read_revision(const json& answer) {
  const auto header = answer.find("header");
  if (header == answer.end() || !header->is_object()) return std::nullopt;
  return read_number(*header, "revision");
}

std::optional<etcd_entry> read_entry(const json& object) {
  if (!object.is_object()) return std::nullopt;
  auto key = read_bytes(object, "key");
  auto value = read_bytes(object, "value");
  const auto created = read_number(object, "create_revision");
  const auto changed = read_number(object, "mod_revision");
  const auto lease = read_number(object, "lease");
  if (!key || !value || !created || !changed || !lease || *created <= 0 || *changed <= 0) return std::nullopt;
  return etcd_entry{*std::move(key), *std::move(value), *created, *changed, *lease};
}

bool read_entries(const json& range, std::vector<etcd_entry>& entries) {
  if (!range.is_object()) return false;
  const auto found = range.find("kvs");
  if (found == range.end()) return true;
  if (!found->is_array()) return false;
  for (const auto& each : *found) {
    auto entry = read_entry(each);
    if (!entry) return false;
    entries.push_back(*std::move(entry));
  }
  return true;
}

bool read_outcome(const json& answer, etcd_outcome& outcome) {
  const auto succeeded = read_flag(answer, "succeeded");
  const auto revision = read_revision(answer);
  if (!succeeded || !revision) return false;
  outcome.succeeded = *succeeded;
  outcome.revision = *revision;
  const auto responses = answer.find("responses");
  if (responses == answer.end()) return true;
  if (!responses->is_array()) return false;
  return std::ranges::all_of(*responses, [&](const json& each) {
    if (!each.is_object()) return false;
    const auto range = each.find("response_range");
    return range == each.end() || read_entries(*range, outcome.found);
  });
}

std::string at_endpoint(const std::string& endpoint) {
  return "etcd at " + endpoint + ": ";
}

error malformed(const std::string& endpoint, std::string_view what) {
  return make_error(errc::corrupt, at_endpoint(endpoint) + "the answer to " + std::string(what) +
                                       " is not what etcd says; is something else listening there?");
}

json get_request(std::string_view key) {
  return {{"request_range", {{"key", encode_base64(key)}}}};
}

}  // namespace

bool names_etcd(std::string_view text) {
  return text.starts_with(scheme);
}

result<etcd_location> parse_etcd_location(std::string_view text) {
  const auto refuse = [&](const std::string& why) {
    return make_error(errc::invalid_argument,
                      "'" + quote(text) + "' is not like etcd://HOST:2379,HOST:2379/PREFIX: " + why + ".");
  };
  if (!names_etcd(text)) return refuse("it does not begin with etcd://");
  auto rest = text.substr(scheme.size());
  const auto slash = std::min(rest.find('/'), rest.size());
  auto hosts = rest.substr(0, slash);
  auto prefix = rest.substr(slash);
  etcd_location location;
  while (prefix.starts_with('/'))
    prefix.remove_prefix(1);
  while (prefix.ends_with('/'))
    prefix.remove_suffix(1);
  if (prefix.empty()) return refuse("each cluster needs a prefix of its own, which keeps its keys apart");
  if (prefix.size() > max_prefix_bytes) return refuse("the prefix is longer than 256 bytes");
  if (!std::ranges::all_of(prefix, [](char c) { return c > ' ' && c < 0x7f; }))
    return refuse("the prefix has blanks or characters that are not ASCII");
  location.prefix = std::string(prefix);
  for (;;) {
    const auto comma = std::min(hosts.find(','), hosts.size());
    std::string endpoint(hosts.substr(0, comma));
    const auto bracket = endpoint.rfind(']');
    if (endpoint.find(':', bracket == std::string::npos ? 0 : bracket) == std::string::npos) endpoint += ":2379";
    const auto parsed = http::parse_url("http://" + endpoint);
    if (!parsed || parsed->target != "/" || endpoint.find_first_of("/?#") != std::string::npos)
      return refuse("'" + quote(endpoint) + "' is not HOST:PORT");
    location.endpoints.push_back(std::move(endpoint));
    if (comma == hosts.size()) break;
    hosts.remove_prefix(comma + 1);
  }
  if (location.endpoints.size() > max_endpoints) return refuse("there are more than 16 endpoints");
  return location;
}

const etcd_entry* etcd_outcome::find(std::string_view key) const {
  const auto entry = std::ranges::find(found, key, &etcd_entry::key);
  return entry == found.end() ? nullptr : &*entry;
}

etcd_transaction& etcd_transaction::if_created_at(std::string_view key, std::int64_t revision) {
  body_["compare"].push_back({{"result", "EQUAL"},
                              {"target", "CREATE"},
                              {"key", encode_base64(key)},
                              {"create_revision", std::to_string(revision)}});
  return *this;
}

etcd_transaction& etcd_transaction::if_changed_at(std::string_view key, std::int64_t revision) {
  body_["compare"].push_back({{"result", "EQUAL"},
                              {"target", "MOD"},
                              {"key", encode_base64(key)},
                              {"mod_revision", std::to_string(revision)}});
  return *this;
}

etcd_transaction& etcd_transaction::then_put(std::string_view key, std::string_view value, std::int64_t lease) {
  json put{{"key", encode_base64(key)}, {"value", encode_base64(value)}};
  if (lease != 0) put["lease"] = std::to_string(lease);
  body_["success"].push_back({{"request_put", std::move(put)}});
  return *this;
}

etcd_transaction& etcd_transaction::then_get(std::string_view key) {
  body_["success"].push_back(get_request(key));
  return *this;
}

etcd_transaction& etcd_transaction::else_get(std::string_view key) {
  body_["failure"].push_back(get_request(key));
  return *this;
}

etcd_gateway::etcd_gateway(std::vector<std::string> endpoints, std::chrono::milliseconds call_timeout)
    : endpoints_(std::move(endpoints)),
      call_timeout_(call_timeout),
      client_(http::client_limits{.body_bytes = max_answer_bytes}) {}

void etcd_gateway::cancel() {
  client_.cancel();
}

result<etcd_gateway::answer> etcd_gateway::call_one(const std::string& endpoint, std::string_view path,
                                                    const std::string& body, std::chrono::milliseconds timeout) {
  const auto said = client_.request("POST", "http://" + endpoint + std::string(path),
                                    {{"content-type", "application/json"}}, body, timeout);
  if (!said) return make_error(said.error().code, at_endpoint(endpoint) + said.error().message);
  auto parsed = json::parse(said->body, nullptr, false);
  if (said->status != 200) {
    const auto* const why = parsed.is_object() && parsed.contains("error") && parsed["error"].is_string()
                                ? parsed["error"].get_ptr<const std::string*>()
                                : &said->body;
    return make_error(errc::unavailable,
                      at_endpoint(endpoint) + "status " + std::to_string(said->status) + ", \"" + quote(*why) + "\".");
  }
  if (!parsed.is_object()) return malformed(endpoint, path);
  return answer{std::move(parsed), endpoint};
}

result<etcd_gateway::answer> etcd_gateway::call(std::string_view path, const json& body) {
  const auto deadline = steady::now() + call_timeout_;
  const auto text = body.dump();
  std::optional<error> failure;
  for (std::size_t tried = 0; tried < endpoints_.size(); ++tried) {
    const std::size_t at = (first_ + tried) % endpoints_.size();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady::now());
    const auto share = left / static_cast<std::int64_t>(endpoints_.size() - tried);
    auto answered = call_one(endpoints_[at], path, text, std::max(share, std::chrono::milliseconds(1)));
    if (answered) {
      first_ = at;
      return answered;
    }
    if (answered.error().code == errc::cancelled) return answered.error();
    if (!failure) {
      failure = answered.error();
    } else {
      failure->message += " " + answered.error().message;
    }
  }
  if (failure->code == errc::deadline_exceeded) failure->code = errc::unavailable;
  return *failure;
}

result<etcd_range> etcd_gateway::range(std::string_view begin, std::string_view end, std::size_t limit,
                                       std::int64_t revision) {
  const auto answered = call("/v3/kv/range", {{"key", encode_base64(begin)},
                                              {"range_end", encode_base64(end)},
                                              {"limit", std::to_string(limit)},
                                              {"revision", std::to_string(revision)}});
  if (!answered) return answered.error();
  etcd_range found;
  const auto at = read_revision(answered->body);
  const auto more = read_flag(answered->body, "more");
  if (!at || !more || !read_entries(answered->body, found.entries) || found.entries.size() > limit)
    return malformed(answered->endpoint, "/v3/kv/range");
  found.revision = *at;
  found.more = *more;
  return found;
}

result<etcd_outcome> etcd_gateway::transact(const etcd_transaction& asked) {
  const auto answered = call("/v3/kv/txn", asked.body());
  if (!answered) return answered.error();
  etcd_outcome outcome;
  outcome.endpoint = answered->endpoint;
  if (!read_outcome(answered->body, outcome)) return malformed(answered->endpoint, "/v3/kv/txn");
  return outcome;
}

result<std::int64_t> etcd_gateway::grant(std::chrono::seconds time_to_live) {
  const auto answered = call("/v3/lease/grant", {{"TTL", std::to_string(time_to_live.count())}});
  if (!answered) return answered.error();
  const auto lease = read_number(answered->body, "ID");
  if (!lease || *lease == 0) return malformed(answered->endpoint, "/v3/lease/grant");
  return *lease;
}

result<bool> etcd_gateway::keep_alive(std::int64_t lease) {
  const auto answered = call("/v3/lease/keepalive", {{"ID", std::to_string(lease)}});
  if (!answered) return answered.error();
  const auto inner = answered->body.find("result");
  const auto left =
      inner != answered->body.end() && inner->is_object() ? read_number(*inner, "TTL") : std::optional<std::int64_t>();
  if (!left) return malformed(answered->endpoint, "/v3/lease/keepalive");
  return *left > 0;
}

result<> etcd_gateway::revoke(std::int64_t lease) {
  const auto answered = call("/v3/lease/revoke", {{"ID", std::to_string(lease)}});
  if (!answered) return answered.error();
  return {};
}

}  // namespace troupe
