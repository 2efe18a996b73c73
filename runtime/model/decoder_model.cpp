#include "runtime/model/decoder_model.hpp"

#include "base/assert.hpp"
#include "kernels/ops/attention.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace troupe {
namespace {

constexpr std::uint32_t block_tokens = kernels::kv_block_tokens;

result<> check_kernel_limits(const model_config& config) {
  if (config.head_dim % 8 != 0 || config.head_dim > kernels::max_head_dim)
    return make_error(errc::unsupported, "Heads of " + std::to_string(config.head_dim) +
                                             " dimensions are not supported; multiples of 8 up to " +
                                             std::to_string(kernels::max_head_dim) + " are.");
  if (config.n_heads / config.n_kv_heads > kernels::max_query_heads)
    return make_error(errc::unsupported, std::to_string(config.n_heads / config.n_kv_heads) +
                                             " query heads for each key-value head are not supported; up to " +
                                             std::to_string(kernels::max_query_heads) + " are.");
  return {};
}

linear_column column_of(const linear_weights& weights, float* y) {
  return {.targets = {linear_target{&weights, y, weights.packed.n_out}}, .n_targets = 1};
}

}  // namespace

result<std::unique_ptr<decoder_model>> decoder_model::load(std::shared_ptr<const gguf_file> file,
                                                           const kernels::table& table, thread_pool& pool,
                                                           const decoder_options& options) {
  TROUPE_ASSERT(options.max_rows > 0, "a pass needs room for a row");
  auto config = read_model_config(*file);
  if (!config) return config.error();
  if (auto fits = check_kernel_limits(*config); !fits) return fits.error();
  auto weights = decoder_weights::load(std::move(file), *config, table, pool, options.precision);
  if (!weights) return weights.error();
  const std::uint32_t widest = std::max({config->n_embd, config->q_dim(), config->n_ff});
  auto linear = linear_runner::create(table, pool, options.max_rows, widest);
  if (!linear) return linear.error();
  const std::uint32_t max_positions =
      options.max_positions ? std::min(options.max_positions, config->context_length) : config->context_length;
  return std::unique_ptr<decoder_model>(new decoder_model(table, pool, std::move(*config), std::move(*weights),
                                                          std::move(*linear), options.max_rows, max_positions));
}

decoder_model::decoder_model(const kernels::table& table, thread_pool& pool, model_config config,
                             decoder_weights weights, linear_runner linear, std::uint32_t max_rows,
                             std::uint32_t max_positions)
    : table_(table),
      pool_(pool),
      config_(std::move(config)),
      weights_(std::move(weights)),
      rope_(config_, config_.rope, weights_.rope_factors(), max_positions),
      linear_(std::move(linear)),
      max_rows_(max_rows) {
  if (config_.window != 0) local_rope_.emplace(config_, config_.local_rope, weights_.rope_factors(), max_positions);
  const std::size_t rows = max_rows;
  first_row_.reserve(rows);
  store_groups_.reserve(rows);
  query_groups_.reserve(rows);
  const std::size_t n_segments = (max_positions - 1) / kernels::attention_segment + 1;
  const std::size_t rows_in_parts = std::min<std::size_t>(rows, tasks_per_worker * pool.size());
  attention_tasks_.reserve(std::max(rows, rows_in_parts * n_segments) * config_.n_kv_heads);
  logits_rows_.reserve(rows);
  x_.resize(rows * config_.n_embd);
  q_.resize(rows * config_.q_dim());
  k_.resize(rows * config_.kv_dim());
  v_.resize(rows * config_.kv_dim());
  attention_.resize(rows * config_.q_dim());
  if (table.attention_part) {
    parts_stride_ = n_segments * kernels::attention_part_floats(config_.head_dim);
    parts_ = std::make_unique_for_overwrite<float[]>(rows_in_parts * config_.n_heads * parts_stride_);
  }
  turned_.resize(std::size_t{pool.size()} * queries_per_task * config_.q_dim());
  delta_.resize(rows * config_.n_embd);
  gate_.resize(rows * config_.n_ff);
  up_.resize(rows * config_.n_ff);
  logits_.resize(std::size_t{logits_rows_at_once} * config_.n_vocab);
  const std::size_t n_blocks = (max_positions + block_tokens - 1) / block_tokens;
  k_blocks_.assign(pool.size(), std::vector<const std::byte*>(n_blocks));
  v_blocks_.assign(pool.size(), std::vector<const std::byte*>(n_blocks));
}

