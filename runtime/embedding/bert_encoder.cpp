#include "runtime/embedding/bert_encoder.hpp"

#include "base/assert.hpp"
#include "kernels/ops/attention.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace troupe {
namespace {

constexpr std::uint32_t block_tokens = kernels::kv_block_tokens;

linear_column column_of(const linear_weights& weights, float* y) {
  return {.targets = {linear_target{&weights, y, weights.packed.n_out}}, .n_targets = 1};
}

}  // namespace

result<std::unique_ptr<bert_encoder>> bert_encoder::load(safetensors_file file, const bert_config& config,
                                                         const kernels::table& table, thread_pool& pool,
                                                         std::uint32_t max_rows) {
  TROUPE_ASSERT(max_rows >= config.max_tokens, "a pass has room for a text");
  auto weights = bert_weights::load(std::move(file), config, table, pool);
  if (!weights) return weights.error();
  auto linear = linear_runner::create(table, pool, max_rows, std::max(config.n_embd, config.n_ff));
  if (!linear) return linear.error();
  std::unique_ptr<bert_encoder> encoder(
      new bert_encoder(table, pool, config, std::move(*weights), std::move(*linear), max_rows));
  if (const auto made = encoder->make_head_rows(); !made) return made.error();
  return encoder;
}

bert_encoder::bert_encoder(const kernels::table& table, thread_pool& pool, const bert_config& config,
                           bert_weights weights, linear_runner linear, std::uint32_t max_rows)
    : table_(table),
      pool_(pool),
      config_(config),
      weights_(std::move(weights)),
      linear_(std::move(linear)),
      max_rows_(max_rows) {
  const std::size_t rows = max_rows;
  texts_.reserve(rows);
  for (auto* buffer : {&x_, &q_, &k_, &v_, &attention_, &delta_})
    buffer->resize(rows * config_.n_embd);
  hidden_.resize(rows * config_.n_ff);
}

result<> bert_encoder::make_head_rows() {
  const kernels::kv_layout layout{kernels::kv_type::f32, 1, config_.head_dim()};
  const std::size_t n_blocks = (config_.n_positions + block_tokens - 1) / block_tokens;
  for (std::uint32_t worker = 0; worker < pool_.size(); ++worker) {
    head_rows own;
    own.q.resize(std::size_t{kernels::max_query_heads} * config_.head_dim());
    own.out.resize(own.q.size());
    for (auto* buffer : {&own.keys, &own.values}) {
      auto memory = aligned_buffer::create(n_blocks * layout.block_bytes());
      if (!memory) return memory.error();
      *buffer = std::move(*memory);
    }
    for (std::size_t block = 0; block < n_blocks; ++block) {
      own.k_blocks.push_back(own.keys.data() + block * layout.block_bytes());
      own.v_blocks.push_back(own.values.data() + block * layout.block_bytes());
    }
    worker_head_rows_.push_back(std::move(own));
  }
  return {};
}

void bert_encoder::encode(std::span<const std::span<const token_id>> texts, float* vectors) {
  plan(texts);
  if (n_rows_ == 0) return;
  embed(texts);
  for (const bert_layer& layer : weights_.layers()) {
    attention_block(layer);
    ffn_block(layer);
  }
  pool_.for_each_task(texts_.size(),
                      [&](std::size_t i, std::uint32_t) { pool_rows(texts_[i], vectors + i * config_.n_embd); });
}

void bert_encoder::plan(std::span<const std::span<const token_id>> texts) {
  n_rows_ = 0;
  texts_.clear();
  for (const auto& text : texts) {
    TROUPE_ASSERT(!text.empty() && text.size() <= config_.n_positions, "a text has 1 to n_positions tokens");
    TROUPE_ASSERT(n_rows_ + text.size() <= max_rows_, "texts have at most max_rows tokens in all");
    for (const token_id token : text)
      TROUPE_ASSERT(token >= 0 && static_cast<std::uint32_t>(token) < config_.n_vocab, "tokens are of the vocabulary");
    texts_.push_back({n_rows_, n_rows_ + text.size()});
    n_rows_ += text.size();
  }
}

template <class Body>
void bert_encoder::for_each_row(const Body& body) {
  pool_.for_each_task((n_rows_ + rows_per_task - 1) / rows_per_task, [&](std::size_t task, std::uint32_t) {
    const std::size_t end = std::min(n_rows_, (task + 1) * rows_per_task);
    for (std::size_t row = task * rows_per_task; row < end; ++row)
      body(row);
  });
}

void bert_encoder::embed(std::span<const std::span<const token_id>> texts) {
  const auto& [scale, shift] = weights_.embedding_norm();
  pool_.for_each_task(texts.size(), [&](std::size_t i, std::uint32_t) {
    for (std::uint32_t position = 0; position < texts[i].size(); ++position) {
      float* const row = x_.data() + (texts_[i].begin + position) * config_.n_embd;
      weights_.embed(table_, static_cast<std::uint32_t>(texts[i][position]), position, row);
      table_.layer_norm(row, scale.data(), shift.data(), config_.n_embd, config_.norm_epsilon, row);
    }
  });
}

