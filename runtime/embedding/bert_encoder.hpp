// The forward pass of a sentence encoder over several texts at once, on one kernel table: BERT (Devlin et al., 2018),
// whose rows are averaged and brought to length 1 (Reimers and Gurevych, "Sentence-BERT", 2019).
//
//   x = norm(word + position + segment)                      (n_rows, n_embd), the rows of all texts one after another
//   each layer:  x = norm(x + W_o attention(W_q x, W_k x, W_v x))     every row of a text sees all rows of that text
//                x = norm(x + W_down gelu(W_up x))
//   vector = mean of a text's rows, divided by its length
//
// Texts are not padded: a text costs its own tokens. Rule 5: a text's vector has the same bits whatever texts are
// computed with it and however the work is split over threads.
//
// encode() allocates nothing: its buffers are sized once for max_rows.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "kernels/table.hpp"
#include "runtime/embedding/bert_config.hpp"
#include "runtime/embedding/bert_weights.hpp"
#include "runtime/model/aligned_buffer.hpp"
#include "runtime/model/linear_runner.hpp"
#include "runtime/parallel/thread_pool.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace troupe {

class bert_encoder {
 public:
  /// max_rows: tokens of one pass, at least those that one text may have. The pool and the table must outlive the
  /// encoder. Errors: what bert_weights::load says.
  static result<std::unique_ptr<bert_encoder>> load(safetensors_file file, const bert_config& config,
                                                    const kernels::table& table, thread_pool& pool,
                                                    std::uint32_t max_rows);

  /// Texts have 1 to n_positions tokens of the vocabulary, all together at most max_rows. vectors: (n_texts, n_embd).
  void encode(std::span<const std::span<const token_id>> texts, float* vectors);

  const bert_config& config() const { return config_; }
  std::uint32_t max_rows() const { return max_rows_; }
  std::size_t weight_bytes() const { return weights_.packed_bytes(); }

 private:
  /// The rows of one text.
  struct row_range {
    std::size_t begin = 0, end = 0;
  };
  /// One head's rows of the text at hand, contiguous as the attention kernel reads them; one for each worker.
  struct head_rows {
    std::vector<float> q, out;  // (max_query_heads, head_dim)
    aligned_buffer keys, values;
    std::vector<const std::byte*> k_blocks, v_blocks;
  };

  static constexpr std::size_t rows_per_task = 8;

  bert_encoder(const kernels::table& table, thread_pool& pool, const bert_config& config, bert_weights weights,
               linear_runner linear, std::uint32_t max_rows);
  result<> make_head_rows();

  void plan(std::span<const std::span<const token_id>> texts);
  void embed(std::span<const std::span<const token_id>> texts);
  void attention_block(const bert_layer& layer);
  void ffn_block(const bert_layer& layer);
  void attend(const row_range& text, std::uint32_t head, head_rows& own);
  void add_and_norm(const layer_norm_weights& norm);
  void pool_rows(const row_range& text, float* vector) const;
  template <class Body>
  void for_each_row(const Body& body);

  const kernels::table& table_;
  thread_pool& pool_;
  bert_config config_;
  bert_weights weights_;
  linear_runner linear_;
  std::uint32_t max_rows_;

  // Per pass
  std::size_t n_rows_ = 0;
  std::vector<row_range> texts_;

  std::vector<float> x_;          // (max_rows, n_embd)
  std::vector<float> q_, k_, v_;  // (max_rows, n_embd)
  std::vector<float> attention_;  // (max_rows, n_embd)
  std::vector<float> delta_;      // (max_rows, n_embd) what a block adds to x
  std::vector<float> hidden_;     // (max_rows, n_ff)
  std::vector<head_rows> worker_head_rows_;
};

}  // namespace troupe
