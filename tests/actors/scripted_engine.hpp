// An engine without a model, for tests of the actors: it keeps the books of a real one (blocks, admission, context) and
// draws the token at index i of a stream as a function of (prompt, seed, i), so that any disturbance of a stream shows.
#pragma once

#include "base/failpoint.hpp"
#include "base/random.hpp"
#include "runtime/engine/engine.hpp"

#include <algorithm>
#include <map>

namespace troupe::testing {

inline token_id scripted_token(const std::vector<token_id>& prompt, std::uint64_t seed, std::uint32_t index) {
  std::uint64_t hash = seed;
  for (const token_id token : prompt)
    hash = random_bits(hash, static_cast<std::uint64_t>(token));
  return static_cast<token_id>(random_bits(hash, index) % 1000);
}

/// The whole undisturbed answer to a request.
inline std::vector<token_id> scripted_answer(const generation_request& request) {
  std::vector<token_id> tokens;
  for (std::uint32_t i = 0; i < request.sampling.max_tokens; ++i)
    tokens.push_back(scripted_token(request.prompt, request.sampling.seed, i));
  return tokens;
}

class scripted_engine final : public engine {
 public:
  struct options {
    std::uint32_t blocks = 64;
    std::uint32_t max_context = 256;
    std::uint32_t max_batched_tokens = 64;
    std::uint32_t max_sequences = 4;
    bool broken = false;  // dies at its first step
  };
  explicit scripted_engine(options opts) : options_(opts), blocks_free_(opts.blocks) {}

  result<sequence_id> add(generation_request request) override {
    if (request.prompt.empty()) return make_error(errc::invalid_argument, "The prompt is empty.", "prompt");
    if (request.prompt.size() + request.sampling.max_tokens > options_.max_context)
      return make_error(errc::context_length_exceeded, "The prompt is too long.", "prompt");
    const sequence_id id{++last_id_};
    held sequence;
    sequence.n_known = static_cast<std::uint32_t>(request.prompt.size() + request.resumed.size());
    sequence.n_drawn = static_cast<std::uint32_t>(request.resumed.size());
    sequence.request = std::move(request);
    sequences_.emplace(id, std::move(sequence));
    return id;
  }

  void remove(sequence_id id) override {
    const auto found = sequences_.find(id);
    if (found == sequences_.end()) return;
    blocks_free_ += found->second.n_blocks;
    sequences_.erase(found);
  }

  std::vector<sequence_output> step(const step_plan& plan) override {
    TROUPE_ASSERT(!options_.broken, "a broken engine");
    for (const auto id : plan.preempt) {
      auto& s = sequences_.at(id);
      blocks_free_ += s.n_blocks;
      s.n_blocks = s.n_computed = 0;
      s.admitted = false;
    }
    std::vector<sequence_output> outputs;
    for (const auto& grant : plan.grants)
      compute(grant, outputs);
    return outputs;
  }

  engine_status status() const override {
    engine_status status;
    status.blocks_total = options_.blocks;
    status.blocks_free = blocks_free_;
    status.max_context = options_.max_context;
    status.max_batched_tokens = options_.max_batched_tokens;
    status.max_sequences = options_.max_sequences;
    return status;
  }

  std::vector<sequence_status> sequences() const override {
    std::vector<sequence_status> all;
    for (const auto& [id, s] : sequences_)
      all.push_back({id, s.n_known, s.n_computed, s.n_blocks, s.admitted});
    return all;
  }

  void reset_prefix_cache() override {}

 private:
  struct held {
    generation_request request;
    std::uint32_t n_known = 0;
    std::uint32_t n_computed = 0;
    std::uint32_t n_blocks = 0;
    std::uint32_t n_drawn = 0;
    bool admitted = false;
  };

  void compute(const step_grant& grant, std::vector<sequence_output>& outputs) {
    auto& s = sequences_.at(grant.id);
    const std::uint32_t n = std::min(grant.n_tokens, s.n_known - s.n_computed);
    const std::uint32_t needed = (s.n_computed + n + 15) / 16 - s.n_blocks;
    TROUPE_ASSERT(needed <= blocks_free_, "the plan granted more blocks than there are");
    blocks_free_ -= needed;
    s.n_blocks += needed;
    s.n_computed += n;
    s.admitted = true;
    if (s.n_computed < s.n_known) return;
    const auto& request = s.request;
    sequence_output output;
    output.id = grant.id;
    output.usage.prompt_tokens = static_cast<std::uint32_t>(request.prompt.size());
    if (s.n_drawn < request.sampling.max_tokens) {
      generated_token token;
      token.index = s.n_drawn;
      token.token = scripted_token(request.prompt, request.sampling.seed, s.n_drawn);
      token.text = std::to_string(token.token) + " ";
      output.tokens.push_back(std::move(token));
      ++s.n_drawn;
      ++s.n_known;
    }
    output.usage.completion_tokens = s.n_drawn;
    if (s.n_drawn >= request.sampling.max_tokens) output.reason = finish_reason::length;
    const bool done = output.reason != finish_reason::unfinished;
    outputs.push_back(std::move(output));
    if (done) remove(grant.id);
  }

  options options_;
  std::uint32_t blocks_free_;
  std::uint64_t last_id_ = 0;
  std::map<sequence_id, held> sequences_;
};

}  // namespace troupe::testing
