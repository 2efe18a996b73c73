// The encoder on a small model against the same network in double, on every kernel table; rule 5; wrong folders.
#include "runtime/embedding/sentence_embedder.hpp"

#include "catch.hpp"
#include "tiny_bert.hpp"

#include <algorithm>
#include <cstring>

using namespace troupe;
using test::tiny_bert;

namespace {

std::unique_ptr<sentence_embedder> load(const tiny_bert& model, const kernels::table& table, thread_pool& pool,
                                        std::uint32_t rows_per_pass = 256) {
  auto embedder = sentence_embedder::load(model.folder().path(), table, pool, rows_per_pass);
  if (!embedder) FAIL(embedder.error().message);
  return *std::move(embedder);
}

std::vector<token_id> random_tokens(random_stream& random, std::size_t n) {
  std::vector<token_id> tokens(n);
  for (token_id& token : tokens)
    token = static_cast<token_id>(random.below(tiny_bert::n_vocab));
  return tokens;
}

std::vector<float> encode(sentence_embedder& embedder, const std::vector<std::vector<token_id>>& texts) {
  const std::vector<std::span<const token_id>> views(texts.begin(), texts.end());
  std::vector<float> vectors(texts.size() * embedder.dimensions());
  embedder.encoder().encode(views, vectors.data());
  return vectors;
}

}  // namespace

TEST_CASE("vectors are those of the formulas", "[embedding]") {
  const tiny_bert model;
  for (const kernels::table* table : kernels::available())
    for (const std::uint32_t n_threads : {1u, 3u}) {
      thread_pool pool(n_threads);
      const auto embedder = load(model, *table, pool);
      CHECK(embedder->dimensions() == tiny_bert::n_embd);
      CHECK(embedder->max_tokens() == tiny_bert::max_tokens);
      random_stream random(2);
      for (const std::size_t n : {1u, 2u, 5u, 16u, 17u, 30u}) {
        CAPTURE(table->isa, n_threads, n);
        const auto tokens = random_tokens(random, n);
        const auto expected = model.embed(tokens);
        const auto vector = encode(*embedder, {tokens});
        double squares = 0;
        for (std::size_t d = 0; d < vector.size(); ++d) {
          CHECK(std::abs(vector[d] - expected[d]) < 2e-6);
          squares += double{vector[d]} * double{vector[d]};
        }
        CHECK(std::abs(squares - 1) < 1e-6);
      }
    }
}

