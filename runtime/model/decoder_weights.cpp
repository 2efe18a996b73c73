#include "runtime/model/decoder_weights.hpp"

#include <cmath>
#include <initializer_list>
#include <string>

namespace troupe {
namespace {

std::string shape_of(std::span<const std::uint64_t> dims) {
  std::string text = "(";
  for (std::size_t i = dims.size(); i-- > 0;)
    text += std::to_string(dims[i]) + (i ? ", " : "");
  return text + ")";
}

error missing(const std::string& name) {
  return make_error(errc::corrupt, "The tensor " + name + " is missing.");
}

}  // namespace

/// One load: checks every tensor, then packs all of them into one allocation.
class decoder_loader {
 public:
  decoder_loader(std::shared_ptr<const gguf_file> file, const model_config& config, const kernels::table& table,
                 thread_pool& pool, weight_precision precision)
      : config_(config), table_(table), pool_(pool), precision_(precision) {
    weights_.file_ = std::move(file);
  }

  result<decoder_weights> load() {
    describe();
    if (failure_) return *failure_;
    auto memory = aligned_buffer::create(packed_bytes_);
    if (!memory) return memory.error();
    weights_.memory_ = std::move(*memory);
    for (const pending& matrix : pending_)
      pack(matrix);
    return std::move(weights_);
  }

 private:
  struct pending {
    linear_weights* target;
    gguf_tensor source;
    std::size_t offset;  // in the allocation
  };

  void describe() {
    const model_config& c = config_;
    weights_.embedding_ = find("token_embd.weight", {c.n_vocab, c.n_embd}).value_or(gguf_tensor{});
    weights_.layers_.resize(c.n_layers);  // before any address inside is taken
    for (std::uint32_t i = 0; i < c.n_layers && !failure_; ++i)
      describe_layer(i);
    weights_.output_norm_ = floats("output_norm.weight", c.n_embd);
    const bool tied = !weights_.file_->find_tensor("output.weight");
    describe_linear(tied ? "token_embd" : "output", weights_.output_, c.n_vocab, c.n_embd);
    if (weights_.file_->find_tensor("rope_freqs.weight")) describe_rope_factors();
  }

  void describe_layer(std::uint32_t i) {
    const model_config& c = config_;
    const std::string prefix = "blk." + std::to_string(i) + ".";
    decoder_layer& layer = weights_.layers_[i];
    layer.attention_norm = floats(prefix + "attn_norm.weight", c.n_embd);
    describe_linear(prefix + "attn_q", layer.q, c.q_dim(), c.n_embd);
    describe_linear(prefix + "attn_k", layer.k, c.kv_dim(), c.n_embd);
    describe_linear(prefix + "attn_v", layer.v, c.kv_dim(), c.n_embd);
    if (c.has_query_key_norms) {
      layer.q_norm = floats(prefix + "attn_q_norm.weight", c.head_dim);
      layer.k_norm = floats(prefix + "attn_k_norm.weight", c.head_dim);
    }
    describe_linear(prefix + "attn_output", layer.attention_output, c.n_embd, c.q_dim());
    layer.ffn_norm = floats(prefix + "ffn_norm.weight", c.n_embd);
    describe_linear(prefix + "ffn_gate", layer.gate, c.n_ff, c.n_embd);
    describe_linear(prefix + "ffn_up", layer.up, c.n_ff, c.n_embd);
    describe_linear(prefix + "ffn_down", layer.down, c.n_embd, c.n_ff);
    if (!c.has_output_norms) return;
    layer.attention_output_norm = floats(prefix + "post_attention_norm.weight", c.n_embd);
    layer.ffn_output_norm = floats(prefix + "post_ffw_norm.weight", c.n_embd);
  }

  void describe_linear(const std::string& name, linear_weights& target, std::uint32_t n_out, std::uint32_t n_in) {
    const auto tensor = find(name + ".weight", {n_out, n_in});
    if (!tensor) return;
    const auto type = precision_ == weight_precision::widened ? kernels::weight_type::f32 : tensor->type;
    target.packed = {.type = type, .n_out = n_out, .n_in = n_in, .data = nullptr};
    target.format = table_.activation_format_for(type);
    if (weights_.file_->find_tensor(name + ".bias")) target.bias = floats(name + ".bias", n_out);
    pending_.push_back({&target, *tensor, packed_bytes_});
    packed_bytes_ += align_64(table_.packed_bytes(type, n_out, n_in));
  }

