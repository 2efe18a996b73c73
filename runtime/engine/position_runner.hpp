// One sequence through a model without an engine around it, for evaluation and tests: gives the logits of any
// positions.
#pragma once

#include "runtime/kv/kv_storage.hpp"
#include "runtime/model/decoder_model.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace troupe {

class position_runner {
 public:
  /// The model must outlive it. Errors: overloaded, no memory for max_tokens of K and V.
  static result<position_runner> create(decoder_model& model, kernels::kv_type kv, std::uint32_t max_tokens);

  /// position: in the sequence. Called from several threads at once.
  using logits_callback = std::function<void(std::uint32_t position, std::span<const float> logits)>;

  /// Continues the sequence; gives the logits of the last n_logits tokens.
  void append(std::span<const token_id> tokens, std::uint32_t n_logits, const logits_callback& callback);
  void clear() { n_computed_ = 0; }
  std::uint32_t n_computed() const { return n_computed_; }

 private:
  position_runner(decoder_model& model, kv_storage kv);

  decoder_model* model_;
  kv_storage kv_;
  std::vector<block_handle> blocks_;
  std::uint32_t n_computed_ = 0;
};

}  // namespace troupe
