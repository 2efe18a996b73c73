#include "runtime/model/model_config.hpp"

#include "catch.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/gguf/gguf_writer.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

using namespace troupe;

namespace {

using changes = std::map<std::string, std::optional<gguf_value>>;  // nullopt: left out

result<model_config> read_with(const changes& changed) {
  std::map<std::string, std::optional<gguf_value>> keys{
      {"general.architecture", std::string("llama")},      {"llama.block_count", std::uint32_t{2}},
      {"llama.embedding_length", std::uint32_t{64}},       {"llama.attention.head_count", std::uint32_t{4}},
      {"llama.attention.head_count_kv", std::uint32_t{2}}, {"llama.feed_forward_length", std::uint32_t{128}},
      {"llama.context_length", std::uint32_t{512}},        {"llama.attention.layer_norm_rms_epsilon", 1e-5f},
  };
  for (const auto& [key, value] : changed)
    keys[key] = value;
  gguf_writer writer;
  for (const auto& [key, value] : keys)
    if (value) writer.add(key, *value);
  writer.add_tensor("token_embd.weight", kernels::weight_type::f32, {64, 10}, std::vector<std::byte>(64 * 10 * 4));
  const auto bytes = writer.build();
  const auto file = gguf_file::parse(bytes);
  REQUIRE(file);
  return read_model_config(**file);
}

}  // namespace

TEST_CASE("the shape of a model is read, with defaults where the format has them", "[model_config]") {
  const auto config = read_with({});
  REQUIRE(config);
  CHECK(config->n_layers == 2);
  CHECK(config->n_embd == 64);
  CHECK(config->n_heads == 4);
  CHECK(config->n_kv_heads == 2);
  CHECK(config->head_dim == 16);
  CHECK(config->n_ff == 128);
  CHECK(config->n_vocab == 10);
  CHECK(config->context_length == 512);
  CHECK(config->rms_epsilon == 1e-5f);
  CHECK(config->rope.base == 10'000.0f);
  CHECK(config->rope_dims == 16);
  CHECK(config->rope.scale == 1.0f);
  CHECK(config->kv_dim() == 32);
  CHECK(read_with({{"llama.attention.head_count_kv", std::nullopt}})->n_kv_heads == 4);
  CHECK(read_with({{"llama.rope.scaling.type", std::string("linear")}, {"llama.rope.scaling.factor", 4.0f}})
            ->rope.scale == 4.0f);
}

TEST_CASE("an architecture says what its layers are made of", "[model_config]") {
  const auto llama = read_with({});
  REQUIRE(llama);
  CHECK_FALSE((llama->has_query_key_norms || llama->has_output_norms || llama->is_local(0)));
  CHECK(llama->attention_scale == 0.25f);
  changes gemma{
      {"general.architecture", std::string("gemma3")},        {"gemma3.block_count", std::uint32_t{12}},
      {"gemma3.embedding_length", std::uint32_t{64}},         {"gemma3.attention.head_count", std::uint32_t{4}},
      {"gemma3.attention.key_length", std::uint32_t{64}},     {"gemma3.attention.value_length", std::uint32_t{64}},
      {"gemma3.feed_forward_length", std::uint32_t{128}},     {"gemma3.context_length", std::uint32_t{512}},
      {"gemma3.attention.layer_norm_rms_epsilon", 1e-6f},     {"gemma3.rope.freq_base", 1e6f},
      {"gemma3.rope.scaling.type", std::string("linear")},    {"gemma3.rope.scaling.factor", 8.0f},
      {"gemma3.attention.sliding_window", std::uint32_t{512}}};
  const auto config = read_with(gemma);
  REQUIRE(config);
  CHECK((config->has_query_key_norms && config->has_output_norms));
  CHECK(config->activation == gate_activation::gelu);
  CHECK(config->pairing == kernels::rope_pairing::halves);
  CHECK(config->embedding_scale == 8.0f);
  CHECK(config->attention_scale == 0.125f);
  CHECK((config->rope.base == 1e6f && config->rope.scale == 8.0f));
  CHECK((config->local_rope.base == 1e4f && config->local_rope.scale == 1.0f));
  for (const std::uint32_t layer : {0u, 4u, 5u, 6u, 10u, 11u})
    CHECK(config->is_local(layer) == (layer != 5 && layer != 11));
  gemma["gemma3.attention.sliding_window"] = std::nullopt;
  const auto windowless = read_with(gemma);
  REQUIRE(!windowless);
  CHECK(windowless.error().message.find("gemma3.attention.sliding_window") != std::string::npos);
}

TEST_CASE("what this build does not do is refused by name", "[model_config]") {
  const auto other = read_with({{"general.architecture", std::string("mamba")}});
  REQUIRE(!other);
  CHECK(other.error().code == errc::unsupported);
  CHECK(other.error().message.find("mamba") != std::string::npos);
  const auto yarn = read_with({{"llama.rope.scaling.type", std::string("yarn")}});
  REQUIRE(!yarn);
  CHECK(yarn.error().code == errc::unsupported);
  CHECK(yarn.error().message.find("yarn") != std::string::npos);
}

TEST_CASE("hostile shapes are refused and the sentence names the key", "[model_config]") {
  struct row {
    changes changed;
    std::string named;
  };
  const std::vector<row> rows{
      {{{"general.architecture", std::nullopt}}, "general.architecture"},
      {{{"llama.block_count", std::nullopt}}, "llama.block_count"},
      {{{"llama.block_count", std::uint32_t{0}}}, "llama.block_count"},
      {{{"llama.block_count", std::uint64_t{1} << 40}}, "llama.block_count"},
      {{{"llama.block_count", std::string("two")}}, "llama.block_count"},
      {{{"llama.embedding_length", std::uint32_t{0xffffffff}}}, "llama.embedding_length"},
      {{{"llama.embedding_length", std::uint32_t{66}}}, "llama.embedding_length"},
      {{{"llama.attention.head_count", std::uint32_t{0}}}, "head_count"},
      {{{"llama.attention.head_count_kv", std::uint32_t{3}}}, "key-value heads"},
      {{{"llama.attention.key_length", std::uint32_t{15}}}, "even number"},
      {{{"llama.attention.value_length", std::uint32_t{8}}}, "values of"},
      {{{"llama.feed_forward_length", std::uint32_t{0}}}, "feed_forward_length"},
      {{{"llama.context_length", std::uint64_t{1} << 60}}, "context_length"},
      {{{"llama.attention.layer_norm_rms_epsilon", std::nullopt}}, "layer_norm_rms_epsilon"},
      {{{"llama.attention.layer_norm_rms_epsilon", -1.0f}}, "layer_norm_rms_epsilon"},
      {{{"llama.attention.layer_norm_rms_epsilon", std::numeric_limits<float>::quiet_NaN()}}, "layer_norm_rms_epsilon"},
      {{{"llama.rope.freq_base", 0.0f}}, "freq_base"},
      {{{"llama.rope.dimension_count", std::uint32_t{18}}}, "dimension_count"},
      {{{"llama.rope.dimension_count", std::uint32_t{7}}}, "dimension_count"},
      {{{"llama.rope.scaling.type", std::string("linear")}}, "scaling.factor"},
      {{{"llama.vocab_size", std::uint32_t{11}}}, "vocab_size"},
  };
  for (const row& r : rows) {
    CAPTURE(r.named);
    const auto config = read_with(r.changed);
    REQUIRE(!config);
    CHECK(config.error().code == errc::corrupt);
    CHECK(config.error().message.find(r.named) != std::string::npos);
  }
}