  void describe_rope_factors() {
    weights_.rope_factors_ = floats("rope_freqs.weight", config_.rope_dims / 2);
    for (const float factor : weights_.rope_factors_)
      if (!(std::isfinite(factor) && factor > 0.0f))
        fail(make_error(errc::corrupt, "The tensor rope_freqs.weight holds " + std::to_string(factor) +
                                           ", expected numbers above 0."));
  }

  /// shape: the last dimension runs fastest, as in the comments of this code; the file lists it first.
  std::optional<gguf_tensor> find(const std::string& name, std::initializer_list<std::uint64_t> shape) {
    auto tensor = weights_.file_->find_tensor(name);
    if (!tensor) {
      fail(missing(name));
      return std::nullopt;
    }
    const std::vector<std::uint64_t> expected(std::rbegin(shape), std::rend(shape));
    if (tensor->dims != expected) {
      fail(make_error(errc::corrupt, "The tensor " + name + " has the shape " + shape_of(tensor->dims) + ", expected " +
                                         shape_of(expected) + "."));
      return std::nullopt;
    }
    std::size_t n_rows = 1;
    for (std::size_t i = 1; i < expected.size(); ++i)
      n_rows *= expected[i];
    const std::size_t row = kernels::row_bytes(tensor->type, expected[0]);
    if (row == 0 || tensor->data.size() != n_rows * row) {
      fail(make_error(errc::corrupt, "The tensor " + name + " has " + std::to_string(tensor->data.size()) +
                                         " bytes, expected " + std::to_string(n_rows * row) +
                                         " in rows of whole blocks."));
      return std::nullopt;
    }
    return tensor;
  }

  std::vector<float> floats(const std::string& name, std::uint32_t n) {
    const auto tensor = find(name, {n});
    if (!tensor) return {};
    std::vector<float> values(n);
    table_.dequantize_row(tensor->type, tensor->data.data(), n, values.data());
    return values;
  }

  void pack(const pending& matrix) {
    kernels::packed_linear& packed = matrix.target->packed;
    const gguf_tensor& source = matrix.source;
    const std::byte* rows = source.data.data();
    std::vector<float> widened;
    if (packed.type != source.type) {
      widened.resize(std::size_t{packed.n_out} * packed.n_in);
      widen(source, packed.n_in, widened);
      rows = reinterpret_cast<const std::byte*>(widened.data());
    }
    pack_rows(table_, pool_, rows, weights_.memory_.data() + matrix.offset, packed);
    weights_.file_->release(source.data);
  }

  void widen(const gguf_tensor& source, std::uint32_t n_in, std::vector<float>& out) {
    const std::size_t row_bytes = kernels::row_bytes(source.type, n_in);
    const auto n_rows = static_cast<std::uint32_t>(out.size() / n_in);
    for_each_row_range(table_, pool_, n_rows, [&](std::uint32_t begin, std::uint32_t end) {
      for (std::size_t row = begin; row < end; ++row)
        table_.dequantize_row(source.type, source.data.data() + row * row_bytes, n_in, out.data() + row * n_in);
    });
  }

  void fail(error failure) {
    if (!failure_) failure_ = std::move(failure);
  }

  decoder_weights weights_;
  const model_config& config_;
  const kernels::table& table_;
  thread_pool& pool_;
  weight_precision precision_;
  std::vector<pending> pending_;
  std::size_t packed_bytes_ = 0;
  std::optional<error> failure_;
};

result<decoder_weights> decoder_weights::load(std::shared_ptr<const gguf_file> file, const model_config& config,
                                              const kernels::table& table, thread_pool& pool,
                                              weight_precision precision) {
  return decoder_loader(std::move(file), config, table, pool, precision).load();
}

void decoder_weights::embed(const kernels::table& table, std::uint32_t token, float* y) const {
  const auto n_embd = static_cast<std::uint32_t>(embedding_.dims[0]);
  const std::size_t row = kernels::row_bytes(embedding_.type, n_embd);
  table.dequantize_row(embedding_.type, embedding_.data.data() + token * row, n_embd, y);
}

}  // namespace troupe
