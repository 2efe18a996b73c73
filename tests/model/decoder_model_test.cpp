#include "runtime/model/decoder_model.hpp"

#include "base/random.hpp"
#include "catch.hpp"
#include "naive_decoder.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/gguf/tiny_model.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <utility>

using namespace troupe;
using kernels::kv_type;
using kernels::weight_type;

namespace {

using rows = std::vector<std::vector<float>>;

/// A model in memory with everything around it.
struct loaded {
  std::vector<std::byte> bytes;
  std::shared_ptr<const gguf_file> file;
  thread_pool pool;
  std::unique_ptr<decoder_model> model;

  loaded(std::vector<std::byte> b, const kernels::table& table, std::uint32_t n_threads, std::uint32_t max_rows = 64)
      : bytes(std::move(b)), pool(n_threads) {
    auto parsed = gguf_file::parse(bytes);
    REQUIRE(parsed);
    file = *parsed;
    auto m = decoder_model::load(file, table, pool, {.max_rows = max_rows, .max_positions = 640});
    if (!m) FAIL(m.error().message);
    model = std::move(*m);
  }
};

std::vector<token_id> random_tokens(std::uint64_t seed, std::size_t n, std::uint32_t n_vocab) {
  random_stream random(seed);
  std::vector<token_id> tokens(n);
  for (token_id& token : tokens)
    token = static_cast<token_id>(random.below(n_vocab));
  return tokens;
}

class collector final : public logits_consumer {
 public:
  explicit collector(std::vector<rows*> into, std::vector<std::size_t> first) : into_(into), first_(first) {}
  void take(std::size_t slice, std::size_t position, std::span<const float> logits, std::uint32_t) override {
    (*into_[slice])[first_[slice] + position].assign(logits.begin(), logits.end());
  }

 private:
  std::vector<rows*> into_;
  std::vector<std::size_t> first_;
};

/// All logits of several sequences, computed in passes that take `chunk` tokens of each, the first pass `first_chunk`.
/// Blocks are dealt out of order.
std::vector<rows> compute(loaded& m, const std::vector<std::vector<token_id>>& sequences, std::size_t chunk,
                          kv_type type, std::size_t first_chunk = 0) {
  const std::uint32_t blocks_each = 40;
  const auto n = static_cast<std::uint32_t>(sequences.size());
  auto kv = kv_storage::create(m.model->layout(type), m.model->config().n_layers, n * blocks_each);
  REQUIRE(kv);
  std::vector<std::vector<block_handle>> blocks(n);
  for (std::uint32_t i = 0; i < n * blocks_each; ++i)
    blocks[i % n].push_back({n * blocks_each - 1 - i, 0});
  std::vector<rows> out;
  for (const auto& tokens : sequences)
    out.emplace_back(tokens.size());
  std::size_t taken = first_chunk ? first_chunk : chunk;
  for (std::size_t begin = 0;; begin += std::exchange(taken, chunk)) {
    std::vector<forward_slice> slices;
    std::vector<rows*> into;
    std::vector<std::size_t> first;
    for (std::uint32_t s = 0; s < n; ++s) {
      if (begin >= sequences[s].size()) continue;
      const std::size_t count = std::min(taken, sequences[s].size() - begin);
      slices.push_back({.tokens = std::span(sequences[s]).subspan(begin, count),
                        .first_position = static_cast<std::uint32_t>(begin),
                        .blocks = blocks[s],
                        .n_logits = static_cast<std::uint32_t>(count)});
      into.push_back(&out[s]);
      first.push_back(begin);
    }
    if (slices.empty()) return out;
    collector consumer(into, first);
    m.model->forward(slices, *kv, consumer);
  }
}

/// Root mean square of the difference, relative to that of the exact logits.
double relative_error(const rows& ours, const std::vector<std::vector<double>>& exact) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < exact.size(); ++i)
    for (std::size_t j = 0; j < exact[i].size(); ++j) {
      difference += (ours[i][j] - exact[i][j]) * (ours[i][j] - exact[i][j]);
      size += exact[i][j] * exact[i][j];
    }
  return std::sqrt(difference / size);
}

