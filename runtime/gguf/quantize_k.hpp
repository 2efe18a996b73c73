// The K formats for quantize.cpp: 256 weights whose 8 or 16 scales are whole numbers of one common step. The plain way,
// without ggml's search for better scales: such models serve tests, where what matters is that codes mean what they
// say.
#pragma once

#include <cstddef>
#include <span>

namespace troupe::gguf {

inline constexpr std::size_t k_block_weights = 256;
using k_block = std::span<const float, k_block_weights>;

/// One block; returns the end of what was written.
std::byte* quantize_q4_k(k_block weights, std::byte* out);
std::byte* quantize_q5_k(k_block weights, std::byte* out);
std::byte* quantize_q6_k(k_block weights, std::byte* out);

}  // namespace troupe::gguf
