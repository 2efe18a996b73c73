#include "kernels/ops/linear.hpp"

#include "base/assert.hpp"
#include "kernels/block_codes.hpp"
#include "kernels/half.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace troupe::kernels {
namespace {

constexpr std::uint32_t chunk = 32;  // weights decoded together: one block of the block formats

std::uint16_t load_u16(const std::byte* p) {
  std::uint16_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

/// Weights [begin, begin + count) of a row; begin is a multiple of the chunk, count at most a chunk.
void decode_chunk(weight_type type, const std::byte* row, std::uint32_t begin, std::uint32_t count, float* w) {
  switch (type) {
    case weight_type::f32:
      std::memcpy(w, row + std::size_t{begin} * 4, count * sizeof(float));
      return;
    case weight_type::f16:
      for (std::uint32_t i = 0; i < count; ++i)
        w[i] = f16_to_float(load_u16(row + 2 * (std::size_t{begin} + i)));
      return;
    case weight_type::bf16:
      for (std::uint32_t i = 0; i < count; ++i)
        w[i] = bf16_to_float(load_u16(row + 2 * (std::size_t{begin} + i)));
      return;
    default:
      break;
  }
  const block_codes codes = unpack_codes(type, row, begin / chunk);
  const float offset = f16_to_float(codes.offset) * static_cast<float>(codes.minimum);
  for (std::uint32_t i = 0; i < chunk; ++i) {
    const float scale = f16_to_float(codes.d) * static_cast<float>(codes.scale[i / 16]);
    w[i] = scale * static_cast<float>(codes.code[i] - codes.zero) + offset;
  }
}

/// What the affine forms of a table add apart from d q x and may be larger than the weights: |d zero| or |m|.
double offset_magnitude(weight_type type, const std::byte* row, std::uint32_t begin) {
  if (!is_block_format(type)) return 0;
  const block_codes codes = unpack_codes(type, row, begin / chunk);
  const double zero = type == weight_type::q8_0 || type == weight_type::q6_k ? 0 : codes.zero;
  return std::abs(f16_to_float(codes.d) * zero) + std::abs(f16_to_float(codes.offset) * double(codes.minimum));
}

/// Adds the products of one chunk to four interleaved sums; four, so that an addition need not wait for the one before.
void add_products(const float* w, const float* x, std::uint32_t count, double* sums) {
  std::uint32_t i = 0;
  for (; i + 4 <= count; i += 4)
    for (std::uint32_t lane = 0; lane < 4; ++lane)
      sums[lane] += double{w[i + lane]} * double{x[i + lane]};
  for (; i < count; ++i)
    sums[0] += double{w[i]} * double{x[i]};
}

}  // namespace

namespace {

double largest_magnitude(const float* x, std::uint32_t count) {
  double largest = 0;
  for (std::uint32_t i = 0; i < count; ++i)
    largest = std::max(largest, std::abs(double{x[i]}));
  return largest;
}

/// Above this a block has a second term, whatever rounding did to the comparison.
double certain_residual(const float* x, std::uint32_t n_in) {
  double squares = 0;
  for (std::uint32_t begin = 0; begin < n_in; begin += chunk)
    squares += std::pow(largest_magnitude(x + begin, std::min(chunk, n_in - begin)), 2);
  return std::sqrt(squares / (n_in / chunk) * residual_threshold) * 1.001;
}

}  // namespace

double linear_error_bound(activation_format format, weight_type type, const std::byte* row, const float* x,
                          std::uint32_t n_in) {
  double magnitude = 0;  // of everything that is added up
  double steps = 0;      // sum of |w| times half a step of its activation
  const double second_term_from = certain_residual(x, n_in);
  for (std::uint32_t begin = 0; begin < n_in; begin += chunk) {
    const std::uint32_t count = std::min(chunk, n_in - begin);
    float w[chunk];
    decode_chunk(type, row, begin, count, w);
    const double offset = offset_magnitude(type, row, begin);
    const double largest = largest_magnitude(x + begin, count);
    double weights = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      weights += std::abs(double{w[i]});
      magnitude += (std::abs(double{w[i]}) + 2 * offset) * std::abs(double{x[i + begin]});
    }
    const double half_step = largest / 254.0 * (1 + 1e-4);
    steps += weights * ((largest > second_term_from ? half_step / 254.0 : half_step) + 1e-36);
  }
  const double additions = format == activation_format::q8 ? n_in / 16.0 + 8.0 : n_in + 2.0;
  const double rounding = additions * 0x1p-24 * magnitude + 1e-37;
  return format == activation_format::q8 ? steps * (1 + additions * 0x1p-24) + rounding : rounding;
}

