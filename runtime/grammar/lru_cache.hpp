// Shared values by 64-bit keys, the least recently used going first when their bytes pass a bound. Thread-safe; a value
// lives as long as someone holds it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace troupe::grammar {

template <class Value>
class lru_cache {
 public:
  explicit lru_cache(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  std::shared_ptr<const Value> find(std::uint64_t key) {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->value;
  }

  /// A value larger than the whole bound is not kept; one whose key is there already is dropped.
  void insert(std::uint64_t key, std::shared_ptr<const Value> value, std::size_t n_bytes) {
    n_bytes += sizeof(entry) + 64;  // and the nodes that hold it
    const std::lock_guard lock(mutex_);
    if (n_bytes > max_bytes_ || places_.contains(key)) return;
    while (n_bytes_ + n_bytes > max_bytes_) {
      n_bytes_ -= entries_.back().n_bytes;
      places_.erase(entries_.back().key);
      entries_.pop_back();
    }
    entries_.push_front({key, n_bytes, std::move(value)});
    places_.emplace(key, entries_.begin());
    n_bytes_ += n_bytes;
  }

  std::size_t bytes() const {
    const std::lock_guard lock(mutex_);
    return n_bytes_;
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  struct entry {
    std::uint64_t key;
    std::size_t n_bytes;
    std::shared_ptr<const Value> value;
  };

  mutable std::mutex mutex_;
  std::size_t max_bytes_;
  std::size_t n_bytes_ = 0;
  std::list<entry> entries_;  // the most recently used first
  std::unordered_map<std::uint64_t, typename std::list<entry>::iterator> places_;
};

}  // namespace troupe::grammar
