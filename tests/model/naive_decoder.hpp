// The architectures llama, qwen2, qwen3 and gemma3 as their papers write them: one position after the other, double
// precision, no cache but vectors of all keys and values, nothing shared with the code under test but the file reader
// and the decoding of weights.
#pragma once

#include "kernels/table.hpp"
#include "runtime/gguf/gguf_file.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace troupe::testing {

class naive_decoder {
 public:
  explicit naive_decoder(const gguf_file& file) : file_(file) {
    const std::string arch(*file.get_string("general.architecture"));
    gemma_ = arch == "gemma3";
    halves_ = arch != "llama";
    norms_heads_ = gemma_ || arch == "qwen3";
    n_layers_ = *file.get_uint(arch + ".block_count");
    n_heads_ = *file.get_uint(arch + ".attention.head_count");
    n_kv_heads_ = *file.get_uint(arch + ".attention.head_count_kv");
    n_embd_ = *file.get_uint(arch + ".embedding_length");
    head_dim_ = file.get_uint(arch + ".attention.key_length").value_or(n_embd_ / n_heads_);
    epsilon_ = *file.get_float(arch + ".attention.layer_norm_rms_epsilon");
    base_ = file.get_float(arch + ".rope.freq_base").value_or(10'000.0);
    if (file.get_string(arch + ".rope.scaling.type") == "linear")
      scale_ = *file.get_float(arch + ".rope.scaling.factor");
    if (gemma_) window_ = *file.get_uint(arch + ".attention.sliding_window");
  }

  /// (n_tokens, n_vocab)
  std::vector<std::vector<double>> logits(std::span<const std::int32_t> tokens) {
    keys_.assign(n_layers_, {});
    values_.assign(n_layers_, {});
    std::vector<std::vector<double>> all;
    for (std::size_t position = 0; position < tokens.size(); ++position)
      all.push_back(step(static_cast<std::size_t>(tokens[position]), position));
    return all;
  }

 private:
  using vec = std::vector<double>;

  /// Rows of a tensor; a vector is one row.
  const std::vector<vec>& tensor(const std::string& name) {
    auto& rows = tensors_[name];
    const auto t = file_.find_tensor(name);
    if (!rows.empty() || !t) return rows;
    const std::size_t n = t->dims[0];
    const std::size_t n_rows = t->dims.size() > 1 ? t->dims[1] : 1;
    std::vector<float> row(n);
    for (std::size_t i = 0; i < n_rows; ++i) {
      kernels::reference().dequantize_row(t->type, t->data.data() + i * kernels::row_bytes(t->type, n),
                                          static_cast<std::uint32_t>(n), row.data());
      rows.emplace_back(row.begin(), row.end());
    }
    return rows;
  }

  vec multiply(const std::string& name, const vec& x) {
    vec y;
    for (const vec& row : tensor(name + ".weight")) {
      double sum = 0;
      for (std::size_t i = 0; i < x.size(); ++i)
        sum += row[i] * x[i];
      y.push_back(sum);
    }
    if (const auto& bias = tensor(name + ".bias"); !bias.empty())
      for (std::size_t i = 0; i < y.size(); ++i)
        y[i] += bias[0][i];
    return y;
  }

  vec norm(const std::string& name, const vec& x) {
    double squares = 0;
    for (const double v : x)
      squares += v * v;
    const vec& weight = tensor(name)[0];
    vec y;
    for (std::size_t i = 0; i < x.size(); ++i)
      y.push_back(x[i] * weight[i] / std::sqrt(squares / static_cast<double>(x.size()) + epsilon_));
    return y;
  }

  /// Five local layers, then a global one.
  bool is_local(std::size_t layer) const { return gemma_ && layer % 6 != 5; }

  void norm_heads(const std::string& name, vec& heads) {
    for (std::size_t begin = 0; begin < heads.size(); begin += head_dim_) {
      const auto first = heads.begin() + static_cast<std::ptrdiff_t>(begin);
      const vec normed = norm(name, vec(first, first + static_cast<std::ptrdiff_t>(head_dim_)));
      std::copy(normed.begin(), normed.end(), first);
    }
  }

  void rotate(vec& heads, std::size_t position, std::size_t layer) {
    const auto& factors = tensor("rope_freqs.weight");
    const double base = is_local(layer) ? 10'000.0 : base_;
    const double scale = is_local(layer) ? 1.0 : scale_;
    for (std::size_t head = 0; head < heads.size(); head += head_dim_) {
      for (std::size_t pair = 0; pair < head_dim_ / 2; ++pair) {
        double angle = static_cast<double>(position) / scale *
                       std::pow(base, -2.0 * static_cast<double>(pair) / static_cast<double>(head_dim_));
        if (!factors.empty()) angle /= factors[0][pair];
        double& first = heads[head + (halves_ ? pair : 2 * pair)];
        double& second = heads[head + (halves_ ? pair + head_dim_ / 2 : 2 * pair + 1)];
        const double a = first, b = second;
        first = a * std::cos(angle) - b * std::sin(angle);
        second = a * std::sin(angle) + b * std::cos(angle);
      }
    }
  }

  vec attend(std::size_t layer, const vec& q) {
    vec out(q.size());
    for (std::size_t head = 0; head < n_heads_; ++head) {
      const std::size_t kv = head / (n_heads_ / n_kv_heads_) * head_dim_;
      vec weights;
      double sum = 0;
      const std::size_t n = keys_[layer].size();
      const std::size_t first = is_local(layer) && n > window_ ? n - window_ : 0;
      for (std::size_t t = first; t < n; ++t) {
        const vec& key = keys_[layer][t];
        double score = 0;
        for (std::size_t d = 0; d < head_dim_; ++d)
          score += q[head * head_dim_ + d] * key[kv + d];
        weights.push_back(std::exp(score / std::sqrt(static_cast<double>(head_dim_))));
        sum += weights.back();
      }
      for (std::size_t t = 0; t < weights.size(); ++t)
        for (std::size_t d = 0; d < head_dim_; ++d)
          out[head * head_dim_ + d] += weights[t] / sum * values_[layer][first + t][kv + d];
    }
    return out;
  }

  vec step(std::size_t token, std::size_t position) {
    vec x = tensor("token_embd.weight")[token];
    if (gemma_)
      for (double& v : x)
        v *= std::sqrt(static_cast<double>(n_embd_));
    const auto add = [&](const vec& delta) {
      for (std::size_t i = 0; i < x.size(); ++i)
        x[i] += delta[i];
    };
    for (std::size_t layer = 0; layer < n_layers_; ++layer) {
      const std::string prefix = "blk." + std::to_string(layer) + ".";
      const vec h = norm(prefix + "attn_norm.weight", x);
      vec q = multiply(prefix + "attn_q", h);
      vec k = multiply(prefix + "attn_k", h);
      if (norms_heads_) norm_heads(prefix + "attn_q_norm.weight", q);
      if (norms_heads_) norm_heads(prefix + "attn_k_norm.weight", k);
      rotate(q, position, layer);
      rotate(k, position, layer);
      keys_[layer].push_back(k);
      values_[layer].push_back(multiply(prefix + "attn_v", h));
      const vec attended = multiply(prefix + "attn_output", attend(layer, q));
      add(gemma_ ? norm(prefix + "post_attention_norm.weight", attended) : attended);

      const vec g = norm(prefix + "ffn_norm.weight", x);
      vec gate = multiply(prefix + "ffn_gate", g);
      const vec up = multiply(prefix + "ffn_up", g);
      for (std::size_t i = 0; i < gate.size(); ++i)
        gate[i] = activation(gate[i]) * up[i];
      const vec down = multiply(prefix + "ffn_down", gate);
      add(gemma_ ? norm(prefix + "post_ffw_norm.weight", down) : down);
    }
    return multiply(file_.find_tensor("output.weight") ? "output" : "token_embd", norm("output_norm.weight", x));
  }

  double activation(double x) const {
    if (gemma_) return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    return x / (1 + std::exp(-x));
  }

  const gguf_file& file_;
  bool gemma_ = false;
  bool halves_ = false;       // pairs that turn are halves of a head
  bool norms_heads_ = false;  // of q and k
  std::size_t n_layers_, n_heads_, n_kv_heads_, n_embd_, head_dim_, window_ = 0;
  double epsilon_, base_, scale_ = 1.0;
  std::map<std::string, std::vector<vec>> tensors_;
  std::vector<std::vector<vec>> keys_, values_;  // by layer, by position
};

}  // namespace troupe::testing
