#include "runtime/gguf/tiny_model.hpp"

#include "base/random.hpp"
#include "runtime/gguf/format.hpp"
#include "runtime/gguf/quantize.hpp"
#include "runtime/gguf/tiny_vocabulary.hpp"

#include <cmath>
#include <string_view>
#include <utility>

namespace troupe {
namespace {

constexpr std::string_view chat_template =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a small random model<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

std::uint32_t head_dim(const tiny_model_options& o) {
  return o.head_dim ? o.head_dim : o.n_embd / o.n_heads;
}

bool is_gemma3(const tiny_model_options& o) {
  return o.architecture == tiny_architecture::gemma3;
}

void check(const tiny_model_options& o) {
  TROUPE_ASSERT(o.n_layers > 0 && o.n_heads > 0 && o.n_kv_heads > 0 && o.n_ff > 0 && o.context_length > 0,
                "the sizes of a model are at least 1");
  TROUPE_ASSERT(o.head_dim != 0 || o.n_embd % o.n_heads == 0, "heads share the width");
  TROUPE_ASSERT(head_dim(o) % 2 == 0, "heads have even sizes");
  TROUPE_ASSERT(o.n_heads % o.n_kv_heads == 0, "kv heads share the query heads");
  TROUPE_ASSERT(o.n_vocab >= min_tiny_vocab && o.n_vocab <= max_tiny_vocab, "the vocabulary is within its bounds");
}

// Draws matrices in the order of the calls, each from its own stream.
class weight_source {
 public:
  weight_source(gguf_writer& writer, std::uint64_t seed) : writer_(writer), seed_(seed) {}

  /// (n_out, n_in), uniform with this standard deviation.
  void matrix(const std::string& name, std::uint32_t n_in, std::uint32_t n_out, kernels::weight_type type,
              double deviation) {
    const double bound = deviation * std::sqrt(3.0);
    add(name, {n_in, n_out}, type, -bound, bound);
  }
  void bias(const std::string& name, std::uint32_t n) { add(name, {n}, kernels::weight_type::f32, -0.5, 0.5); }
  void norm(const std::string& name, std::uint32_t n) { add(name, {n}, kernels::weight_type::f32, 0.8, 1.2); }

 private:
  void add(const std::string& name, std::vector<std::uint64_t> dims, kernels::weight_type type, double low,
           double high) {
    random_stream random(random_bits(seed_, n_drawn_++));
    std::vector<float> weights(dims[0] * (dims.size() > 1 ? dims[1] : 1));
    for (float& w : weights)
      w = static_cast<float>(low + (high - low) * random.unit());
    auto data = gguf::quantize(weights, dims[0], type);
    writer_.add_tensor(name, type, std::move(dims), std::move(data));
  }

