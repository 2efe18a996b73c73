// An engine without a model, for the simulator and for tests of the actors. Its books are the real ones (block pool,
// prefix index, block tables, holds), its K and V are numbers: of a position, in a layer, a function of the tokens up
// to it. The token at index i is a function of (prompt, seed, i). Each step reads all K and V of what it computes, as
// attention would, and commit() what has arrived: a block that is wrong, missing or stale does not go unseen.
//
// Cost: O(positions of the sequences computed) a step, some 10 ns each; with watch_kv off, O(sequences) a step.
#pragma once

#include "base/clock.hpp"
#include "policies/step_cost.hpp"
#include "runtime/engine/engine.hpp"
#include "runtime/engine/kv_transfer.hpp"
#include "runtime/kv/block_hold.hpp"
#include "runtime/kv/sequence_blocks.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::simulator {

/// The token that every engine here draws at an index of a stream.
token_id answer_token(const std::vector<token_id>& prompt, std::uint64_t seed, std::uint32_t index);
/// The whole undisturbed answer to a request, resumed tokens included.
std::vector<token_id> whole_answer(const generation_request& request);

/// A step takes so long, whatever it computes, and 0.1 ms for each token.
constexpr policies::step_cost flat_cost(double ms) {
  return {.prompt = {ms, 0.1, 0}, .decoding = {ms, 0, 0.1}, .large = {}, .large_batch = 0};
}

struct simulated_engine_options {
  std::uint32_t blocks = 64;
  std::uint32_t max_context = 256;
  std::uint32_t max_batched_tokens = 64;
  std::uint32_t max_sequences = 4;
  std::uint32_t attention_context = 0;  // engine_status::attention_context
  bool prefix_caching = false;
  bool broken = false;            // dies at its first step
  std::uint64_t fingerprint = 1;  // of K and V
  // What a step takes in virtual time.
  policies::step_cost cost = flat_cost(20);
  // Whether K and V have their values, and are read and checked. Without, only the books are kept, and a block is a
  // few bytes.
  bool watch_kv = true;
  // After how many tokens the model ends an answer by itself; without it, or with 0, never.
  std::function<std::uint32_t(request_id)> answer_length{};
  // Told of wrong K and V and of broken books; without it they assert.
  std::function<void(const std::string& what)> on_violation{};
  std::function<void(request_id)> on_preempt{};  // a request lost its blocks
  // Told when a call of kv_transfer, or remove(), was made: "hold", "pause", "commit", …; "end" when the engine goes.
  std::function<void(std::string_view call)> on_call{};
  // Told of each block before a step writes into it.
  std::function<void(std::span<const std::byte> block)> on_write{};
};

class simulated_engine final : public engine, public kv_transfer {
 public:
  using options = simulated_engine_options;

  explicit simulated_engine(options opts);
  ~simulated_engine() override;

  // engine
  result<sequence_id> add(generation_request request) override;
  void remove(sequence_id id) override;
  std::vector<sequence_output> step(const step_plan& plan) override;
  engine_status status() const override;
  std::vector<sequence_status> sequences() const override;
  void reset_prefix_cache() override;
  kv_transfer* transfer() override { return this; }

  // kv_transfer
  kv_fingerprint fingerprint() const override { return {options_.fingerprint, 0}; }
  kv_geometry geometry() const override;
  result<kv_hold> hold(sequence_id id, std::uint32_t first_block) override;
  void release(kv_hold_id id) override;
  result<> pause(sequence_id id) override;
  result<> resume(sequence_id id) override;
  result<sequence_snapshot> snapshot(sequence_id id) const override;
  result<> listen(sequence_id id, kv_listener* listener) override;
  result<kv_reservation> reserve(generation_request request, std::uint32_t n_tokens) override;
  result<kv_reservation> grow(sequence_id id, std::uint32_t n_tokens) override;
  result<> commit(sequence_id id, std::span<const token_id> resumed, sequence_progress progress) override;

  /// What the last step computed.
  const policies::step_shape& last_shape() const { return shape_; }
  duration last_step_cost() const { return options_.cost.time(shape_); }
  /// I5, every count anew: a sentence for the first that is wrong.
  result<> audit() const;
  std::size_t n_holds() const { return holds_.size(); }
  std::size_t n_arrivals() const { return arrivals_.size(); }
  std::uint32_t blocks_used() const { return pool_.used(); }
  /// Where K and V lie.
  std::span<const std::byte> memory() const { return std::as_bytes(std::span(kv_)); }

 private:
  static constexpr std::uint32_t n_layers = 2;

  /// Values of K and V in a block's layer.
  std::uint32_t layer_cells() const { return options_.watch_kv ? kernels::kv_block_tokens : 1; }

  struct sequence {
    generation_request request;       // as it was given
    std::vector<token_id> tokens;     // known ones: prompt, resumed, drawn
    std::vector<std::uint64_t> sums;  // of the tokens up to each
    std::uint32_t n_prompt = 0;
    sequence_blocks blocks;
    std::uint32_t n_computed = 0;
    bool admitted = false;
    bool was_admitted = false;
    bool paused = false;
    std::uint32_t n_cached = 0;
    kv_listener* listener = nullptr;
    bool prompt_logprobs_due = false;
    std::uint32_t n_scored = 1;
    std::uint64_t answer_seed = 0;  // what answer_token() makes of prompt and seed
    std::uint32_t n_answer = 0;     // tokens after which it ends by itself; 0: never

    std::uint32_t n_known() const { return static_cast<std::uint32_t>(tokens.size()); }
    std::uint32_t n_output() const { return n_known() - n_prompt; }
  };
  struct arrival {
    generation_request request;
    sequence_blocks blocks;
    std::uint32_t n_cached = 0;
  };
  struct grant {
    sequence_id id;
    std::uint32_t n_tokens = 0;
  };

  result<> check(const generation_request& request) const;
  sequence make_sequence(generation_request request, sequence_blocks blocks) const;
  void append(sequence& s, token_id token) const;
  void preempt(sequence& s);
  std::uint32_t n_admitted() const;
  void grant_tokens(const step_grant& wish);
  void measure();
  void compute();
  void complete(const grant& g, std::vector<sequence_output>& outputs);
  std::vector<prompt_token_logprob> scores(const sequence& s) const;
  result<kv_reservation> make_room(sequence_id id, sequence_blocks& blocks, std::uint32_t n_tokens);

  std::span<std::uint64_t> cells(block_handle block);  // (n_layers, block_tokens)
  void read_all(const sequence& s, std::uint32_t n, std::string_view where) const;
  void violate(const std::string& what) const;
  void tell(std::string_view call) const {
    if (options_.on_call) options_.on_call(call);
  }
  std::span<const block_handle> readable(const sequence& s, std::uint32_t n_computing) const;

  options options_;
  std::vector<std::uint64_t> kv_;
  block_pool pool_;
  std::unique_ptr<prefix_index> index_;
  std::uint64_t last_id_ = 0;
  std::uint64_t last_hold_ = 0;
  std::map<sequence_id, sequence> sequences_;
  std::map<sequence_id, arrival> arrivals_;
  std::map<kv_hold_id, block_hold> holds_;
  std::vector<grant> grants_;  // of the step under way
  policies::step_shape shape_;
  bool computing_ = false;
};

}  // namespace troupe::simulator
