// Two engines and a memcpy between them, in the place of a protocol and a network.
#pragma once

#include "engine_harness.hpp"
#include "runtime/engine/kv_transfer.hpp"

#include <cstring>
#include <optional>

namespace troupe::testing {

constexpr std::uint32_t block_tokens = kernels::kv_block_tokens;

/// Every kind of sampling that keeps something between tokens: penalties, text held back before a stop string, a
/// grammar, guesses, scores of the prompt. Some share a beginning.
inline std::vector<generation_request> requests_of_all_kinds() {
  const auto shared = random_request(99, 40, 0).prompt;
  std::vector<generation_request> all;
  for (std::uint64_t kind = 0; kind < 8; ++kind) {
    auto request = random_request(kind, 5 + 9 * kind, 14);
    auto& sampling = request.sampling;
    request.id = request_id{100 + kind};
    if (kind % 3 == 1) request.prompt.insert(request.prompt.begin(), shared.begin(), shared.end());
    if (kind == 1) {
      sampling.temperature = 0.9f;
      sampling.frequency_penalty = 0.7f;
      sampling.repetition_penalty = 1.2f;
      sampling.logprobs = 3;
    } else if (kind == 2) {
      sampling.temperature = 1.0f;
      sampling.top_p = 0.8f;
      sampling.stop = {"e", "th", "zzzz"};
      sampling.min_tokens = 6;
    } else if (kind == 3) {
      sampling.grammar = {grammar_kind::gbnf, R"gbnf(root ::= "(" root ")" | [a-f]+ )gbnf"};
      sampling.temperature = 0.8f;
    } else if (kind == 4) {
      sampling.prompt_logprobs = 2;
      sampling.logprobs = 0;
    } else if (kind == 5) {  // repeats itself, so that guesses are tried
      for (std::size_t i = 12; i < request.prompt.size(); ++i)
        request.prompt[i] = request.prompt[i - 12];
      sampling.max_tokens = 30;
    } else if (kind == 6) {
      sampling.ignore_eos = false;
      sampling.temperature = 1.5f;
      request.tenant = "someone";
    }
    all.push_back(std::move(request));
  }
  return all;
}

/// What the requests give when nothing disturbs them.
inline std::vector<stream> undisturbed(const std::vector<generation_request>& requests, cpu_engine_options options,
                                       const tiny_model_options& model = {}) {
  options.prefix_caching = false;
  options.max_guesses = 0;
  tiny_engine engine(options, model);
  std::vector<stream> streams;
  for (const auto& request : requests)
    streams.push_back(engine.run_alone(request));
  return streams;
}

inline void step_all(tiny_engine& engine, std::uint32_t chunk) {
  step_plan plan;
  for (const auto& s : engine->sequences())
    plan.grants.push_back({s.id, chunk});
  engine.step(plan);
}

inline bool is_clean(tiny_engine& engine) {
  const auto audit = engine->audit();
  if (!audit) UNSCOPED_INFO(audit.error().message);
  return audit.has_value();
}

inline bool is_empty(tiny_engine& engine) {
  const auto status = engine->status();
  return is_clean(engine) && status.blocks_free == status.blocks_total && status.sequences_in_transfer == 0;
}

/// One sequence on its way from one engine to the other.
class transfer {
 public:
  transfer(tiny_engine& source, tiny_engine& target, sequence_id id) : source_(&source), target_(&target), id_(id) {}

  /// Room for what is computed now.
  result<> begin() {
    const auto taken = (*source_)->snapshot(id_);
    if (!taken) return taken.error();
    const auto room = (*target_)->reserve(taken->request, taken->progress.n_computed);
    if (!room) return room.error();
    arriving_ = room->sequence;
    n_cached_tokens_ = room->n_cached_tokens;
    CHECK(room->first_block == room->n_cached_tokens / block_tokens);
    n_copied_ = first_block_ = room->first_block;
    blocks_ = room->blocks;
    return {};
  }

  /// Copies the blocks that can be read now and were not copied yet. Those that are full need no second copy.
  result<> copy() {
    const auto held = (*source_)->hold(id_, n_copied_);
    if (!held) return held.error();
    const auto grown = (*target_)->grow(arriving_, held->n_computed);
    if (grown) {
      blocks_.insert(blocks_.end(), grown->blocks.begin(), grown->blocks.end());
      for (std::size_t i = 0; i < held->blocks.size(); ++i)
        std::ranges::copy(held->blocks[i], blocks_.at(n_copied_ - first_block_ + i).begin());
      n_copied_ = std::max(n_copied_, held->n_computed / block_tokens);
      n_bytes_ += held->blocks.empty() ? 0 : held->blocks.size() * held->blocks[0].size();
    }
    (*source_)->release(held->id);
    return grown ? result<>() : grown.error();
  }

  /// The last stage. The sequence is the target's afterwards, its stream with it.
  result<sequence_id> finish() {
    if (auto paused = (*source_)->pause(id_); !paused) return paused.error();
    if (auto copied = copy(); !copied) return copied.error();
    const auto taken = (*source_)->snapshot(id_);
    REQUIRE(taken);
    const auto done = (*target_)->commit(arriving_, taken->request.resumed, taken->progress);
    if (!done) return done.error();
    (*source_)->remove(id_);
    target_->of(arriving_) = source_->of(id_);
    return arriving_;
  }

  void abort() {
    (*target_)->remove(arriving_);
    (void)(*source_)->resume(id_);  // it may have ended
  }

  sequence_id arriving() const { return arriving_; }
  std::uint32_t n_cached_tokens() const { return n_cached_tokens_; }
  std::size_t n_bytes() const { return n_bytes_; }

 private:
  tiny_engine* source_;
  tiny_engine* target_;
  sequence_id id_;
  sequence_id arriving_;
  std::uint32_t n_cached_tokens_ = 0;
  std::uint32_t first_block_ = 0;  // of blocks_
  std::uint32_t n_copied_ = 0;     // full blocks that are there
  std::vector<std::span<std::byte>> blocks_;
  std::size_t n_bytes_ = 0;
};

inline sequence_id move_sequence(tiny_engine& source, tiny_engine& target, sequence_id id) {
  transfer t(source, target, id);
  if (auto begun = t.begin(); !begun) FAIL(begun.error().message);
  const auto there = t.finish();
  if (!there) FAIL(there.error().message);
  return *there;
}

}  // namespace troupe::testing