  gguf_writer& writer_;
  std::uint64_t seed_;
  std::uint64_t n_drawn_ = 0;
};

void add_model_keys(gguf_writer& writer, const tiny_model_options& o) {
  const std::string arch(to_string(o.architecture));
  writer.add("general.architecture", arch);
  writer.add("general.type", std::string("model"));
  writer.add("general.name", o.name);
  writer.add("general.file_type", gguf::id_of(o.weights).file_type);
  writer.add("general.quantization_version", std::uint32_t{2});
  writer.add(arch + ".block_count", o.n_layers);
  writer.add(arch + ".context_length", o.context_length);
  writer.add(arch + ".embedding_length", o.n_embd);
  writer.add(arch + ".feed_forward_length", o.n_ff);
  writer.add(arch + ".attention.head_count", o.n_heads);
  writer.add(arch + ".attention.head_count_kv", o.n_kv_heads);
  writer.add(arch + ".attention.layer_norm_rms_epsilon", 1e-5f);
  writer.add(arch + ".rope.freq_base", o.rope_base);
  if (is_gemma3(o)) {
    writer.add(arch + ".attention.key_length", head_dim(o));
    writer.add(arch + ".attention.value_length", head_dim(o));
    writer.add(arch + ".attention.sliding_window", o.window);
  } else {
    writer.add(arch + ".rope.dimension_count", head_dim(o));
    if (o.head_dim) writer.add(arch + ".attention.key_length", o.head_dim);
    if (o.head_dim) writer.add(arch + ".attention.value_length", o.head_dim);
  }
  writer.add(arch + ".vocab_size", o.n_vocab);
}

void add_tokenizer_keys(gguf_writer& writer, std::uint32_t n_vocab) {
  gguf::tiny_vocabulary vocabulary = gguf::make_tiny_vocabulary(n_vocab);
  writer.add("tokenizer.ggml.model", std::string("gpt2"));
  writer.add("tokenizer.ggml.pre", std::string("smollm"));
  writer.add("tokenizer.ggml.tokens", std::move(vocabulary.tokens));
  writer.add("tokenizer.ggml.token_type", std::move(vocabulary.token_types));
  writer.add("tokenizer.ggml.merges", std::move(vocabulary.merges));
  writer.add("tokenizer.ggml.bos_token_id", std::uint32_t{1});
  writer.add("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  writer.add("tokenizer.ggml.unknown_token_id", std::uint32_t{0});
  writer.add("tokenizer.ggml.padding_token_id", std::uint32_t{2});
  writer.add("tokenizer.ggml.add_space_prefix", false);
  writer.add("tokenizer.ggml.add_bos_token", false);
  writer.add("tokenizer.chat_template", std::string(chat_template));
}

void add_biases(weight_source& source, const std::string& prefix, std::uint32_t n_q, std::uint32_t n_kv) {
  source.bias(prefix + "attn_q.bias", n_q);
  source.bias(prefix + "attn_k.bias", n_kv);
  source.bias(prefix + "attn_v.bias", n_kv);
}

void add_layer(weight_source& source, const tiny_model_options& o, std::uint32_t layer) {
  const std::string prefix = "blk." + std::to_string(layer) + ".";
  const std::uint32_t n_q = head_dim(o) * o.n_heads;
  const std::uint32_t n_kv = head_dim(o) * o.n_kv_heads;
  // A deviation of 1 / sqrt(n_in) keeps a normed input's scale. Queries get twice that, so that attention looks at some
  // positions more than at others instead of averaging them all.
  const double width = 1.0 / std::sqrt(o.n_embd);
  source.norm(prefix + "attn_norm.weight", o.n_embd);
  source.matrix(prefix + "attn_q.weight", o.n_embd, n_q, o.weights, 2.0 * width);
  source.matrix(prefix + "attn_k.weight", o.n_embd, n_kv, o.weights, width);
  source.matrix(prefix + "attn_v.weight", o.n_embd, n_kv, o.weights, width);
  source.matrix(prefix + "attn_output.weight", n_q, o.n_embd, o.weights, 1.0 / std::sqrt(n_q));
  source.norm(prefix + "ffn_norm.weight", o.n_embd);
  source.matrix(prefix + "ffn_gate.weight", o.n_embd, o.n_ff, o.weights, width);
  source.matrix(prefix + "ffn_up.weight", o.n_embd, o.n_ff, o.weights, width);
  source.matrix(prefix + "ffn_down.weight", o.n_ff, o.n_embd, o.weights, 2.0 / std::sqrt(o.n_ff));
  if (o.architecture == tiny_architecture::qwen2) add_biases(source, prefix, n_q, n_kv);
  if (is_gemma3(o) || o.architecture == tiny_architecture::qwen3) {
    source.norm(prefix + "attn_q_norm.weight", head_dim(o));
    source.norm(prefix + "attn_k_norm.weight", head_dim(o));
  }
  if (!is_gemma3(o)) return;
  source.norm(prefix + "post_attention_norm.weight", o.n_embd);
  source.norm(prefix + "post_ffw_norm.weight", o.n_embd);
}

}  // namespace

std::string_view to_string(tiny_architecture architecture) {
  switch (architecture) {
    case tiny_architecture::llama:
      return "llama";
    case tiny_architecture::qwen2:
      return "qwen2";
    case tiny_architecture::qwen3:
      return "qwen3";
    case tiny_architecture::gemma3:
      return "gemma3";
  }
  return "unknown";
}

gguf_writer make_tiny_model(const tiny_model_options& options) {
  check(options);
  gguf_writer writer;
  add_model_keys(writer, options);
  add_tokenizer_keys(writer, options.n_vocab);
  weight_source source(writer, options.seed);
  // Embeddings much smaller than what the layers add: else a tied output would repeat the token just read.
  source.matrix("token_embd.weight", options.n_embd, options.n_vocab, options.embeddings, 0.1);
  for (std::uint32_t layer = 0; layer < options.n_layers; ++layer)
    add_layer(source, options, layer);
  source.norm("output_norm.weight", options.n_embd);
  if (!options.tied_output) source.matrix("output.weight", options.n_embd, options.n_vocab, options.embeddings, 0.3);
  return writer;
}

std::vector<std::byte> build_tiny_model(const tiny_model_options& options) {
  return make_tiny_model(options).build();
}

result<> write_tiny_model(const std::filesystem::path& path, const tiny_model_options& options) {
  return make_tiny_model(options).write(path);
}

}  // namespace troupe
