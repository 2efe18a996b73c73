// The weights of a BERT encoder out of a safetensors file, under the names that Hugging Face's transformers gives them.
// Matrices are packed for one kernel table and their bytes in the file are given back; the embeddings stay in the file,
// where rows are looked up.
#pragma once

#include "base/result.hpp"
#include "kernels/table.hpp"
#include "runtime/embedding/bert_config.hpp"
#include "runtime/model/aligned_buffer.hpp"
#include "runtime/model/linear_weights.hpp"
#include "runtime/parallel/thread_pool.hpp"
#include "runtime/safetensors/safetensors_file.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace troupe {

struct layer_norm_weights {
  std::vector<float> scale, shift;  // (n_embd)
};

struct bert_layer {
  linear_weights q, k, v;           // (n_embd, n_embd)
  linear_weights attention_output;  // (n_embd, n_embd)
  layer_norm_weights attention_norm;
  linear_weights up;    // (n_ff, n_embd)
  linear_weights down;  // (n_embd, n_ff)
  layer_norm_weights output_norm;
};

class bert_weights {
 public:
  /// Errors: corrupt, naming the tensor, the shape expected and the shape found; unsupported for types other than F32,
  /// F16 and BF16.
  static result<bert_weights> load(safetensors_file file, const bert_config& config, const kernels::table& table,
                                   thread_pool& pool);

  std::span<const bert_layer> layers() const { return layers_; }
  const layer_norm_weights& embedding_norm() const { return embedding_norm_; }

  /// y: (n_embd), the embeddings of a token at a position of the first segment, added up.
  void embed(const kernels::table& table, std::uint32_t token, std::uint32_t position, float* y) const;

  std::size_t packed_bytes() const { return memory_.size(); }

 private:
  explicit bert_weights(safetensors_file file) : file_(std::make_unique<safetensors_file>(std::move(file))) {}

  // Where the tensors below point into.
  std::unique_ptr<safetensors_file> file_;
  const safetensor* words_ = nullptr;      // (n_vocab, n_embd)
  std::vector<float> positions_and_type_;  // (n_positions, n_embd), the first segment's embedding added
  layer_norm_weights embedding_norm_;
  std::vector<bert_layer> layers_;
  aligned_buffer memory_;  // all packed matrices

  friend class bert_loader;
};

}  // namespace troupe
