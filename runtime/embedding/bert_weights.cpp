#include "runtime/embedding/bert_weights.hpp"

#include <optional>
#include <string>
#include <utility>

namespace troupe {
namespace {

using kernels::weight_type;

std::string shown(const std::vector<std::uint64_t>& shape) {
  std::string text = "(";
  for (const std::uint64_t n : shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + ")";
}

}  // namespace

/// One load: checks every tensor, then packs the matrices into one allocation.
class bert_loader {
 public:
  bert_loader(safetensors_file file, const bert_config& config, const kernels::table& table, thread_pool& pool)
      : weights_(std::move(file)), config_(config), table_(table), pool_(pool) {}

  result<bert_weights> load() {
    const bert_config& c = config_;
    weights_.words_ = find("embeddings.word_embeddings.weight", {c.n_vocab, c.n_embd});
    describe_positions();
    describe_norm("embeddings.LayerNorm", weights_.embedding_norm_);
    weights_.layers_.resize(c.n_layers);  // before any address inside is taken
    for (std::uint32_t i = 0; i < c.n_layers && !failure_; ++i)
      describe_layer("encoder.layer." + std::to_string(i) + ".", weights_.layers_[i]);
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
    const safetensor* source;
    std::size_t offset;  // in the allocation
  };

  void describe_positions() {
    const std::uint32_t n_embd = config_.n_embd;
    const safetensor* positions = find("embeddings.position_embeddings.weight", {config_.n_positions, n_embd});
    const safetensor* types = find("embeddings.token_type_embeddings.weight", {config_.n_types, n_embd});
    if (positions == nullptr || types == nullptr) return;
    auto& table = weights_.positions_and_type_;
    table.resize(std::size_t{config_.n_positions} * n_embd);
    std::vector<float> type(n_embd);
    copy_row(*types, 0, type);
    for (std::uint32_t i = 0; i < config_.n_positions; ++i) {
      const std::span row(table.data() + std::size_t{i} * n_embd, n_embd);
      copy_row(*positions, i, row);
      table_.add(type.data(), n_embd, row.data());
    }
  }

  void describe_layer(const std::string& prefix, bert_layer& layer) {
    const bert_config& c = config_;
    describe_linear(prefix + "attention.self.query", layer.q, c.n_embd, c.n_embd);
    describe_linear(prefix + "attention.self.key", layer.k, c.n_embd, c.n_embd);
    describe_linear(prefix + "attention.self.value", layer.v, c.n_embd, c.n_embd);
    describe_linear(prefix + "attention.output.dense", layer.attention_output, c.n_embd, c.n_embd);
    describe_norm(prefix + "attention.output.LayerNorm", layer.attention_norm);
    describe_linear(prefix + "intermediate.dense", layer.up, c.n_ff, c.n_embd);
    describe_linear(prefix + "output.dense", layer.down, c.n_embd, c.n_ff);
    describe_norm(prefix + "output.LayerNorm", layer.output_norm);
  }

  void describe_norm(const std::string& name, layer_norm_weights& norm) {
    norm.scale = floats(name + ".weight", config_.n_embd);
    norm.shift = floats(name + ".bias", config_.n_embd);
  }

  void describe_linear(const std::string& name, linear_weights& target, std::uint32_t n_out, std::uint32_t n_in) {
    const safetensor* source = find(name + ".weight", {n_out, n_in});
    if (source == nullptr) return;
    const weight_type type = *source->as_weights();
    target.packed = {.type = type, .n_out = n_out, .n_in = n_in, .data = nullptr};
    target.format = table_.activation_format_for(type);
    target.bias = floats(name + ".bias", n_out);
    pending_.push_back({&target, source, packed_bytes_});
    packed_bytes_ += align_64(table_.packed_bytes(type, n_out, n_in));
  }

  /// A tensor of this shape and of a type that the kernels read.
  const safetensor* find(const std::string& name, const std::vector<std::uint64_t>& shape) {
    const safetensor* tensor = weights_.file_->find(name);
    if (tensor == nullptr) {
      fail(errc::corrupt, "The tensor " + name + " is missing.");
    } else if (tensor->shape != shape) {
      fail(errc::corrupt,
           "The tensor " + name + " has the shape " + shown(tensor->shape) + ", expected " + shown(shape) + ".");
    } else if (!tensor->as_weights()) {
      fail(errc::unsupported, "The tensor " + name + " is of type " + std::string(to_string(tensor->dtype)) +
                                  "; F32, F16 and BF16 are supported.");
    } else {
      return tensor;
    }
    return nullptr;
  }

  void copy_row(const safetensor& tensor, std::size_t row, std::span<float> out) const {
    const weight_type type = *tensor.as_weights();
    const std::byte* from = weights_.file_->data(tensor).data() + row * kernels::row_bytes(type, out.size());
    table_.dequantize_row(type, from, static_cast<std::uint32_t>(out.size()), out.data());
  }

  std::vector<float> floats(const std::string& name, std::uint32_t n) {
    const safetensor* tensor = find(name, {n});
    std::vector<float> values(n);
    if (tensor != nullptr) copy_row(*tensor, 0, values);
    return values;
  }

  void pack(const pending& matrix) {
    pack_rows(table_, pool_, weights_.file_->data(*matrix.source).data(), weights_.memory_.data() + matrix.offset,
              matrix.target->packed);
    weights_.file_->release(*matrix.source);
  }

  void fail(errc code, std::string sentence) {
    if (!failure_) failure_ = make_error(code, std::move(sentence));
  }

  bert_weights weights_;
  const bert_config& config_;
  const kernels::table& table_;
  thread_pool& pool_;
  std::vector<pending> pending_;
  std::size_t packed_bytes_ = 0;
  std::optional<error> failure_;
};

result<bert_weights> bert_weights::load(safetensors_file file, const bert_config& config, const kernels::table& table,
                                        thread_pool& pool) {
  return bert_loader(std::move(file), config, table, pool).load();
}

void bert_weights::embed(const kernels::table& table, std::uint32_t token, std::uint32_t position, float* y) const {
  const auto n_embd = static_cast<std::uint32_t>(words_->shape[1]);
  const weight_type type = *words_->as_weights();
  table.dequantize_row(type, file_->data(*words_).data() + token * kernels::row_bytes(type, n_embd), n_embd, y);
  table.add(positions_and_type_.data() + std::size_t{position} * n_embd, n_embd, y);
}

}  // namespace troupe
