#include "runtime/model/model_config.hpp"

#include "runtime/gguf/gguf_file.hpp"

#include <cmath>
#include <optional>
#include <string_view>

namespace troupe {
namespace {

// Far above any model of this kind, far below what overflows a product of two of them in 64 bits.
constexpr std::uint64_t max_layers = 1'024;
constexpr std::uint64_t max_width = 1 << 18;
constexpr std::uint64_t max_heads = 1'024;
constexpr std::uint64_t max_head_dim = 1'024;
constexpr std::uint64_t max_vocabulary = 1 << 21;
constexpr std::uint64_t max_context = 1 << 24;

/// What the name of an architecture says and its keys do not.
struct architecture {
  std::string_view name;
  kernels::rope_pairing pairing;
  gate_activation activation;
  bool scales_embeddings;  // by the square root of their width
  bool has_query_key_norms;
  bool has_output_norms;
  std::uint32_t global_every;  // see model_config; 1: no window, whatever the keys say
};

constexpr architecture architectures[] = {
    {"llama", kernels::rope_pairing::adjacent, gate_activation::silu, false, false, false, 1},
    {"qwen2", kernels::rope_pairing::halves, gate_activation::silu, false, false, false, 1},
    {"qwen3", kernels::rope_pairing::halves, gate_activation::silu, false, true, false, 1},
    {"gemma3", kernels::rope_pairing::halves, gate_activation::gelu, true, true, true, 6},
};

result<architecture> find_architecture(const gguf_file& file) {
  const auto name = file.get_string("general.architecture");
  if (!name) return make_error(errc::corrupt, "Model metadata: the key general.architecture is missing.");
  std::string names;
  for (const architecture& one : architectures) {
    if (one.name == *name) return one;
    names += (names.empty() ? "\"" : ", \"") + std::string(one.name) + '"';
  }
  return make_error(errc::unsupported, "Models of architecture \"" + std::string(*name) +
                                           "\" are not supported; these are: " + names + ".");
}

/// Reads keys and keeps the first error, so that the list of fields reads as a list. A key is named without its prefix,
/// the architecture's name.
class reader {
 public:
  reader(const gguf_file& file, std::string_view prefix) : file_(file), prefix_(std::string(prefix) + ".") {}

  std::string key(std::string_view name) const { return prefix_ + std::string(name); }
  std::uint32_t required(std::string_view name, std::uint64_t largest) { return read(name, largest, std::nullopt); }
  std::uint32_t optional(std::string_view name, std::uint64_t largest, std::uint64_t otherwise) {
    return read(name, largest, otherwise);
  }

  float number(std::string_view name, double smallest, double largest, std::optional<double> otherwise) {
    const auto value = file_.get_float(key(name));
    if (!value && otherwise) return static_cast<float>(*otherwise);
    if (!value) {
      fail("the key " + key(name) + " is missing or not a number");
      return 0.0f;
    }
    if (!(*value >= smallest && *value <= largest))
      fail("the key " + key(name) + " is " + std::to_string(*value) + ", expected " + std::to_string(smallest) +
           " to " + std::to_string(largest));
    return static_cast<float>(*value);
  }

  void expect(bool condition, std::string sentence) {
    if (!condition) fail(std::move(sentence));
  }
  bool failed() const { return first_.has_value(); }
  error failure() const { return make_error(errc::corrupt, *first_); }

 private:
  std::uint32_t read(std::string_view name, std::uint64_t largest, std::optional<std::uint64_t> otherwise) {
    auto value = file_.get_uint(key(name));
    if (!value) value = otherwise;
    if (!value) {
      fail("the key " + key(name) + " is missing or not a whole number");
      return 1;
    }
    if (*value < 1 || *value > largest) {
      fail("the key " + key(name) + " is " + std::to_string(*value) + ", expected 1 to " + std::to_string(largest));
      return 1;  // what divides by it still may
    }
    return static_cast<std::uint32_t>(*value);
  }
  void fail(std::string sentence) {
    if (!first_) first_ = "Model metadata: " + std::move(sentence) + ".";
  }

