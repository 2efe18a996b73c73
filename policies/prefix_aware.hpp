// Dispatch to where a prompt's beginning is cached already, as long as that worker is not much busier than the others.
// The directory remembers where prompts went: chained hashes of their chunks, so that a chunk's hash names the whole
// prefix up to it. Bounded; what was not used longest is forgotten. The manner of SGLang's router, with exact chunks in
// the place of its tree.
#pragma once

#include "base/ids.hpp"
#include "policies/dispatch.hpp"

#include <cstdint>
#include <list>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace troupe::policies {

/// Most cached tokens first, among the workers whose work is at most `balance_factor` times the mean (and a little);
/// then the least loaded.
class prefix_aware_dispatch final : public dispatch_policy {
 public:
  explicit prefix_aware_dispatch(double balance_factor) : balance_factor_(balance_factor) {}
  std::string_view name() const override { return "prefix_aware"; }
  std::optional<worker_id> choose(const dispatch_request& request, std::span<const dispatch_worker> workers,
                                  std::uint64_t turn) const override;
  bool wants_cached_tokens() const override { return true; }

 private:
  double balance_factor_;
};

class prefix_directory {
 public:
  static constexpr std::size_t chunk_tokens = 64;

  explicit prefix_directory(std::size_t max_chunks) : max_chunks_(max_chunks) {}

  /// The chained hashes of a prompt's whole chunks. Tenants share nothing.
  static std::vector<std::uint64_t> hash_chunks(std::span<const token_id> prompt, std::string_view tenant);

  /// Tokens of the prompt that were sent to the worker before.
  std::uint32_t cached_tokens(std::span<const std::uint64_t> chunks, worker_id worker) const;
  void remember(std::span<const std::uint64_t> chunks, worker_id worker);
  void forget(worker_id worker);
  std::size_t size() const { return places_.size(); }

 private:
  struct key {
    std::uint64_t chunk;
    worker_id worker;
    friend bool operator==(const key&, const key&) = default;
  };
  struct key_hash {
    std::size_t operator()(const key& k) const { return k.chunk ^ (std::size_t{k.worker.value} * 0x9e3779b97f4a7c15u); }
  };

  std::size_t max_chunks_;
  std::list<key> by_use_;  // the latest first
  std::unordered_map<key, std::list<key>::iterator, key_hash> places_;
};

}  // namespace troupe::policies