bool floats_only(const kernels::table& table, weight_type type) {
  return table.activation_format_for(type) == kernels::activation_format::f32;
}

void check_against_naive(std::vector<std::byte> bytes, bool any_quantised) {
  for (const kernels::table* table : kernels::available()) {
    CAPTURE(table->isa);
    loaded m(bytes, *table, 3);
    const auto tokens = random_tokens(5, 40, m.model->config().n_vocab);
    const auto exact = testing::naive_decoder(*m.file).logits(tokens);
    const bool rounded = any_quantised && !floats_only(*table, weight_type::q4_1);
    const double rounding = rounded ? 3e-2 : 0;  // of activations
    CHECK(relative_error(compute(m, {tokens}, 40, kv_type::f32)[0], exact) < std::max(rounding, 1e-5));
    CHECK(relative_error(compute(m, {tokens}, 7, kv_type::f16)[0], exact) < std::max(rounding, 2e-3));
    // That of K and V is another, independent of it: their squares add up.
    CHECK(relative_error(compute(m, {tokens}, 7, kv_type::q8_0)[0], exact) < std::hypot(rounding, 3e-2));
  }
}

std::vector<std::byte> floats_to_bytes(const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * 4);
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

}  // namespace

TEST_CASE("logits equal a naive double-precision forward pass", "[decoder_model]") {
  for (const weight_type type : kernels::weight_types)
    for (const bool tied : {true, false}) {
      CAPTURE(static_cast<int>(type), tied);
      const auto embeddings = tied ? type : weight_type::q8_0;
      const bool quantised = kernels::is_block_format(type) || embeddings == weight_type::q8_0;
      const std::uint32_t n_embd = std::max(64u, kernels::block_of(type).weights);
      check_against_naive(
          build_tiny_model(
              {.n_embd = n_embd, .n_ff = 2 * n_embd, .weights = type, .embeddings = embeddings, .tied_output = tied}),
          quantised);
    }
}

TEST_CASE("every grouping of query heads is computed", "[decoder_model]") {
  for (const auto& [n_embd, heads, kv_heads] :
       {std::tuple{64u, 8u, 8u}, {64u, 8u, 1u}, {96u, 6u, 3u}, {576u, 9u, 3u}}) {
    CAPTURE(n_embd, heads, kv_heads);
    check_against_naive(
        build_tiny_model({.n_embd = n_embd, .n_heads = heads, .n_kv_heads = kv_heads, .n_ff = 160, .n_vocab = 301}),
        false);
  }
}

TEST_CASE("biases, rope factors and linear rope scaling are applied", "[decoder_model]") {
  gguf_writer writer = make_tiny_model({.n_layers = 1});
  writer.add("llama.rope.scaling.type", std::string("linear"));
  writer.add("llama.rope.scaling.factor", 2.5f);
  random_stream random(3);
  const auto bias = [&](const std::string& name, std::size_t n) {
    std::vector<float> values(n);
    for (float& v : values)
      v = static_cast<float>(random.unit() - 0.5);
    writer.add_tensor(name, weight_type::f32, {n}, floats_to_bytes(values));
  };
  for (const auto& [name, n] : {std::pair{"attn_q", 64u}, {"attn_k", 32u}, {"attn_v", 32u}, {"attn_output", 64u}})
    bias("blk.0." + std::string(name) + ".bias", n);
  writer.add_tensor("rope_freqs.weight", weight_type::f32, {8},
                    floats_to_bytes({1.0f, 1.5f, 2.0f, 4.0f, 8.0f, 8.0f, 8.0f, 8.0f}));
  check_against_naive(writer.build(), false);
}

