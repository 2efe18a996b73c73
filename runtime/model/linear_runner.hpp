// Multiplies the matrices that read the same rows - Q, K and V; gate and up - in one pass of the thread pool: each row
// is prepared once for all of them, and their outputs are split as one range.
//
// Three regimes, alike in every bit (rule 5: a kernel's output row depends on its input row alone):
//   few rows (decode of a sequence or four)  every worker prepares all rows for itself, which costs less than waiting
//                                            for another, and streams its share of the weights: one loop
//   some rows (decode of a batch)            rows are prepared together, then shares as above: two loops
//   many rows (prefill)                      rows are prepared together, then blocks of rows x outputs that fit the L2
//                                            cache are handed out one by one
#pragma once

#include "kernels/table.hpp"
#include "runtime/model/aligned_buffer.hpp"
#include "runtime/model/linear_weights.hpp"
#include "runtime/parallel/thread_pool.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace troupe {

/// One matrix and where its outputs go.
struct linear_target {
  const linear_weights* weights = nullptr;
  float* y = nullptr;  // (n_rows, y_stride)
  std::size_t y_stride = 0;
};

/// Matrices of equal height whose outputs are split alike, so that what comes after can combine them.
struct linear_column {
  std::array<linear_target, 2> targets{};
  std::size_t n_targets = 1;

  std::span<const linear_target> all() const { return {targets.data(), n_targets}; }
  std::uint32_t n_out() const { return targets[0].weights->packed.n_out; }
};

/// A rectangle of a column's outputs.
struct output_block {
  std::size_t column = 0;
  std::size_t row_begin = 0, row_end = 0;
  std::uint32_t out_begin = 0, out_end = 0;
};

class linear_runner {
 public:
  /// Room for max_rows rows of up to max_inputs, in any format. Errors: overloaded, no memory.
  static result<linear_runner> create(const kernels::table& table, thread_pool& pool, std::size_t max_rows,
                                      std::uint32_t max_inputs);

  /// y = x W^T + bias for every target of every column; all have the same n_in.
  ///   const float* input(row, scratch)  the row's n_in floats; may use scratch, n_in floats, to make them. Called more
  ///                                     than once a row, from any worker
  ///   finish(const output_block&)       called once for each block, when its outputs are there
  template <class Input, class Finish>
  void run(std::span<const linear_column> columns, std::size_t n_rows, const Input& input, const Finish& finish);

 private:
  static constexpr std::size_t few_rows = 4;
  static constexpr std::size_t some_rows = 16;
  static constexpr std::size_t block_rows = 64;
  static constexpr std::uint32_t block_outputs = 96;
  static constexpr std::size_t n_formats = 2;

  using activation_rows = std::array<std::byte*, n_formats>;  // by activation_format

  /// What the workers of one run share.
  struct job {
    std::span<const linear_column> columns;
    std::size_t n_rows;
  };

  linear_runner(const kernels::table& table, thread_pool& pool) : table_(&table), pool_(&pool) {}

  template <class Input>
  void prepare(const job& j, const activation_rows& rows, std::size_t row_begin, std::size_t row_end,
               std::uint32_t worker, const Input& input);
  void prepare_row(const job& j, const activation_rows& rows, std::size_t row, const float* x) const;
  template <class Finish>
  void multiply_share(const job& j, const activation_rows& rows, std::uint32_t worker, const Finish& finish) const;
  template <class Finish>
  void multiply_blocks(const job& j, const Finish& finish);
  void multiply(const job& j, const activation_rows& rows, const output_block& block) const;

  /// The outputs of one column that belong to a worker when all columns are split by cost.
  void split(std::span<const linear_column> columns, std::size_t which, std::uint32_t worker,
             output_block& block) const;
  std::uint32_t outputs_per_block() const {
    return std::max(1u, block_outputs / table_->output_tile) * table_->output_tile;
  }

  const kernels::table* table_;
  thread_pool* pool_;
  std::size_t scratch_stride_ = 0;
  std::vector<float> scratch_;  // (n_workers, scratch_stride)
  aligned_buffer memory_;
  activation_rows shared_{};              // (max_rows, activation bytes) of each format
  std::vector<activation_rows> private_;  // (few_rows, activation bytes) of each format, for each worker
};

template <class Input, class Finish>
void linear_runner::run(std::span<const linear_column> columns, std::size_t n_rows, const Input& input,
                        const Finish& finish) {
  if (n_rows == 0) return;
  const job j{columns, n_rows};
  if (n_rows <= few_rows) {
    pool_->run([&](std::uint32_t worker) {
      prepare(j, private_[worker], 0, n_rows, worker, input);
      multiply_share(j, private_[worker], worker, finish);
    });
    return;
  }
  pool_->run([&](std::uint32_t worker) {
    const std::size_t n = pool_->size();
    prepare(j, shared_, n_rows * worker / n, n_rows * (worker + 1) / n, worker, input);
  });
  if (n_rows <= some_rows)
    pool_->run([&](std::uint32_t worker) { multiply_share(j, shared_, worker, finish); });
  else
    multiply_blocks(j, finish);
}

template <class Input>
void linear_runner::prepare(const job& j, const activation_rows& rows, std::size_t row_begin, std::size_t row_end,
                            std::uint32_t worker, const Input& input) {
  for (std::size_t row = row_begin; row < row_end; ++row)
    prepare_row(j, rows, row, input(row, scratch_.data() + worker * scratch_stride_));
}

template <class Finish>
void linear_runner::multiply_share(const job& j, const activation_rows& rows, std::uint32_t worker,
                                   const Finish& finish) const {
  output_block block{.row_end = j.n_rows};
  for (std::size_t c = 0; c < j.columns.size(); ++c) {
    split(j.columns, c, worker, block);
    if (block.out_begin == block.out_end) continue;
    multiply(j, rows, block);
    finish(block);
  }
}

template <class Finish>
void linear_runner::multiply_blocks(const job& j, const Finish& finish) {
  const std::size_t row_blocks = (j.n_rows + block_rows - 1) / block_rows;
  const std::uint32_t height = outputs_per_block();
  const auto n_blocks = [&](const linear_column& column) {
    return row_blocks * ((column.n_out() + height - 1) / height);
  };
  std::size_t n_tasks = 0;
  for (const linear_column& column : j.columns)
    n_tasks += n_blocks(column);
  pool_->for_each_task(n_tasks, [&](std::size_t task, std::uint32_t) {
    output_block block;
    for (; task >= n_blocks(j.columns[block.column]); ++block.column)
      task -= n_blocks(j.columns[block.column]);
    // Neighbouring tasks share their weights and differ in rows.
    block.row_begin = task % row_blocks * block_rows;
    block.row_end = std::min(block.row_begin + block_rows, j.n_rows);
    block.out_begin = static_cast<std::uint32_t>(task / row_blocks) * height;
    block.out_end = std::min(block.out_begin + height, j.columns[block.column].n_out());
    multiply(j, shared_, block);
    finish(block);
  });
}

}  // namespace troupe