void bert_encoder::attention_block(const bert_layer& layer) {
  const auto row_of = [&](const std::vector<float>& rows) {
    return [&](std::size_t row, float*) { return rows.data() + row * config_.n_embd; };
  };
  const std::array qkv{column_of(layer.q, q_.data()), column_of(layer.k, k_.data()), column_of(layer.v, v_.data())};
  linear_.run(qkv, n_rows_, row_of(x_), [](const output_block&) {});
  pool_.for_each_task(texts_.size() * config_.n_heads, [&](std::size_t task, std::uint32_t worker) {
    attend(texts_[task / config_.n_heads], static_cast<std::uint32_t>(task % config_.n_heads),
           worker_head_rows_[worker]);
  });
  const std::array output{column_of(layer.attention_output, delta_.data())};
  linear_.run(output, n_rows_, row_of(attention_), [](const output_block&) {});
  add_and_norm(layer.attention_norm);
}

/// The attention kernel is causal: a query sees the positions up to its own. Here all rows of a text are asked as so
/// many query heads of its last position, from where everything is visible.
void bert_encoder::attend(const row_range& text, std::uint32_t head, head_rows& own) {
  const std::uint32_t dim = config_.head_dim();
  const kernels::kv_layout layout{kernels::kv_type::f32, 1, dim};
  const auto n = static_cast<std::uint32_t>(text.end - text.begin);
  const auto offset = [&](std::size_t i) { return (text.begin + i) * config_.n_embd + std::size_t{head} * dim; };
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::size_t block = i / block_tokens * layout.block_bytes();
    table_.store_kv(layout, k_.data() + offset(i), v_.data() + offset(i), i % block_tokens, own.keys.data() + block,
                    own.values.data() + block);
  }
  for (std::uint32_t begin = 0; begin < n; begin += kernels::max_query_heads) {
    const std::uint32_t n_queries = std::min(kernels::max_query_heads, n - begin);
    for (std::uint32_t i = 0; i < n_queries; ++i)
      std::copy_n(q_.data() + offset(begin + i), dim, own.q.data() + std::size_t{i} * dim);
    table_.attention({.layout = layout,
                      .kv_head = 0,
                      .n_query_heads = n_queries,
                      .q = own.q.data(),
                      .q_stride = own.q.size(),
                      .out = own.out.data(),
                      .out_stride = own.out.size(),
                      .n_queries = 1,
                      .first_position = n - 1,
                      .window = 0,
                      .scale = 1.0f / std::sqrt(static_cast<float>(dim)),
                      .k_blocks = own.k_blocks.data(),
                      .v_blocks = own.v_blocks.data()});
    for (std::uint32_t i = 0; i < n_queries; ++i)
      std::copy_n(own.out.data() + std::size_t{i} * dim, dim, attention_.data() + offset(begin + i));
  }
}

void bert_encoder::ffn_block(const bert_layer& layer) {
  const std::uint32_t n_ff = config_.n_ff;
  const std::array up{column_of(layer.up, hidden_.data())};
  linear_.run(
      up, n_rows_, [&](std::size_t row, float*) { return x_.data() + row * config_.n_embd; },
      [&](const output_block& block) {
        for (std::size_t row = block.row_begin; row < block.row_end; ++row) {
          float* const part = hidden_.data() + row * n_ff + block.out_begin;
          table_.gelu(part, block.out_end - block.out_begin, part);
        }
      });
  const std::array down{column_of(layer.down, delta_.data())};
  linear_.run(
      down, n_rows_, [&](std::size_t row, float*) { return hidden_.data() + row * n_ff; }, [](const output_block&) {});
  add_and_norm(layer.output_norm);
}

void bert_encoder::add_and_norm(const layer_norm_weights& norm) {
  const std::uint32_t n_embd = config_.n_embd;
  for_each_row([&](std::size_t row) {
    float* const x = x_.data() + row * n_embd;
    table_.add(delta_.data() + row * n_embd, n_embd, x);
    table_.layer_norm(x, norm.scale.data(), norm.shift.data(), n_embd, config_.norm_epsilon, x);
  });
}

/// The sum has the direction of the mean, and length 1 is what it gets.
void bert_encoder::pool_rows(const row_range& text, float* vector) const {
  const std::uint32_t n_embd = config_.n_embd;
  std::fill_n(vector, n_embd, 0.0f);
  for (std::size_t row = text.begin; row < text.end; ++row)
    table_.add(x_.data() + row * n_embd, n_embd, vector);
  double squares = 0;
  for (std::uint32_t i = 0; i < n_embd; ++i)
    squares += double{vector[i]} * double{vector[i]};
  const double factor = squares > 0 ? 1.0 / std::sqrt(squares) : 0.0;
  for (std::uint32_t i = 0; i < n_embd; ++i)
    vector[i] = static_cast<float>(vector[i] * factor);
}

}  // namespace troupe
