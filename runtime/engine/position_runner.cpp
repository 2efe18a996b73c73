#include "runtime/engine/position_runner.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace troupe {
namespace {

class callback_consumer final : public logits_consumer {
 public:
  callback_consumer(std::uint32_t first_position, const position_runner::logits_callback& callback)
      : first_position_(first_position), callback_(callback) {}
  void take(std::size_t, std::size_t position, std::span<const float> logits, std::uint32_t) override {
    callback_(first_position_ + static_cast<std::uint32_t>(position), logits);
  }

 private:
  std::uint32_t first_position_;
  const position_runner::logits_callback& callback_;
};

}  // namespace

result<position_runner> position_runner::create(decoder_model& model, kernels::kv_type kv, std::uint32_t max_tokens) {
  const std::uint32_t n_blocks = (max_tokens + kernels::kv_block_tokens - 1) / kernels::kv_block_tokens;
  auto storage = kv_storage::create(model.layout(kv), model.config().n_layers, n_blocks);
  if (!storage) return storage.error();
  return position_runner(model, std::move(*storage));
}

position_runner::position_runner(decoder_model& model, kv_storage kv) : model_(&model), kv_(std::move(kv)) {
  for (std::uint32_t index = 0; index < kv_.n_blocks(); ++index)
    blocks_.push_back({index, 0});
}

void position_runner::append(std::span<const token_id> tokens, std::uint32_t n_logits,
                             const logits_callback& callback) {
  TROUPE_ASSERT(n_logits <= tokens.size(), "logits are for the tokens appended");
  const std::size_t first_wanted = tokens.size() - n_logits;
  for (std::size_t begin = 0; begin < tokens.size();) {
    const std::size_t end = std::min(tokens.size(), begin + model_->max_rows());
    forward_slice slice;
    slice.tokens = tokens.subspan(begin, end - begin);
    slice.first_position = n_computed_;
    slice.blocks = blocks_;
    slice.n_logits = static_cast<std::uint32_t>(end - std::clamp(first_wanted, begin, end));
    callback_consumer consumer(n_computed_, callback);
    model_->forward({&slice, 1}, kv_, consumer);
    n_computed_ += static_cast<std::uint32_t>(end - begin);
    begin = end;
  }
}

}  // namespace troupe