namespace {

/// Both kinds of layers, heads wider than their share of the width, and windows that the tests' sequences outgrow.
tiny_model_options tiny_gemma3() {
  return {.architecture = tiny_architecture::gemma3, .n_layers = 7, .head_dim = 32, .window = 24};
}

}  // namespace

TEST_CASE("gemma3 equals a naive double-precision forward pass", "[decoder_model]") {
  check_against_naive(build_tiny_model(tiny_gemma3()), false);
  for (const std::uint32_t window : {1u, 5u, 16u, 100u}) {
    CAPTURE(window);
    auto options = tiny_gemma3();
    options.window = window;
    options.seed = window;
    check_against_naive(build_tiny_model(options), false);
  }
  auto options = tiny_gemma3();
  options.n_embd = options.n_ff = 256;
  options.n_layers = 2;
  options.head_dim = 64;  // four of them make whole blocks
  for (const weight_type type : {weight_type::q5_0, weight_type::q4_k, weight_type::q6_k}) {
    CAPTURE(kernels::to_string(type));
    options.weights = type;
    options.embeddings = weight_type::q8_0;
    check_against_naive(build_tiny_model(options), true);
  }
}

TEST_CASE("qwen2 and qwen3 equal a naive double-precision forward pass", "[decoder_model]") {
  for (const auto architecture : {tiny_architecture::qwen2, tiny_architecture::qwen3})
    for (const std::uint32_t head_dim : {0u, 32u}) {
      CAPTURE(to_string(architecture), head_dim);
      check_against_naive(build_tiny_model({.architecture = architecture, .head_dim = head_dim}), false);
    }
}

TEST_CASE("rule 5: no bit of gemma3 depends on batch, chunking or threads", "[decoder_model][rule5]") {
  auto options = tiny_gemma3();
  options.weights = options.embeddings = weight_type::q5_0;
  const auto bytes = build_tiny_model(options);
  for (const kernels::table* table : kernels::available()) {
    CAPTURE(table->isa);
    const std::vector<std::vector<token_id>> sequences{random_tokens(1, 150, 300), random_tokens(2, 40, 300),
                                                       random_tokens(3, 3, 300)};
    loaded alone(bytes, *table, 1, 512);
    std::vector<rows> expected;
    for (const auto& tokens : sequences)
      expected.push_back(compute(alone, {tokens}, tokens.size(), kv_type::f16)[0]);
    for (const std::uint32_t n_threads : {1u, 3u}) {
      loaded m(bytes, *table, n_threads, 512);
      for (const std::size_t chunk : {1u, 3u, 16u, 64u}) {
        CAPTURE(n_threads, chunk);
        CHECK(compute(m, sequences, chunk, kv_type::f16) == expected);
      }
    }
  }
}

TEST_CASE("rule 5: no bit depends on batch, chunking or threads", "[decoder_model][rule5]") {
  for (const weight_type type : {weight_type::f32, weight_type::q4_1, weight_type::q8_0}) {
    const kv_type kv = type == weight_type::q8_0 ? kv_type::q8_0 : kv_type::f16;
    const auto bytes = build_tiny_model({.weights = type, .embeddings = weight_type::q8_0});
    for (const kernels::table* table : kernels::available()) {
      CAPTURE(table->isa, static_cast<int>(type));
      std::vector<std::vector<token_id>> sequences;
      for (std::uint64_t s = 0; s < 5; ++s)
        sequences.push_back(random_tokens(s, 3 + 20 * s, 300));
      loaded alone(bytes, *table, 1, 512);
      std::vector<rows> expected;
      for (const auto& tokens : sequences)
        expected.push_back(compute(alone, {tokens}, tokens.size(), kv)[0]);
      for (const std::uint32_t n_threads : {1u, 3u}) {
        loaded m(bytes, *table, n_threads, 512);
        for (const std::size_t chunk : {1u, 3u, 16u, 64u}) {
          CAPTURE(n_threads, chunk);
          CHECK(compute(m, sequences, chunk, kv) == expected);             // all together
          CHECK(compute(m, {sequences[4]}, chunk, kv)[0] == expected[4]);  // alone
        }
      }
    }
  }
}