void decoder_model::forward(std::span<const forward_slice> slices, kv_storage& kv, logits_consumer& consumer,
                            layer_observer* observer) {
  plan(slices);
  if (n_rows_ == 0) return;
  embed(slices);
  for (std::uint32_t i = 0; i < config_.n_layers; ++i) {
    const decoder_layer& layer = weights_.layers()[i];
    attention_block(layer, i, slices, kv);
    if (observer != nullptr) observer->layer_stored(i);
    ffn_block(layer);
  }
  give_logits(consumer);
}

void decoder_model::plan(std::span<const forward_slice> slices) {
  n_rows_ = 0;
  first_row_.clear();
  store_groups_.clear();
  query_groups_.clear();
  logits_rows_.clear();
  for (std::uint32_t s = 0; s < slices.size(); ++s) {
    const forward_slice& slice = slices[s];
    const auto n = static_cast<std::uint32_t>(slice.tokens.size());
    TROUPE_ASSERT(n > 0 && n_rows_ + n <= max_rows_, "slices hold 1 to max_rows tokens in all");
    TROUPE_ASSERT(slice.first_position + n <= max_positions(), "positions lie inside the context");
    TROUPE_ASSERT(slice.blocks.size() * block_tokens >= slice.first_position + n, "every position has its block");
    TROUPE_ASSERT(slice.n_logits <= n, "logits are for the slice's own positions");
    for (const token_id token : slice.tokens)
      TROUPE_ASSERT(token >= 0 && static_cast<std::uint32_t>(token) < config_.n_vocab, "tokens are of the vocabulary");
    first_row_.push_back(n_rows_);
    for (std::uint32_t begin = 0; begin < n;) {
      const std::uint32_t end = std::min(n, begin + block_tokens - (slice.first_position + begin) % block_tokens);
      store_groups_.push_back({s, begin, end});
      begin = end;
    }
    for (std::uint32_t begin = 0; begin < n; begin += queries_per_task)
      query_groups_.push_back({s, begin, std::min(n, begin + queries_per_task)});
    for (std::uint32_t i = n - slice.n_logits; i < n; ++i)
      logits_rows_.push_back({s, i});
    n_rows_ += n;
  }
  plan_attention(slices);
}

/// Tasks in falling order of cost. A few long sequences that decode are computed in parts: their heads alone would
/// leave workers idle.
void decoder_model::plan_attention(std::span<const forward_slice> slices) {
  const std::uint32_t n_wanted = tasks_per_worker * pool_.size();
  const auto n_groups = static_cast<std::uint32_t>(query_groups_.size());
  const auto n_segments = [&](const forward_slice& slice) {
    return slice.first_position / kernels::attention_segment + 1;
  };
  std::uint32_t in_all = 0;
  for (const forward_slice& slice : slices)
    in_all += n_segments(slice);
  const bool single_queries = n_rows_ == slices.size();
  attention_in_parts_ = table_.attention_part && single_queries && n_groups < n_wanted && in_all > n_groups;
  tasks_store_their_rows_ = n_groups == slices.size();
  attention_tasks_.clear();
  if (attention_in_parts_) {
    for (std::uint32_t g = 0; g < n_groups; ++g)
      for (std::uint32_t segment = 0; segment < n_segments(slices[g]); ++segment)
        add_tasks(g, segment, in_all >= n_wanted);
    return;
  }
  for (std::uint32_t g = n_groups; g-- > 0;)
    add_tasks(g, 0, single_queries && n_groups >= n_wanted);
}

