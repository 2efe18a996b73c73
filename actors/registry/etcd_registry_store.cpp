#include "actors/registry/etcd_registry_store.hpp"

#include <limits>
#include <set>
#include <utility>

namespace troupe {
namespace {

using json = nlohmann::json;

constexpr std::size_t page_entries = 1000;
constexpr int max_pages = 64;

std::string write_record(const member_record& record) {
  return json{{"number", record.number}, {"drained", record.drained}}.dump();
}

std::optional<member_record> read_record(const std::string& text) {
  const auto parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) return std::nullopt;
  const auto number = parsed.find("number");
  const auto drained = parsed.find("drained");
  if (number == parsed.end() || !number->is_number_unsigned() || drained == parsed.end() || !drained->is_boolean())
    return std::nullopt;
  const auto value = number->get<std::uint64_t>();
  if (value == 0 || value > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return member_record{static_cast<std::uint32_t>(value), drained->get<bool>()};
}

class etcd_store final : public registry_store {
 public:
  etcd_store(const etcd_location& location, const etcd_head_options& options, std::unique_ptr<etcd_head> head)
      : members_(location.prefix + "/members/"),
        gateway_(location.endpoints, options.call_timeout),
        head_(std::move(head)) {}

  result<std::map<std::string, member_record>> load() override {
    auto end = members_;
    ++end.back();  // behind all keys that begin so
    std::map<std::string, member_record> records;
    std::map<std::string, std::int64_t> revisions;
    std::set<std::uint32_t> numbers;
    std::string begin = members_;
    std::int64_t revision = 0;
    for (int page = 0; page < max_pages; ++page) {
      const auto found = gateway_.range(begin, end, page_entries, revision);
      if (!found) return found.error();
      revision = found->revision;
      for (const auto& entry : found->entries) {
        if (entry.key < begin || entry.key >= end) return broken(entry.key, "it was not asked for");
        const auto record = read_record(entry.value);
        if (!record) return broken(entry.key, "its value is not a member's record");
        if (!numbers.insert(record->number).second)
          return broken(entry.key, "its number " + std::to_string(record->number) + " is another member's as well");
        const auto name = entry.key.substr(members_.size());
        records[name] = *record;
        revisions[name] = entry.mod_revision;
      }
      if (!found->more || found->entries.empty()) {
        revisions_ = std::move(revisions);
        return records;
      }
      begin = found->entries.back().key + '\0';
    }
    return make_error(errc::too_large, "etcd has more members under " + members_ + " than a cluster can have had.");
  }

  result<> save(const std::string& name, const member_record& record) override {
    const auto key = members_ + name;
    // A second time when an earlier save, believed lost, has arrived in the meantime.
    for (int attempt = 0; attempt < 2; ++attempt) {
      const auto fence = head_->fence();
      if (!fence) return fence.error();
      const auto value = write_record(record);
      const auto written = gateway_.transact(etcd_transaction()
                                                 .if_created_at(head_->key(), *fence)
                                                 .if_changed_at(key, revisions_[name])
                                                 .then_put(key, value)
                                                 .else_get(head_->key())
                                                 .else_get(key));
      if (!written) return written.error();
      if (written->succeeded) {
        revisions_[name] = written->revision;
        return {};
      }
      const auto* const head = written->find(head_->key());
      if (head == nullptr || head->create_revision != *fence) {
        head_->doubt(*fence);
        return make_error(errc::unavailable, "etcd at " + written->endpoint + ": " + head_->key() + " is " +
                                                 (head == nullptr ? "gone" : "another head's") +
                                                 "; this head has lost its lease and may not write.");
      }
      const auto* const there = written->find(key);
      revisions_[name] = there == nullptr ? 0 : there->mod_revision;
      if (there == nullptr) continue;
      if (there->value == value) return {};
      const auto kept = read_record(there->value);
      if (!kept || kept->number != record.number) return broken(key, "another program has written to it");
    }
    return make_error(errc::unavailable, "etcd: " + key + " changes under this head's hands.");
  }

 private:
  static error broken(const std::string& key, const std::string& why) {
    return make_error(errc::corrupt, "etcd has a key " + key + " that cannot be used: " + why + ".");
  }

  const std::string members_;
  etcd_gateway gateway_;
  std::unique_ptr<etcd_head> head_;
  std::map<std::string, std::int64_t> revisions_;  // of the members' keys, as last seen
};

}  // namespace

result<std::unique_ptr<registry_store>> open_etcd_registry_store(std::string_view location,
                                                                 const etcd_head_options& options) {
  const auto parsed = parse_etcd_location(location);
  if (!parsed) return parsed.error();
  auto head = etcd_head::take(*parsed, options);
  if (!head) return head.error();
  return std::unique_ptr<registry_store>(std::make_unique<etcd_store>(*parsed, options, *std::move(head)));
}

}  // namespace troupe
