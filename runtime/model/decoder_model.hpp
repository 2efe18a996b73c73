// The forward pass of a decoder over a batch of slices of several sequences, on one kernel table: the llama
// architecture (Touvron et al., 2023: pre-norm transformer with RMS norm, rotary embedding, grouped-query attention and
// a gated feed-forward layer) and what is made of the same parts. In brackets those that not all have (model_config):
//
//   x = [scale] embed(tokens)                             (n_rows, n_embd)
//   each layer:  q, k, v = W rms_norm(x); [norm the heads of q and k]; rotate q, k; store k, v
//                x += [norm] W_o attention(q, K, V)       [of a window, with other angles, in local layers]
//                x += [norm] W_down (act(W_gate h) * W_up h),   h = rms_norm(x), act: silu or gelu
//   logits = W_out rms_norm(x)                            for the rows asked for only
//
// Gemma 3 (Gemma team, 2025) has all of them.
//
// Decode costs one read of the weights and five loops of the pool a layer, seven with norms of the outputs. Rule 5: the
// logits of a position depend on its sequence's tokens alone; how the rows are batched, chunked and split over threads
// moves no bit.
//
// forward() allocates nothing: its buffers are sized once for max_rows.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "kernels/table.hpp"
#include "runtime/kv/block_pool.hpp"
#include "runtime/kv/kv_storage.hpp"
#include "runtime/model/aligned_buffer.hpp"
#include "runtime/model/decoder_weights.hpp"
#include "runtime/model/linear_runner.hpp"
#include "runtime/model/model_config.hpp"
#include "runtime/model/rope_table.hpp"
#include "runtime/parallel/thread_pool.hpp"

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace troupe {

class gguf_file;

/// Neighbouring positions of one sequence. Positions before the first have their K and V in the blocks already.
struct forward_slice {
  std::span<const token_id> tokens;  // inside the vocabulary, at least one
  std::uint32_t first_position = 0;
  std::span<const block_handle> blocks;  // room for positions [0, first_position + tokens.size())
  std::uint32_t n_logits = 0;            // how many of the last positions want logits
};

/// Receives logits as they are computed. take() is called from the pool's workers, concurrently for different rows.
class logits_consumer {
 public:
  virtual ~logits_consumer() = default;
  /// position: index into the slice's tokens. logits: (n_vocab), good during the call only.
  virtual void take(std::size_t slice, std::size_t position, std::span<const float> logits, std::uint32_t worker) = 0;
};

/// Told of each layer of a pass when all positions of the pass have their K and V in it, on the thread that called
/// forward(), between two loops of the pool.
class layer_observer {
 public:
  virtual ~layer_observer() = default;
  virtual void layer_stored(std::uint32_t layer) = 0;
};

struct decoder_options {
  std::uint32_t max_rows = 512;     // tokens of one forward pass, all slices together
  std::uint32_t max_positions = 0;  // of a sequence; 0: the model's context length
  weight_precision precision = weight_precision::as_stored;
};

class decoder_model {
 public:
  /// Packs the weights over the pool, which must outlive the model. Errors: what read_model_config and
  /// decoder_weights::load say.
  static result<std::unique_ptr<decoder_model>> load(std::shared_ptr<const gguf_file> file, const kernels::table& table,
                                                     thread_pool& pool, const decoder_options& options);

  /// Computes the slices: writes K and V of all their positions, gives the logits wanted to the consumer. Slices are of
  /// different sequences, in all at most max_rows tokens.
  void forward(std::span<const forward_slice> slices, kv_storage& kv, logits_consumer& consumer,
               layer_observer* observer = nullptr);

  const model_config& config() const { return config_; }
  const kernels::table& table() const { return table_; }
  kernels::kv_layout layout(kernels::kv_type type) const { return {type, config_.n_kv_heads, config_.head_dim}; }
  std::uint32_t max_rows() const { return max_rows_; }
  std::uint32_t max_positions() const { return rope_.n_positions(); }
  std::size_t weight_bytes() const { return weights_.packed_bytes(); }

 private:
  /// Rows of one slice that are computed together, and where they stand in the batch.
  struct row_group {
    std::uint32_t slice = 0;
    std::uint32_t begin = 0, end = 0;  // indices into the slice's tokens
  };
  /// The rows of one group in some kv heads: over all positions they see or, where parts are computed, over one
  /// segment.
  struct attention_task {
    std::uint32_t group = 0;
    std::uint32_t head_begin = 0, head_end = 0;
    std::uint32_t segment = 0;
  };
  struct logits_row {
    std::uint32_t slice = 0;
    std::uint32_t position = 0;
  };

  // Queries of one attention task: enough to read K and V once for many, few enough to balance.
  static constexpr std::uint32_t queries_per_task = 16;
  // Tasks for each worker that make their loads even. With fewer, attention is computed in parts.
  static constexpr std::uint32_t tasks_per_worker = 4;
  // Rows of one task that norms outputs.
  static constexpr std::size_t norm_rows_per_task = 8;
  // Logits are the widest rows: 32 of 49,152 are 6 MB.
  static constexpr std::uint32_t logits_rows_at_once = 32;

  decoder_model(const kernels::table& table, thread_pool& pool, model_config config, decoder_weights weights,
                linear_runner linear, std::uint32_t max_rows, std::uint32_t max_positions);

  void plan(std::span<const forward_slice> slices);
  void plan_attention(std::span<const forward_slice> slices);
  void add_tasks(std::uint32_t group, std::uint32_t segment, bool heads_together);
  void embed(std::span<const forward_slice> slices);
  void attention_block(const decoder_layer& layer, std::uint32_t index, std::span<const forward_slice> slices,
                       kv_storage& kv);
  void ffn_block(const decoder_layer& layer);
  void store_rows(const forward_slice& slice, const row_group& rows, std::uint32_t layer, std::uint32_t head_begin,
                  std::uint32_t head_end, kv_storage& kv);
  void turn_heads(float* x, std::uint32_t n_heads, const std::vector<float>& norm, std::uint32_t layer,
                  std::uint32_t position) const;
  const float* turned_queries(const forward_slice& slice, const attention_task& task, std::uint32_t layer,
                              std::uint32_t worker);
  void attend(const forward_slice& slice, const attention_task& task, std::uint32_t layer, kv_storage& kv,
              std::uint32_t worker);
  std::uint32_t first_part(const forward_slice& slice, std::uint32_t layer) const;
  /// A row of attention's outputs out of its parts.
  const float* combined_row(const forward_slice& slice, std::size_t row, std::uint32_t layer, float* to);
  float* parts_of(std::size_t row, std::size_t head, std::size_t part) {
    return parts_.get() + (row * config_.n_heads + head) * parts_stride_ +
           part * kernels::attention_part_floats(config_.head_dim);
  }
  void give_logits(logits_consumer& consumer);
  /// x += [norm] W input(row, scratch), as linear_runner::run gives rows. norm: empty for none.
  template <class Input>
  void add_output(const linear_weights& weights, const std::vector<float>& norm, const Input& input);
  const rope_table& rope_of(std::uint32_t layer) const { return config_.is_local(layer) ? *local_rope_ : rope_; }
  std::uint32_t window_of(std::uint32_t layer) const { return config_.is_local(layer) ? config_.window : 0; }

  const kernels::table& table_;
  thread_pool& pool_;
  model_config config_;
  decoder_weights weights_;
  rope_table rope_;
  std::optional<rope_table> local_rope_;  // where some layers are local
  linear_runner linear_;
  std::uint32_t max_rows_;

  // Per pass
  std::size_t n_rows_ = 0;
  std::vector<std::size_t> first_row_;   // of each slice in the batch
  std::vector<row_group> store_groups_;  // each inside one KV block
  std::vector<row_group> query_groups_;  // each at most queries_per_task
  std::vector<attention_task> attention_tasks_;
  std::vector<logits_row> logits_rows_;
  bool tasks_store_their_rows_ = false;  // no attention task reads what another one stores
  bool attention_in_parts_ = false;

  std::vector<float> x_;          // (max_rows, n_embd) the residual stream
  std::vector<float> q_;          // (max_rows, q_dim)
  std::vector<float> k_, v_;      // (max_rows, kv_dim)
  std::vector<float> attention_;  // (max_rows, q_dim)
  // (rows that are computed in parts, n_heads, segments, attention_part_floats); costs memory when it is used
  std::unique_ptr<float[]> parts_;
  std::size_t parts_stride_ = 0;  // floats of a head
  std::vector<float> delta_;      // (max_rows, n_embd) what a block adds to x
  std::vector<float> gate_, up_;  // (max_rows, n_ff)
  std::vector<float> logits_;     // (logits_rows_at_once, n_vocab)

  // Per worker
  std::vector<std::vector<const std::byte*>> k_blocks_, v_blocks_;  // a sequence's blocks of one layer
  std::vector<float> turned_;                                       // (n_workers, queries_per_task, q_dim)
};

}  // namespace troupe
