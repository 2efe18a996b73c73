// y = x W^T for a weight matrix W of (n_out, n_in) in any weight_type, and rows of one weight matrix in floats.
//
// n_in is a whole number of blocks for the block formats and arbitrary for the others; n_out and the number of rows are
// arbitrary. A row of activations that holds an infinity or a NaN gives infinities or NaNs in the outputs that read it;
// other rows are untouched by it.
#pragma once

#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>

namespace troupe::kernels {

/// How far an output may lie from the exact x · w, for one row of W as it lies in the file and one row x of n_in
/// floats. Activations in format q8 are rounded to 1/127 of the largest of their 32, so each is off by half a step at
/// most, and where a second term rounds what is left, by a 254th of that; the rest is the rounding of sums in float.
double linear_error_bound(activation_format format, weight_type type, const std::byte* row, const float* x,
                          std::uint32_t n_in);

/// The plain form: weights stay as they lie in the file, activations stay floats, sums are double.
namespace plain {

inline constexpr std::uint32_t output_tile = 1;

std::size_t packed_bytes(weight_type type, std::uint32_t n_out, std::uint32_t n_in);
void pack_linear(weight_type type, const std::byte* rows, std::uint32_t n_out, std::uint32_t n_in,
                 std::uint32_t row_begin, std::uint32_t row_end, std::byte* packed);
activation_format activation_format_for(weight_type type);
std::size_t activation_bytes(activation_format format, std::uint32_t n_in);
void prepare_activations(activation_format format, const float* x, std::size_t x_stride, std::size_t n_rows,
                         std::uint32_t n_in, std::byte* activations);
void linear(const packed_linear& w, const std::byte* activations, std::size_t n_rows, std::uint32_t out_begin,
            std::uint32_t out_end, float* y, std::size_t y_stride);
void dequantize_row(weight_type type, const std::byte* row, std::uint32_t n, float* y);

}  // namespace plain
}  // namespace troupe::kernels