/// All heads in one task read whole blocks; a task for each head makes more tasks.
void decoder_model::add_tasks(std::uint32_t group, std::uint32_t segment, bool heads_together) {
  const std::uint32_t n = heads_together ? config_.n_kv_heads : 1;
  for (std::uint32_t head = 0; head < config_.n_kv_heads; head += n)
    attention_tasks_.push_back({group, head, head + n, segment});
}

void decoder_model::embed(std::span<const forward_slice> slices) {
  pool_.for_each_task(store_groups_.size(), [&](std::size_t task, std::uint32_t) {
    const row_group& rows = store_groups_[task];
    for (std::uint32_t i = rows.begin; i < rows.end; ++i) {
      const auto token = static_cast<std::uint32_t>(slices[rows.slice].tokens[i]);
      const std::span row(x_.data() + (first_row_[rows.slice] + i) * config_.n_embd, config_.n_embd);
      weights_.embed(table_, token, row.data());
      if (config_.embedding_scale == 1.0f) continue;
      for (float& value : row)
        value *= config_.embedding_scale;
    }
  });
}

void decoder_model::attention_block(const decoder_layer& layer, std::uint32_t index,
                                    std::span<const forward_slice> slices, kv_storage& kv) {
  const std::array qkv{column_of(layer.q, q_.data()), column_of(layer.k, k_.data()), column_of(layer.v, v_.data())};
  const auto normed = [&](std::size_t row, float* scratch) {
    table_.rms_norm(x_.data() + row * config_.n_embd, layer.attention_norm.data(), config_.n_embd, config_.rms_epsilon,
                    scratch);
    return static_cast<const float*>(scratch);
  };
  linear_.run(qkv, n_rows_, normed, [](const output_block&) {});

  if (!tasks_store_their_rows_)
    pool_.for_each_task(store_groups_.size(), [&](std::size_t task, std::uint32_t) {
      const row_group& rows = store_groups_[task];
      store_rows(slices[rows.slice], rows, index, 0, config_.n_kv_heads, kv);
    });
  pool_.for_each_task(attention_tasks_.size(), [&](std::size_t i, std::uint32_t worker) {
    const attention_task& task = attention_tasks_[i];
    attend(slices[query_groups_[task.group].slice], task, index, kv, worker);
  });

  add_output(layer.attention_output, layer.attention_output_norm, [&](std::size_t row, float* scratch) {
    return attention_in_parts_ ? combined_row(slices[row], row, index, scratch)
                               : attention_.data() + row * config_.q_dim();
  });
}

template <class Input>
void decoder_model::add_output(const linear_weights& weights, const std::vector<float>& norm, const Input& input) {
  const std::array output{column_of(weights, delta_.data())};
  const std::uint32_t n_embd = config_.n_embd;
  if (norm.empty()) {
    linear_.run(output, n_rows_, input, [&](const output_block& block) {
      for (std::size_t row = block.row_begin; row < block.row_end; ++row)
        table_.add(delta_.data() + row * n_embd + block.out_begin, block.out_end - block.out_begin,
                   x_.data() + row * n_embd + block.out_begin);
    });
    return;
  }
  // A norm needs its whole row, which no block of outputs has.
  linear_.run(output, n_rows_, input, [](const output_block&) {});
  const auto add_rows = [&](std::size_t task, std::uint32_t) {
    const std::size_t end = std::min(n_rows_, (task + 1) * norm_rows_per_task);
    for (std::size_t row = task * norm_rows_per_task; row < end; ++row) {
      float* const delta = delta_.data() + row * n_embd;
      table_.rms_norm(delta, norm.data(), n_embd, config_.rms_epsilon, delta);
      table_.add(delta, n_embd, x_.data() + row * n_embd);
    }
  };
  const std::size_t n_tasks = (n_rows_ + norm_rows_per_task - 1) / norm_rows_per_task;
  if (n_tasks == 1)
    add_rows(0, 0);
  else
    pool_.for_each_task(n_tasks, add_rows);
}

