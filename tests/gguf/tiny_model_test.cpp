#include "runtime/gguf/tiny_model.hpp"

#include "base/assert.hpp"
#include "catch.hpp"
#include "exercise.hpp"
#include "runtime/gguf/gguf_file.hpp"

#include <algorithm>
#include <set>
#include <string>

using namespace troupe;
using kernels::weight_type;

TEST_CASE("a tiny model is whole, in every weight type") {
  for (const weight_type type : kernels::weight_types) {
    for (const bool tied : {true, false}) {
      tiny_model_options options;
      options.weights = options.embeddings = type;
      options.tied_output = tied;
      options.n_layers = 3;
      const std::uint32_t n_embd = options.n_embd = std::max(64u, kernels::block_of(type).weights);
      options.n_ff = 2 * n_embd;
      const auto bytes = build_tiny_model(options);
      const auto parsed = gguf_file::parse(bytes);
      REQUIRE(parsed);
      const gguf_file& file = **parsed;
      CHECK(file.get_string("general.architecture") == "llama");
      CHECK(file.get_uint("llama.block_count") == 3U);
      CHECK(file.get_uint("llama.rope.dimension_count") == n_embd / 4);
      CHECK(file.n_tensors() == 3 * 9 + (tied ? 2 : 3));
      CHECK(file.find_tensor("output.weight").has_value() != tied);
      for (const std::string layer : {"0", "1", "2"}) {
        const auto k = file.find_tensor("blk." + layer + ".attn_k.weight");
        REQUIRE(k);
        CHECK(k->type == type);
        CHECK(k->dims == std::vector<std::uint64_t>{n_embd, n_embd / 2});
        const auto down = file.find_tensor("blk." + layer + ".ffn_down.weight");
        REQUIRE(down);
        CHECK(down->dims == std::vector<std::uint64_t>{2 * n_embd, n_embd});
        CHECK(file.find_tensor("blk." + layer + ".attn_norm.weight")->type == weight_type::f32);
      }
    }
  }
}

TEST_CASE("the vocabulary can spell every byte, and each merge joins tokens known before it") {
  for (const std::uint32_t size : {min_tiny_vocab, 384U, max_tiny_vocab}) {
    tiny_model_options options;
    options.n_vocab = size;
    const auto bytes = build_tiny_model(options);
    const auto parsed = gguf_file::parse(bytes);
    REQUIRE(parsed);
    const auto tokens = test::listed(*(*parsed)->get_strings("tokenizer.ggml.tokens"));
    const auto merges = test::listed(*(*parsed)->get_strings("tokenizer.ggml.merges"));
    const auto types = (*parsed)->get_ints("tokenizer.ggml.token_type");
    REQUIRE(tokens.size() == size);
    REQUIRE(merges.size() == size - 259);
    REQUIRE(types->size() == size);
    CHECK(std::count(types->begin(), types->end(), 3) == 3);
    CHECK(std::set<std::string_view>(tokens.begin(), tokens.end()).size() == size);
    CHECK(tokens[2] == "<|im_end|>");
    CHECK(tokens[3 + ' '] == "Ġ");
    CHECK(tokens[3 + '\n'] == "Ċ");
    CHECK(tokens[3 + 'a'] == "a");
    std::set<std::string> known(tokens.begin() + 3, tokens.begin() + 259);
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const std::string merge(merges[i]);
      const std::size_t gap = merge.find(' ');
      REQUIRE(known.count(merge.substr(0, gap)) == 1);
      REQUIRE(known.count(merge.substr(gap + 1)) == 1);
      const std::string joined = merge.substr(0, gap) + merge.substr(gap + 1);
      REQUIRE(joined == tokens[259 + i]);
      known.insert(joined);
    }
  }
}

TEST_CASE("the seed decides the weights, and nothing else does") {
  tiny_model_options other;
  other.seed = 2;
  CHECK(build_tiny_model() == build_tiny_model());
  CHECK(build_tiny_model() != build_tiny_model(other));
  CHECK(build_tiny_model().size() == build_tiny_model(other).size());
}

TEST_CASE("impossible sizes are a programmer's error") {
  tiny_model_options options;
  options.n_vocab = min_tiny_vocab - 1;
  CHECK_THROWS(build_tiny_model(options));
  options = {};
  options.n_heads = 3;
  CHECK_THROWS(build_tiny_model(options));
}
