// The engine on the processor's own cores: a decoder_model, its paged KV with a prefix index, and samplers, one step at
// a time as engine.hpp says.
//
// A step costs one forward pass over the granted tokens and, for each drawn token, one pass over its logits on the
// worker that computed them. Apart from the outputs it returns it allocates nothing that grows with the model or the
// context.
#pragma once

#include "base/result.hpp"
#include "kernels/table.hpp"
#include "runtime/engine/cpu_engine_options.hpp"
#include "runtime/engine/engine.hpp"
#include "runtime/engine/engine_sequence.hpp"
#include "runtime/engine/kv_transfer.hpp"
#include "runtime/grammar/vocabulary_grammars.hpp"
#include "runtime/kv/block_hold.hpp"
#include "runtime/kv/block_pool.hpp"
#include "runtime/kv/kv_storage.hpp"
#include "runtime/kv/prefix_index.hpp"
#include "runtime/model/decoder_model.hpp"
#include "runtime/parallel/thread_pool.hpp"
#include "runtime/sampling/sampler.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace troupe {

/// How much room K and V get.
struct kv_plan {
  kernels::kv_layout layout;
  std::uint32_t n_blocks = 0;
  std::uint32_t max_context = 0;  // tokens of a sequence
};

class cpu_engine final : public engine, public kv_transfer, private logits_consumer, private layer_observer {
 public:
  /// Errors: invalid_argument (an option out of range, an unknown kernel table), corrupt or unsupported (the model),
  /// overloaded (no memory).
  static result<std::unique_ptr<cpu_engine>> create(std::shared_ptr<const gguf_file> file,
                                                    std::shared_ptr<const tokenizer> vocabulary,
                                                    const cpu_engine_options& options,
                                                    std::shared_ptr<vocabulary_grammars> grammars = nullptr);
  ~cpu_engine() override;
  /// What create() would give K and V, without making anything. Errors: those of create() about options and budget.
  static result<kv_plan> plan_kv(const gguf_file& file, const cpu_engine_options& options);

  result<sequence_id> add(generation_request request) override;
  void remove(sequence_id id) override;
  std::vector<sequence_output> step(const step_plan& plan) override;
  engine_status status() const override;
  std::vector<sequence_status> sequences() const override;
  void reset_prefix_cache() override;

  // In cpu_engine_transfer.cpp
  kv_transfer* transfer() override { return this; }
  kv_fingerprint fingerprint() const override { return fingerprint_; }
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

  const model_config& config() const { return model_->config(); }
  const kernels::table& table() const { return model_->table(); }
  std::uint32_t n_threads() const { return pool_->size(); }
  std::size_t weight_bytes() const { return model_->weight_bytes(); }
  std::size_t kv_bytes() const { return kv_.total_bytes(); }

  /// Counts all blocks anew (invariant I5: free + used = total, and the used ones are those of sequences, arriving
  /// ones included, and of holds). An
  /// internal error with a sentence for the first mistake. For tests; O(blocks).
  result<> audit() const;

 private:
  /// A sequence in the step that runs now.
  struct grant {
    engine_sequence* sequence;
    std::uint32_t n_tokens;
    std::uint32_t n_guesses;  // of them
  };

  /// A sequence on its way here.
  struct arrival {
    generation_request request;
    sequence_blocks blocks;
    std::uint32_t n_cached = 0;  // positions that were known here
  };

  cpu_engine(std::unique_ptr<thread_pool> pool, std::unique_ptr<decoder_model> model, kv_storage kv,
             std::shared_ptr<const tokenizer> vocabulary, std::shared_ptr<vocabulary_grammars> grammars,
             const cpu_engine_options& options, std::uint32_t max_context, const kv_fingerprint& fingerprint);

  void take(std::size_t slice, std::size_t position, std::span<const float> logits, std::uint32_t worker) override;
  void layer_stored(std::uint32_t layer) override;

  static kv_fingerprint make_fingerprint(const gguf_file& file, const kernels::kv_layout& layout,
                                         std::uint32_t n_layers, const kernels::table& table);
  engine_sequence* find(sequence_id id) const;
  void grant_tokens(const step_grant& wish);
  void run_model();
  result<> check(const generation_request& request) const;
  std::unique_ptr<engine_sequence> make_sequence(sequence_id id, generation_request request,
                                                 std::optional<grammar_constraint> constraint, sequence_blocks blocks);
  result<> check_room(std::uint32_t n_tokens) const;
  result<kv_reservation> make_room(sequence_id id, sequence_blocks& blocks, std::uint32_t n_tokens);
  result<> check_progress(const arrival& arriving, std::span<const token_id> resumed,
                          const sequence_progress& progress) const;
  result<std::optional<grammar_constraint>> make_constraint(const generation_request& request);
  std::uint32_t n_admitted() const;  // arriving ones among them

  std::unique_ptr<thread_pool> pool_;
  std::unique_ptr<decoder_model> model_;
  kv_storage kv_;
  std::shared_ptr<const tokenizer> vocabulary_;
  std::shared_ptr<vocabulary_grammars> grammars_;
  std::vector<token_id> end_tokens_;
  std::uint32_t max_context_;
  std::uint32_t max_sequences_;
  std::uint32_t max_guesses_;
  kv_fingerprint fingerprint_;
  block_pool blocks_;
  std::unique_ptr<prefix_index> index_;  // nullptr: no prefix caching
  std::vector<sampler> samplers_;        // one for each worker

  std::vector<std::unique_ptr<engine_sequence>> sequences_;  // in the order of their ids
  std::uint64_t next_id_ = 1;
  std::map<sequence_id, arrival> arrivals_;
  std::map<kv_hold_id, block_hold> holds_;
  std::uint64_t next_hold_ = 1;
  std::uint64_t guesses_tried_ = 0;
  std::uint64_t guesses_right_ = 0;

  // The step that runs now
  std::vector<grant> grants_;
  std::vector<forward_slice> slices_;
  std::uint32_t n_granted_ = 0;
  bool computing_ = false;  // inside the forward pass: grants_ are being computed
};

}  // namespace troupe