  const gguf_file& file_;
  std::string prefix_;
  std::optional<std::string> first_;
};

result<float> read_rope_scale(const gguf_file& file, const reader& read) {
  const std::string_view kind = file.get_string(read.key("rope.scaling.type")).value_or("none");
  if (kind == "none") return 1.0f;
  if (kind != "linear")
    return make_error(errc::unsupported, "Rope scaling of kind \"" + std::string(kind) +
                                             "\" is not supported; \"none\", \"linear\" and per-dimension factors "
                                             "(the tensor rope_freqs.weight) are.");
  const std::string key = read.key("rope.scaling.factor");
  const double factor = file.get_float(key).value_or(0.0);
  if (!(factor >= 1.0 && factor <= 1e4))
    return make_error(errc::corrupt, "Model metadata: " + key + " is missing or not within 1 to 10000.");
  return static_cast<float>(factor);
}

std::uint32_t vocabulary_of(const gguf_file& file, reader& read) {
  const auto embeddings = file.find_tensor("token_embd.weight");
  const std::uint64_t rows = embeddings && embeddings->dims.size() == 2 ? embeddings->dims[1] : 0;
  if (!embeddings) read.expect(false, "the tensor token_embd.weight is missing");
  const std::uint32_t n_vocab = read.optional("vocab_size", max_vocabulary, rows);
  read.expect(n_vocab == rows, read.key("vocab_size") + " is " + std::to_string(n_vocab) +
                                   ", but token_embd.weight has " + std::to_string(rows) + " rows");
  return n_vocab;
}

void check_heads(const model_config& c, const gguf_file& file, reader& read) {
  read.expect(file.get_uint(read.key("attention.key_length")) || c.n_embd % c.n_heads == 0,
              read.key("embedding_length") + " " + std::to_string(c.n_embd) + " is not a multiple of the " +
                  std::to_string(c.n_heads) + " heads");
  read.expect(c.n_heads % c.n_kv_heads == 0, std::to_string(c.n_heads) + " heads cannot share " +
                                                 std::to_string(c.n_kv_heads) + " key-value heads evenly");
  const std::uint32_t value_length = read.optional("attention.value_length", max_head_dim, c.head_dim);
  read.expect(value_length == c.head_dim, "keys of " + std::to_string(c.head_dim) + " and values of " +
                                              std::to_string(value_length) + " dimensions, expected the same");
  read.expect(c.head_dim % 2 == 0, "a head has " + std::to_string(c.head_dim) + " dimensions, expected an even number");
  read.expect(c.rope_dims % 2 == 0 && c.rope_dims <= c.head_dim,
              read.key("rope.dimension_count") + " is " + std::to_string(c.rope_dims) +
                  ", expected an even number up to " + std::to_string(c.head_dim));
}

void take_parts(const architecture& kind, reader& read, model_config& c) {
  c.pairing = kind.pairing;
  c.activation = kind.activation;
  c.has_query_key_norms = kind.has_query_key_norms;
  c.has_output_norms = kind.has_output_norms;
  if (kind.scales_embeddings) c.embedding_scale = std::sqrt(static_cast<float>(c.n_embd));
  // Gemma 3's largest, known by its depth alone, scales by the width it has for each head.
  const bool by_width = kind.name == "gemma3" && c.n_layers == 62;
  c.attention_scale = 1.0f / std::sqrt(static_cast<float>(by_width ? c.n_embd / c.n_heads : c.head_dim));
  if (kind.global_every == 1) return;
  c.global_every = kind.global_every;
  c.window = read.required("attention.sliding_window", max_context);
  c.local_rope.base = read.number("rope.freq_base_swa", 1.0, 1e12, 10'000.0);
}

}  // namespace

result<model_config> read_model_config(const gguf_file& file) {
  const auto kind = find_architecture(file);
  if (!kind) return kind.error();
  reader read(file, kind->name);
  model_config c;
  c.name = file.get_string("general.name").value_or("");
  c.n_layers = read.required("block_count", max_layers);
  c.n_embd = read.required("embedding_length", max_width);
  c.n_heads = read.required("attention.head_count", max_heads);
  c.n_kv_heads = read.optional("attention.head_count_kv", max_heads, c.n_heads);
  c.n_ff = read.required("feed_forward_length", max_width);
  c.context_length = read.required("context_length", max_context);
  c.head_dim = read.optional("attention.key_length", max_head_dim, c.n_embd / c.n_heads);
  c.rope_dims = read.optional("rope.dimension_count", max_head_dim, c.head_dim);
  c.rms_epsilon = read.number("attention.layer_norm_rms_epsilon", 1e-12, 1e-1, std::nullopt);
  c.rope.base = read.number("rope.freq_base", 1.0, 1e12, 10'000.0);
  c.n_vocab = vocabulary_of(file, read);
  check_heads(c, file, read);
  take_parts(*kind, read, c);
  if (read.failed()) return read.failure();

  auto scale = read_rope_scale(file, read);
  if (!scale) return scale.error();
  c.rope.scale = *scale;
  return c;
}

}  // namespace troupe
