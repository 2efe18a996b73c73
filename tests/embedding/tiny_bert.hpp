// A random sentence encoder small enough to compute by hand: its folder, and the same network once more in the plainest
// double arithmetic, straight from the formulas of the papers.
#pragma once

#include "../safetensors/safetensors_writer.hpp"
#include "base/ids.hpp"
#include "base/random.hpp"

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace troupe::test {

class tiny_bert {
 public:
  static constexpr std::size_t n_embd = 48, n_heads = 3, head_dim = 16, n_ff = 56, n_layers = 2;
  static constexpr std::size_t n_vocab = 20, n_positions = 40, max_tokens = 30;

  explicit tiny_bert(std::uint64_t seed = 1) : random_(seed) {
    add("embeddings.word_embeddings.weight", {n_vocab, n_embd}, 1.0f);
    add("embeddings.position_embeddings.weight", {n_positions, n_embd}, 0.5f);
    add("embeddings.token_type_embeddings.weight", {2, n_embd}, 0.5f);
    add_norm("embeddings.LayerNorm");
    for (std::size_t i = 0; i < n_layers; ++i) {
      const std::string layer = "encoder.layer." + std::to_string(i) + ".";
      for (const char* name :
           {"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"})
        add_linear(layer + name, n_embd, n_embd);
      add_norm(layer + "attention.output.LayerNorm");
      add_linear(layer + "intermediate.dense", n_ff, n_embd);
      add_linear(layer + "output.dense", n_embd, n_ff);
      add_norm(layer + "output.LayerNorm");
    }
    folder_.write("config.json", config);
    folder_.write("sentence_bert_config.json", R"({"max_seq_length": 30, "do_lower_case": false})");
    folder_.write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false})");
    folder_.write("tokenizer_config.json", R"({"do_lower_case": true, "strip_accents": null})");
    std::string words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n";
    for (char c = 'a'; c <= 'p'; ++c)
      words += std::string(1, c) + "\n";
    folder_.write("vocab.txt", words);
    folder_.write("model.safetensors", writer_.file());
  }

  static constexpr const char* config =
      R"({"model_type": "bert", "hidden_act": "gelu", "hidden_size": 48, "intermediate_size": 56, "layer_norm_eps": 1e-12,
          "max_position_embeddings": 40, "num_attention_heads": 3, "num_hidden_layers": 2, "type_vocab_size": 2,
          "vocab_size": 20})";

  const temporary_folder& folder() const { return folder_; }

  std::vector<double> embed(const std::vector<token_id>& tokens) const {
    std::vector<row> x;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      row sum(n_embd);
      for (std::size_t d = 0; d < n_embd; ++d)
        sum[d] = double{at("embeddings.word_embeddings.weight")[static_cast<std::size_t>(tokens[i]) * n_embd + d]} +
                 double{at("embeddings.position_embeddings.weight")[i * n_embd + d]} +
                 double{at("embeddings.token_type_embeddings.weight")[d]};
      x.push_back(norm("embeddings.LayerNorm", sum));
    }
    for (std::size_t i = 0; i < n_layers; ++i)
      x = layer("encoder.layer." + std::to_string(i) + ".", x);
    row mean(n_embd);
    double squares = 0;
    for (std::size_t d = 0; d < n_embd; ++d) {
      for (const row& each : x)
        mean[d] += each[d] / static_cast<double>(x.size());
      squares += mean[d] * mean[d];
    }
    for (double& value : mean)
      value /= std::sqrt(squares);
    return mean;
  }

 private:
  using row = std::vector<double>;

  void add(const std::string& name, const std::vector<std::uint64_t>& shape, float scale, float offset = 0) {
    std::size_t n = 1;
    for (const std::uint64_t dim : shape)
      n *= dim;
    auto& values = tensors_[name];
    for (std::size_t i = 0; i < n; ++i)
      values.push_back(offset + scale * static_cast<float>(2 * random_.unit() - 1));
    writer_.add(name, shape, values);
  }
  void add_norm(const std::string& name) {
    add(name + ".weight", {n_embd}, 0.3f, 1.0f);
    add(name + ".bias", {n_embd}, 0.3f);
  }
  void add_linear(const std::string& name, std::uint64_t n_out, std::uint64_t n_in) {
    add(name + ".weight", {n_out, n_in}, 0.3f);
    add(name + ".bias", {n_out}, 0.3f);
  }

  const std::vector<float>& at(const std::string& name) const { return tensors_.at(name); }

  row norm(const std::string& name, const row& x) const {
    double mean = 0, variance = 0;
    for (const double value : x)
      mean += value / static_cast<double>(x.size());
    for (const double value : x)
      variance += (value - mean) * (value - mean) / static_cast<double>(x.size());
    row y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      y[i] =
          (x[i] - mean) / std::sqrt(variance + 1e-12) * double{at(name + ".weight")[i]} + double{at(name + ".bias")[i]};
    return y;
  }

  row linear(const std::string& name, const row& x) const {
    const auto& bias = at(name + ".bias");
    row y(bias.begin(), bias.end());
    for (std::size_t o = 0; o < y.size(); ++o)
      for (std::size_t i = 0; i < x.size(); ++i)
        y[o] += double{at(name + ".weight")[o * x.size() + i]} * x[i];
    return y;
  }

  row attend(const row& q, const std::vector<row>& k, const std::vector<row>& v) const {
    row out(n_embd);
    for (std::size_t head = 0; head < n_heads; ++head) {
      row scores;
      double total = 0;
      for (const row& key : k) {
        double score = 0;
        for (std::size_t d = head * head_dim; d < (head + 1) * head_dim; ++d)
          score += q[d] * key[d];
        scores.push_back(std::exp(score / std::sqrt(double{head_dim})));
        total += scores.back();
      }
      for (std::size_t t = 0; t < k.size(); ++t)
        for (std::size_t d = head * head_dim; d < (head + 1) * head_dim; ++d)
          out[d] += scores[t] / total * v[t][d];
    }
    return out;
  }

  std::vector<row> layer(const std::string& name, const std::vector<row>& x) const {
    std::vector<row> k, v, y;
    for (const row& each : x) {
      k.push_back(linear(name + "attention.self.key", each));
      v.push_back(linear(name + "attention.self.value", each));
    }
    for (const row& each : x) {
      row h = linear(name + "attention.output.dense", attend(linear(name + "attention.self.query", each), k, v));
      for (std::size_t d = 0; d < n_embd; ++d)
        h[d] += each[d];
      h = norm(name + "attention.output.LayerNorm", h);
      row hidden = linear(name + "intermediate.dense", h);
      for (double& value : hidden)
        value *= 0.5 * (1 + std::erf(value / std::sqrt(2.0)));
      row out = linear(name + "output.dense", hidden);
      for (std::size_t d = 0; d < n_embd; ++d)
        out[d] += h[d];
      y.push_back(norm(name + "output.LayerNorm", out));
    }
    return y;
  }

  random_stream random_;
  temporary_folder folder_;
  safetensors_writer writer_;
  std::map<std::string, std::vector<float>> tensors_;
};

}  // namespace troupe::test