TEST_CASE("a text has the same bits alone, in company and on any number of threads", "[embedding][rule5]") {
  const tiny_bert model;
  for (const kernels::table* table : kernels::available()) {
    thread_pool one(1);
    thread_pool three(3);
    const auto alone = load(model, *table, one);
    const auto together = load(model, *table, three);
    random_stream random(3);
    for (int round = 0; round < 20; ++round) {
      std::vector<std::vector<token_id>> texts;
      const std::size_t n_texts = 1 + random.below(12);
      std::size_t n_rows = 0;
      while (texts.size() < n_texts && n_rows + 30 <= together->encoder().max_rows()) {
        texts.push_back(random_tokens(random, 1 + random.below(30)));
        n_rows += texts.back().size();
      }
      const auto vectors = encode(*together, texts);
      for (std::size_t i = 0; i < texts.size(); ++i) {
        CAPTURE(table->isa, texts.size(), i);
        const auto vector = encode(*alone, {texts[i]});
        REQUIRE(std::memcmp(vector.data(), vectors.data() + i * vector.size(), vector.size() * sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("inputs are texts or tokens, checked", "[embedding]") {
  const tiny_bert model;
  thread_pool pool(1);
  const auto embedder = load(model, kernels::reference(), pool);
  using tokens = std::vector<token_id>;
  CHECK(*embedder->tokens_of("a b!", "input") == tokens{2, 4, 5, 1, 3});
  CHECK(*embedder->tokens_of("   ", "input") == tokens{2, 3});
  CHECK(*embedder->tokens_of(tokens{0, 19, 5}, "input") == tokens{0, 19, 5});
  const auto refused = [&](const embedding_input& input) {
    const auto made = embedder->tokens_of(input, "input[7]");
    REQUIRE_FALSE(made);
    CHECK(made.error().param == "input[7]");
    CHECK(made.error().message.find("input[7]") != std::string::npos);
    return made.error().code;
  };
  CHECK(refused("") == errc::invalid_argument);
  CHECK(refused(tokens{}) == errc::invalid_argument);
  CHECK(refused(tokens{20}) == errc::invalid_argument);
  CHECK(refused(tokens{-1}) == errc::invalid_argument);
  CHECK(refused(tokens(31)) == errc::context_length_exceeded);
  std::string text;
  for (int i = 0; i < 28; ++i)
    text += "c ";
  CHECK(embedder->tokens_of(text, "input")->size() == 30);
  CHECK(refused(text + "c") == errc::context_length_exceeded);
}

TEST_CASE("folders that are wrong say which file and how", "[embedding]") {
  thread_pool pool(1);
  const auto says = [&](const std::string& file, const std::string& content, const std::string& expected) {
    const tiny_bert model;
    model.folder().write(file, content);
    const auto loaded = sentence_embedder::load(model.folder().path(), kernels::reference(), pool);
    CAPTURE(file, content);
    REQUIRE_FALSE(loaded);
    CAPTURE(loaded.error().message);
    CHECK(loaded.error().message.find(expected) != std::string::npos);
  };
  const auto with = [](const std::string& from, const std::string& to) {
    std::string config = tiny_bert::config;
    config.replace(config.find(from), from.size(), to);
    return config;
  };
  says("config.json", "", "empty");
  says("config.json", "[1]", "no JSON object");
  says("config.json", std::string(2 << 20, '['), "no JSON object");
  says("config.json", "{\"a\":" + std::string(1000, '['), "no JSON object");
  says("config.json", with("\"bert\"", "\"gpt2\""), "model_type is \"gpt2\"; only \"bert\"");
  says("config.json", with("\"gelu\"", "\"relu\""), "hidden_act");
  says("config.json", with("\"hidden_size\": 48", "\"hidden_size\": 0"), "hidden_size is 0");
  says("config.json", with("\"hidden_size\": 48", "\"hidden_size\": -48"), "hidden_size is -48");
  says("config.json", with("\"hidden_size\": 48", "\"hidden_size\": 4.8"), "hidden_size is 4.8");
  says("config.json", with("\"hidden_size\": 48, ", ""), "hidden_size is missing");
  says("config.json", with("\"hidden_size\": 48", "\"hidden_size\": 24"), "has the shape (20, 48), expected (20, 24)");
  says("config.json", with("\"num_attention_heads\": 3", "\"num_attention_heads\": 5"), "5 heads in 48");
  says("config.json", with("\"num_attention_heads\": 3", "\"num_attention_heads\": 4"), "4 heads in 48");
  says("config.json", with("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"), "encoder.layer.2.attention.self");
  says("config.json", with("\"vocab_size\": 20", "\"vocab_size\": 19"), "vocab.txt has 20 tokens");
  says("config.json", with("\"vocab_size\": 20", "\"vocab_size\": 99999999"), "vocab_size");
  says("config.json", with("1e-12", "0"), "layer_norm_eps");
  says("sentence_bert_config.json", R"({"max_seq_length": 2})", "fewer than 3 tokens");
  says("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": false})", "pooling_mode_mean_tokens");
  says("1_Pooling/config.json", R"({"pooling_mode_cls_token": true})", "pooling_mode_cls_token");
  says("tokenizer_config.json", R"({"do_lower_case": false})", "do_lower_case");
  says("vocab.txt", "a\nb\n", "lacks the token [UNK]");
  says("model.safetensors", "short", "header");
  says("model.safetensors", test::safetensors_writer().file(),
       "The tensor embeddings.word_embeddings.weight is missing");

  const tiny_bert bare;
  for (const char* optional : {"sentence_bert_config.json", "1_Pooling/config.json", "tokenizer_config.json"})
    std::filesystem::remove(bare.folder().path() / optional);
  const auto loaded = sentence_embedder::load(bare.folder().path(), kernels::reference(), pool);
  REQUIRE(loaded);
  CHECK((*loaded)->max_tokens() == tiny_bert::n_positions);
}