TEST_CASE("rule 5: long sequences are attended to in parts while they decode", "[decoder_model][rule5]") {
  // One and three of them, with few workers and with more than there are heads.
  auto windowed = tiny_gemma3();
  windowed.window = 270;
  for (auto options : {tiny_model_options{.n_embd = 96, .n_heads = 12, .n_kv_heads = 3, .n_ff = 160}, windowed}) {
    options.context_length = 640;
    const auto bytes = build_tiny_model(options);
    const std::vector<std::vector<token_id>> sequences{random_tokens(1, 530, 300), random_tokens(2, 530, 300),
                                                       random_tokens(3, 520, 300)};
    for (const kernels::table* table : kernels::available()) {
      if (!table->attention_part) continue;
      loaded alone(bytes, *table, 1, 1600);
      std::vector<rows> expected;
      for (const auto& tokens : sequences)
        expected.push_back(compute(alone, {tokens}, tokens.size(), kv_type::f16)[0]);
      for (const std::uint32_t n_threads : {1u, 2u, 7u}) {
        CAPTURE(table->isa, n_threads);
        loaded m(bytes, *table, n_threads, 1600);
        CHECK(compute(m, {sequences[0]}, 1, kv_type::f16, 505)[0] == expected[0]);
        CHECK(compute(m, sequences, 1, kv_type::f16, 505) == expected);
      }
    }
  }
}

TEST_CASE("widened weights are the exact model", "[decoder_model]") {
  const auto bytes = build_tiny_model({.weights = weight_type::q4_1, .embeddings = weight_type::q8_0});
  loaded m(bytes, kernels::best(), 2);
  auto widened = decoder_model::load(m.file, kernels::best(), m.pool,
                                     {.max_rows = 64, .max_positions = 256, .precision = weight_precision::widened});
  REQUIRE(widened);
  m.model = std::move(*widened);
  const auto tokens = random_tokens(5, 40, 300);
  CHECK(relative_error(compute(m, {tokens}, 40, kv_type::f32)[0], testing::naive_decoder(*m.file).logits(tokens)) <
        1e-5);
}

TEST_CASE("a tensor that is missing or of another shape is named, with both shapes", "[decoder_model]") {
  const auto load = [](const gguf_writer& writer) {
    const auto bytes = writer.build();
    auto file = gguf_file::parse(bytes);
    REQUIRE(file);
    thread_pool pool(1);
    auto model = decoder_model::load(*file, kernels::reference(), pool, {});
    REQUIRE(!model);
    CHECK(model.error().code == errc::corrupt);
    return model.error().message;
  };
  gguf_writer missing;  // the keys of a model and nothing else but its embeddings
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, std::uint32_t>>{{"llama.block_count", 1},
                                                                    {"llama.embedding_length", 64},
                                                                    {"llama.attention.head_count", 4},
                                                                    {"llama.feed_forward_length", 96},
                                                                    {"llama.context_length", 64}})
    missing.add(key, value);
  missing.add("general.architecture", std::string("llama"));
  missing.add("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  missing.add_tensor("token_embd.weight", weight_type::f32, {64, 10}, std::vector<std::byte>(64 * 10 * 4));
  CHECK(load(missing).find("blk.0.attn_norm.weight is missing") != std::string::npos);

  missing.add_tensor("blk.0.attn_norm.weight", weight_type::f32, {32}, std::vector<std::byte>(32 * 4));
  const std::string message = load(missing);
  CHECK(message.find("blk.0.attn_norm.weight") != std::string::npos);
  CHECK(message.find("(32)") != std::string::npos);
  CHECK(message.find("(64)") != std::string::npos);
}