/// Norms and rotates the keys of some kv heads and writes their K and V.
void decoder_model::store_rows(const forward_slice& slice, const row_group& rows, std::uint32_t layer,
                               std::uint32_t head_begin, std::uint32_t head_end, kv_storage& kv) {
  const std::vector<float>& norm = weights_.layers()[layer].k_norm;
  const std::uint32_t dim = config_.head_dim;
  // A block is (n_kv_heads, …): one head's part of it is a block of one head.
  const kernels::kv_layout one_head{kv.layout().type, 1, dim};
  for (std::uint32_t i = rows.begin; i < rows.end; ++i) {
    const std::size_t row = first_row_[rows.slice] + i;
    const std::uint32_t position = slice.first_position + i;
    const std::uint32_t block = slice.blocks[position / block_tokens].index;
    for (std::uint32_t head = head_begin; head < head_end; ++head) {
      float* k = k_.data() + row * config_.kv_dim() + head * dim;
      const float* v = v_.data() + row * config_.kv_dim() + head * dim;
      turn_heads(k, 1, norm, layer, position);
      const std::size_t offset = head * one_head.block_bytes();
      table_.store_kv(one_head, k, v, position % block_tokens, kv.k_block(layer, block) + offset,
                      kv.v_block(layer, block) + offset);
    }
  }
}

/// Norms, where the model does, and rotates the heads of one position in place.
void decoder_model::turn_heads(float* x, std::uint32_t n_heads, const std::vector<float>& norm, std::uint32_t layer,
                               std::uint32_t position) const {
  const std::uint32_t dim = config_.head_dim;
  if (config_.has_query_key_norms)
    for (std::uint32_t head = 0; head < n_heads; ++head)
      table_.rms_norm(x + head * dim, norm.data(), dim, config_.rms_epsilon, x + head * dim);
  table_.rope(x, n_heads, dim, config_.pairing, rope_of(layer).at(position));
}

void decoder_model::attend(const forward_slice& slice, const attention_task& task, std::uint32_t layer, kv_storage& kv,
                           std::uint32_t worker) {
  const row_group& rows = query_groups_[task.group];
  const std::uint32_t first_segment = first_part(slice, layer);
  if (attention_in_parts_ && task.segment < first_segment) return;
  // Of a sequence in parts, only the last task reads the position that this pass adds.
  const bool is_last = (task.segment + 1) * kernels::attention_segment > slice.first_position;
  if (tasks_store_their_rows_ && (!attention_in_parts_ || is_last))
    store_rows(slice, rows, layer, task.head_begin, task.head_end, kv);
  auto& k_blocks = k_blocks_[worker];
  auto& v_blocks = v_blocks_[worker];
  const std::uint32_t n_blocks = (slice.first_position + rows.end + block_tokens - 1) / block_tokens;
  for (std::uint32_t b = 0; b < n_blocks; ++b) {
    k_blocks[b] = kv.k_block(layer, slice.blocks[b].index);
    v_blocks[b] = kv.v_block(layer, slice.blocks[b].index);
  }
  const std::size_t row = first_row_[rows.slice] + rows.begin;
  kernels::attention_args args{.layout = kv.layout(),
                               .kv_head = task.head_begin,
                               .n_kv_heads = task.head_end - task.head_begin,
                               .n_query_heads = config_.n_heads / config_.n_kv_heads,
                               .q = turned_queries(slice, task, layer, worker),
                               .q_stride = config_.q_dim(),
                               .out = attention_.data() + row * config_.q_dim(),
                               .out_stride = config_.q_dim(),
                               .n_queries = rows.end - rows.begin,
                               .first_position = slice.first_position + rows.begin,
                               .window = window_of(layer),
                               .scale = config_.attention_scale,
                               .k_blocks = k_blocks.data(),
                               .v_blocks = v_blocks.data()};
  if (attention_in_parts_)
    table_.attention_part(args, task.segment,
                          parts_of(row, args.kv_head * args.n_query_heads, task.segment - first_segment),
                          parts_stride_);
  else
    table_.attention(args);
}

