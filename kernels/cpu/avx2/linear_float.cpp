// Matrices of floats, halves or bfloat16 times rows of floats: lanes are outputs, activations are broadcast, and every
// output is one chain of FMAs over the inputs in their order, whatever Rows is.
#include "kernels/cpu/avx2/ymm_tile.hpp"

namespace troupe::kernels::avx2 {
namespace {

template <weight_type Type>
struct float_kernel : ymm_tile {
  static constexpr int most_rows = 6;  // 12 sums, 2 vectors of weights, 1 activation: 15 of 16 registers
  static constexpr int streams = 4;
  static constexpr bool has_residuals = false;
  static constexpr std::size_t step = tile_step_bytes<Type>;
  static constexpr std::uint32_t depth = 1;

  template <int Rows>
  [[gnu::always_inline]] static void add_step(const std::byte* weights, const std::byte* const (&rows)[Rows],
                                              std::uint32_t /*n_in*/, std::size_t k, __m256 (&sums)[Rows][2]) {
    const __m256 low = load(weights);
    const __m256 high = load(weights + step / 2);
    unrolled<Rows>([&](auto r) {
      const __m256 x = _mm256_broadcast_ss(reinterpret_cast<const float*>(rows[r]) + k);
      sums[r][0] = _mm256_fmadd_ps(low, x, sums[r][0]);
      sums[r][1] = _mm256_fmadd_ps(high, x, sums[r][1]);
    });
  }

 private:
  static __m256 load(const std::byte* p) {
    if constexpr (Type == weight_type::f32) return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    if constexpr (Type == weight_type::f16) return _mm256_cvtph_ps(half);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
  }
};

}  // namespace

void linear_f32(const linear_args& args) {
  multiply<float_kernel<weight_type::f32>>(args);
}
void linear_f16(const linear_args& args) {
  multiply<float_kernel<weight_type::f16>>(args);
}
void linear_bf16(const linear_args& args) {
  multiply<float_kernel<weight_type::bf16>>(args);
}

}  // namespace troupe::kernels::avx2
