#include "runtime/model/linear_runner.hpp"

#include <numeric>

namespace troupe {
namespace {

using kernels::activation_format;

/// What reading one tile of a column's weights costs, in bytes: at few rows, memory is the limit.
std::uint64_t tile_cost(const linear_column& column, std::uint32_t tile) {
  std::uint64_t bytes = 0;
  for (const linear_target& target : column.all())
    bytes += tile * kernels::row_bytes(target.weights->packed.type, target.weights->packed.n_in);
  return bytes;
}

std::uint64_t n_tiles(const linear_column& column, std::uint32_t tile) {
  return (column.n_out() + tile - 1) / tile;
}

}  // namespace

result<linear_runner> linear_runner::create(const kernels::table& table, thread_pool& pool, std::size_t max_rows,
                                            std::uint32_t max_inputs) {
  max_inputs = static_cast<std::uint32_t>(align_64(max_inputs));  // whole blocks in every format
  linear_runner runner(table, pool);
  runner.scratch_stride_ = max_inputs;
  runner.scratch_.resize(pool.size() * runner.scratch_stride_);
  std::array<std::size_t, n_formats> row_bytes{};  // 0: a format the table does not use
  for (const auto type : kernels::weight_types) {
    const activation_format format = table.activation_format_for(type);
    row_bytes[static_cast<std::size_t>(format)] = table.activation_bytes(format, max_inputs);
  }
  const std::size_t n_rows = max_rows + few_rows * pool.size();
  auto memory = aligned_buffer::create(std::accumulate(row_bytes.begin(), row_bytes.end(), std::size_t{0}) * n_rows);
  if (!memory) return memory.error();
  runner.memory_ = std::move(*memory);

  std::byte* next = runner.memory_.data();
  const auto take = [&](std::size_t n) {
    activation_rows rows{};
    for (std::size_t f = 0; f < n_formats; ++f) {
      rows[f] = next;
      next += n * row_bytes[f];
    }
    return rows;
  };
  runner.shared_ = take(max_rows);
  for (std::uint32_t worker = 0; worker < pool.size(); ++worker)
    runner.private_.push_back(take(few_rows));
  return runner;
}

void linear_runner::split(std::span<const linear_column> columns, std::size_t which, std::uint32_t worker,
                          output_block& block) const {
  const std::uint32_t tile = table_->output_tile;
  std::uint64_t total = 0;
  std::uint64_t before = 0;  // cost of the columns before this one
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (c == which) before = total;
    total += n_tiles(columns[c], tile) * tile_cost(columns[c], tile);
  }
  const linear_column& column = columns[which];
  const auto boundary = [&](std::uint32_t w) {
    const std::uint64_t cost = total * w / pool_->size();
    const std::uint64_t inside = cost <= before ? 0 : (cost - before) / tile_cost(column, tile) * tile;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(inside, column.n_out()));
  };
  block.column = which;
  block.out_begin = boundary(worker);
  block.out_end = worker + 1 == pool_->size() ? column.n_out() : boundary(worker + 1);
}

void linear_runner::prepare_row(const job& j, const activation_rows& rows, std::size_t row, const float* x) const {
  std::array<bool, n_formats> wanted{};
  for (const linear_column& column : j.columns)
    for (const linear_target& target : column.all())
      wanted[static_cast<std::size_t>(target.weights->format)] = true;
  const std::uint32_t n_in = j.columns[0].targets[0].weights->packed.n_in;
  for (std::size_t f = 0; f < n_formats; ++f) {
    if (!wanted[f]) continue;
    const auto format = static_cast<activation_format>(f);
    table_->prepare_activations(format, x, n_in, 1, n_in, rows[f] + row * table_->activation_bytes(format, n_in));
  }
}

void linear_runner::multiply(const job& j, const activation_rows& rows, const output_block& block) const {
  const std::uint32_t width = block.out_end - block.out_begin;
  const std::size_t n_rows = block.row_end - block.row_begin;
  for (const linear_target& target : j.columns[block.column].all()) {
    const linear_weights& w = *target.weights;
    const std::byte* activations =
        rows[static_cast<std::size_t>(w.format)] + block.row_begin * table_->activation_bytes(w.format, w.packed.n_in);
    float* const y = target.y + block.row_begin * target.y_stride;
    table_->linear(w.packed, activations, n_rows, block.out_begin, block.out_end, y, target.y_stride);
    if (w.bias.empty()) continue;
    for (std::size_t row = 0; row < n_rows; ++row)
      table_->add(w.bias.data() + block.out_begin, width, y + row * target.y_stride + block.out_begin);
  }
}

}  // namespace troupe