/// The task's heads in rows of the worker's own, since several parts may read them. (queries_per_task, q_dim)
const float* decoder_model::turned_queries(const forward_slice& slice, const attention_task& task, std::uint32_t layer,
                                           std::uint32_t worker) {
  const row_group& rows = query_groups_[task.group];
  const std::uint32_t group = config_.n_heads / config_.n_kv_heads;
  const std::uint32_t n_heads = (task.head_end - task.head_begin) * group;
  const std::size_t offset = std::size_t{task.head_begin} * group * config_.head_dim;
  float* const turned = turned_.data() + std::size_t{worker} * queries_per_task * config_.q_dim();
  for (std::uint32_t i = rows.begin; i < rows.end; ++i) {
    const float* const from = q_.data() + (first_row_[rows.slice] + i) * config_.q_dim() + offset;
    float* const to = turned + (i - rows.begin) * config_.q_dim() + offset;
    std::copy_n(from, std::size_t{n_heads} * config_.head_dim, to);
    turn_heads(to, n_heads, weights_.layers()[layer].q_norm, layer, slice.first_position + i);
  }
  return turned;
}

/// The first segment that the only query of a slice sees in this layer.
std::uint32_t decoder_model::first_part(const forward_slice& slice, std::uint32_t layer) const {
  kernels::attention_args args;
  args.window = window_of(layer);
  return args.first_visible(slice.first_position) / kernels::attention_segment;
}

const float* decoder_model::combined_row(const forward_slice& slice, std::size_t row, std::uint32_t layer, float* to) {
  const std::uint32_t n_parts = slice.first_position / kernels::attention_segment + 1 - first_part(slice, layer);
  for (std::uint32_t head = 0; head < config_.n_heads; ++head)
    table_.combine_attention(parts_of(row, head, 0), n_parts, config_.head_dim, to + head * config_.head_dim);
  return to;
}

void decoder_model::ffn_block(const decoder_layer& layer) {
  const std::uint32_t n_ff = config_.n_ff;
  const std::array gate_up{linear_column{
      .targets = {linear_target{&layer.gate, gate_.data(), n_ff}, {&layer.up, up_.data(), n_ff}}, .n_targets = 2}};
  const auto normed = [&](std::size_t row, float* scratch) {
    table_.rms_norm(x_.data() + row * config_.n_embd, layer.ffn_norm.data(), config_.n_embd, config_.rms_epsilon,
                    scratch);
    return static_cast<const float*>(scratch);
  };
  const auto activate = config_.activation == gate_activation::silu ? table_.silu_mul : table_.gelu_mul;
  linear_.run(gate_up, n_rows_, normed, [&](const output_block& block) {
    for (std::size_t row = block.row_begin; row < block.row_end; ++row) {
      float* gate = gate_.data() + row * n_ff + block.out_begin;
      activate(gate, up_.data() + row * n_ff + block.out_begin, block.out_end - block.out_begin, gate);
    }
  });
  add_output(layer.down, layer.ffn_output_norm, [&](std::size_t row, float*) { return gate_.data() + row * n_ff; });
}

void decoder_model::give_logits(logits_consumer& consumer) {
  const std::uint32_t n_vocab = config_.n_vocab;
  const std::array output{column_of(weights_.output(), logits_.data())};
  for (std::size_t first = 0; first < logits_rows_.size(); first += logits_rows_at_once) {
    const std::size_t n = std::min<std::size_t>(logits_rows_at_once, logits_rows_.size() - first);
    const auto normed = [&](std::size_t i, float* scratch) {
      const logits_row& row = logits_rows_[first + i];
      table_.rms_norm(x_.data() + (first_row_[row.slice] + row.position) * config_.n_embd,
                      weights_.output_norm().data(), config_.n_embd, config_.rms_epsilon, scratch);
      return static_cast<const float*>(scratch);
    };
    linear_.run(output, n, normed, [](const output_block&) {});
    const auto give = [&](std::size_t i, std::uint32_t worker) {
      const logits_row& row = logits_rows_[first + i];
      consumer.take(row.slice, row.position, {logits_.data() + i * n_vocab, n_vocab}, worker);
    };
    if (n == 1)
      give(0, 0);
    else
      pool_.for_each_task(n, give);
  }
}

}  // namespace troupe
