// The weights of a decoder, repacked for one kernel table. Each matrix is packed once at load by all
// threads and its bytes in the file are given back, so that there is one copy in memory; the token embedding stays in
// the file, where rows are looked up.
#pragma once

#include "base/result.hpp"
#include "kernels/table.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/model/aligned_buffer.hpp"
#include "runtime/model/linear_weights.hpp"
#include "runtime/model/model_config.hpp"
#include "runtime/parallel/thread_pool.hpp"

#include <memory>
#include <span>
#include <vector>

namespace troupe {

struct gguf_tensor;

/// What the matrices become when they are packed.
enum class weight_precision : std::uint8_t {
  as_stored,
  widened  // to floats: activations then stay floats too. The exact model, at the price of its size, for evaluation
};

struct decoder_layer {
  std::vector<float> attention_norm;         // (n_embd)
  linear_weights q, k, v;                    // (q_dim, n_embd), (kv_dim, n_embd) twice
  std::vector<float> q_norm, k_norm;         // (head_dim); empty if the architecture has none
  linear_weights attention_output;           // (n_embd, q_dim)
  std::vector<float> attention_output_norm;  // (n_embd); empty if the architecture has none
  std::vector<float> ffn_norm;               // (n_embd)
  linear_weights gate, up;                   // (n_ff, n_embd)
  linear_weights down;                       // (n_embd, n_ff)
  std::vector<float> ffn_output_norm;        // (n_embd); empty if the architecture has none
};

class decoder_weights {
 public:
  /// Errors: corrupt, naming the tensor, the shape expected and the shape found.
  static result<decoder_weights> load(std::shared_ptr<const gguf_file> file, const model_config& config,
                                      const kernels::table& table, thread_pool& pool, weight_precision precision);

  std::span<const decoder_layer> layers() const { return layers_; }
  const std::vector<float>& output_norm() const { return output_norm_; }
  const linear_weights& output() const { return output_; }                  // (n_vocab, n_embd)
  const std::vector<float>& rope_factors() const { return rope_factors_; }  // empty, or (rope_dims / 2)

  /// y: (n_embd)
  void embed(const kernels::table& table, std::uint32_t token, float* y) const;

  std::size_t packed_bytes() const { return memory_.size(); }

 private:
  std::shared_ptr<const gguf_file> file_;
  gguf_tensor embedding_;
  std::vector<decoder_layer> layers_;
  std::vector<float> output_norm_;
  linear_weights output_;
  std::vector<float> rope_factors_;
  aligned_buffer memory_;  // all packed matrices

  friend class decoder_loader;
};

}  // namespace troupe
