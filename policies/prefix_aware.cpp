#include "policies/prefix_aware.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <tuple>

namespace troupe::policies {

std::optional<worker_id> prefix_aware_dispatch::choose(const dispatch_request& request,
                                                       std::span<const dispatch_worker> workers, std::uint64_t) const {
  double sum = 0;
  std::size_t n = 0;
  const auto load = [](const dispatch_worker& w) { return static_cast<double>(w.tokens_to_compute) + w.requests; };
  for (const auto& worker : workers)
    if (has_room(worker)) sum += load(worker), ++n;
  if (n == 0) return std::nullopt;
  // One request more than the mean is no imbalance.
  const double most = balance_factor_ * (sum / static_cast<double>(n)) + request.prompt_tokens + 1;
  return least(workers, [&](const dispatch_worker& w) {
    const bool is_busy = load(w) > most;
    const std::uint32_t missing = request.prompt_tokens - std::min(request.prompt_tokens, w.cached_tokens);
    return std::make_tuple(is_busy, missing, load(w));
  });
}

std::vector<std::uint64_t> prefix_directory::hash_chunks(std::span<const token_id> prompt, std::string_view tenant) {
  std::uint64_t hash = 0;
  for (const char c : tenant)
    hash = random_bits(hash, static_cast<unsigned char>(c));
  // No token: a tenant's name is not the beginning of another's prompt.
  hash = random_bits(hash, ~std::uint64_t{tenant.size()} >> 1);
  std::vector<std::uint64_t> chunks;
  chunks.reserve(prompt.size() / chunk_tokens);
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    hash = random_bits(hash, static_cast<std::uint64_t>(prompt[i]));
    if ((i + 1) % chunk_tokens == 0) chunks.push_back(hash);
  }
  return chunks;
}

std::uint32_t prefix_directory::cached_tokens(std::span<const std::uint64_t> chunks, worker_id worker) const {
  std::uint32_t n = 0;
  while (n < chunks.size() && places_.contains({chunks[n], worker}))
    ++n;
  return n * static_cast<std::uint32_t>(chunk_tokens);
}

void prefix_directory::remember(std::span<const std::uint64_t> chunks, worker_id worker) {
  if (max_chunks_ == 0) return;
  // From the last one on, so that a prefix is forgotten from its end.
  for (auto chunk = chunks.rbegin(); chunk != chunks.rend(); ++chunk) {
    const key of{*chunk, worker};
    if (const auto known = places_.find(of); known != places_.end()) {
      by_use_.splice(by_use_.begin(), by_use_, known->second);
      continue;
    }
    if (places_.size() >= max_chunks_) {
      places_.erase(by_use_.back());
      by_use_.pop_back();
    }
    by_use_.push_front(of);
    places_.emplace(of, by_use_.begin());
  }
}

void prefix_directory::forget(worker_id worker) {
  for (auto it = by_use_.begin(); it != by_use_.end();) {
    if (it->worker == worker) {
      places_.erase(*it);
      it = by_use_.erase(it);
    } else {
      ++it;
    }
  }
}

}  // namespace troupe::policies