namespace plain {

std::size_t packed_bytes(weight_type type, std::uint32_t n_out, std::uint32_t n_in) {
  return n_out * row_bytes(type, n_in);
}

void pack_linear(weight_type type, const std::byte* rows, std::uint32_t n_out, std::uint32_t n_in,
                 std::uint32_t row_begin, std::uint32_t row_end, std::byte* packed) {
  TROUPE_ASSERT(row_begin <= row_end && row_end <= n_out, "rows past the end of the matrix");
  const std::size_t stride = row_bytes(type, n_in);
  if (row_begin == row_end || stride == 0) return;
  std::memcpy(packed + row_begin * stride, rows + row_begin * stride, (row_end - row_begin) * stride);
}

activation_format activation_format_for(weight_type) {
  return activation_format::f32;
}

std::size_t activation_bytes(activation_format format, std::uint32_t n_in) {
  TROUPE_ASSERT(format == activation_format::f32, "the reference table reads float activations only");
  return (std::size_t{n_in} * sizeof(float) + 63) / 64 * 64;
}

void prepare_activations(activation_format format, const float* x, std::size_t x_stride, std::size_t n_rows,
                         std::uint32_t n_in, std::byte* activations) {
  const std::size_t stride = activation_bytes(format, n_in);
  for (std::size_t r = 0; r < n_rows; ++r)
    std::memcpy(activations + r * stride, x + r * x_stride, n_in * sizeof(float));
}

void linear(const packed_linear& w, const std::byte* activations, std::size_t n_rows, std::uint32_t out_begin,
            std::uint32_t out_end, float* y, std::size_t y_stride) {
  TROUPE_ASSERT(out_begin <= out_end && out_end <= w.n_out, "outputs past the end of the matrix");
  constexpr std::size_t rows_together = 8;  // that share the decoding of a chunk
  const std::size_t stride = activation_bytes(activation_format::f32, w.n_in);
  for (std::size_t first = 0; first < n_rows; first += rows_together) {
    const std::size_t rows = std::min(rows_together, n_rows - first);
    for (std::uint32_t o = out_begin; o < out_end; ++o) {
      const std::byte* weights = w.data + o * row_bytes(w.type, w.n_in);
      double sums[rows_together][4] = {};
      for (std::uint32_t begin = 0; begin < w.n_in; begin += chunk) {
        const std::uint32_t count = std::min(chunk, w.n_in - begin);
        float decoded[chunk];
        decode_chunk(w.type, weights, begin, count, decoded);
        for (std::size_t r = 0; r < rows; ++r) {
          const auto* x = reinterpret_cast<const float*>(activations + (first + r) * stride);
          add_products(decoded, x + begin, count, sums[r]);
        }
      }
      for (std::size_t r = 0; r < rows; ++r)
        y[(first + r) * y_stride + o] = static_cast<float>((sums[r][0] + sums[r][1]) + (sums[r][2] + sums[r][3]));
    }
  }
}

void dequantize_row(weight_type type, const std::byte* row, std::uint32_t n, float* y) {
  for (std::uint32_t begin = 0; begin < n; begin += chunk)
    decode_chunk(type, row, begin, std::min(chunk, n - begin), y + begin);
}

}  // namespace plain
}  // namespace troupe::kernels
