// What every local order promises of a plan, whatever the state.
#pragma once

#include "catch.hpp"
#include "policies/batching.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <span>

namespace troupe::policies {

inline std::uint32_t blocks_of(std::uint32_t tokens) {
  return (tokens + 15) / 16;
}

/// Tokens, blocks and sequences that a plan leaves unused.
struct plan_slack {
  std::uint32_t blocks = 0;
  std::uint32_t tokens = 0;
  std::set<sequence_id> unnamed;
};

/// REQUIREs names, sums and counts; blocks have 16 tokens.
inline plan_slack require_promises(const batch_plan& plan, std::span<const batch_sequence> sequences,
                                   const batch_limits& limits) {
  std::map<sequence_id, batch_sequence> by_id;
  plan_slack slack{limits.blocks_free, limits.max_batched_tokens, {}};
  std::uint32_t admitted = 0;
  for (const auto& s : sequences) {
    by_id[s.id] = s;
    admitted += s.admitted;
    slack.unnamed.insert(s.id);
  }
  const std::uint32_t admitted_before = admitted;
  for (const auto id : plan.preempt) {
    REQUIRE(slack.unnamed.erase(id) == 1);
    REQUIRE(by_id[id].admitted);
    slack.blocks += by_id[id].n_blocks;
    --admitted;
  }
  for (const auto& grant : plan.grants) {
    REQUIRE(slack.unnamed.erase(grant.id) == 1);
    const auto& s = by_id[grant.id];
    REQUIRE(grant.n_tokens >= 1);
    REQUIRE(grant.n_tokens <= s.n_known - s.n_computed);
    const std::uint32_t needed = blocks_of(s.n_computed + grant.n_tokens);
    const std::uint32_t missing = needed - std::min(needed, s.n_blocks);
    REQUIRE(missing <= slack.blocks);
    REQUIRE(grant.n_tokens <= slack.tokens);
    slack.blocks -= missing;
    slack.tokens -= grant.n_tokens;
    admitted += !s.admitted;
  }
  REQUIRE(admitted <= std::max(limits.max_sequences, admitted_before));
  if (limits.max_running > 0) REQUIRE(plan.grants.size() <= limits.max_running);
  return slack;
}

}  // namespace troupe::policies
