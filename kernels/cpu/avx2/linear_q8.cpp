// Matrices of 8-bit weights times rows of 8-bit activations.
//
// maddubs wants one factor unsigned, so it gets |w| and the activation with the sign of w. |w| is at most 128, read as
// unsigned, and activations are within 127: a pair sums to 32,512 at most and never saturates, weights of -128
// included. Two such sums may not fit 16 bits, so each group is widened by madd at once. The rest is as in
// linear_q4.cpp.
#include "kernels/cpu/avx2/tile_loop.hpp"

namespace troupe::kernels::avx2 {
namespace {

struct q8_kernel {
  static constexpr int most_rows = 6;
  static constexpr int streams = 4;
  static constexpr std::size_t step = tile_step_bytes<weight_type::q8_0>;
  static constexpr std::uint32_t depth = block;
  static constexpr std::size_t quants_at = 2 * tile;

  template <int Rows>
  [[gnu::always_inline]] static void add_step(const std::byte* weights, const std::byte* rows, std::size_t stride,
                                              std::uint32_t n_in, std::uint32_t k, __m256 (&sums)[Rows][2]) {
    const std::byte* scales = rows + n_in + k / block * 2 * sizeof(float);
    unrolled<2>([&](auto h) {
      asm volatile("" ::: "memory");  // load the activations anew, see linear_q4.cpp
      const __m256 d = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights + 16 * h)));
      __m256i integers[Rows];
      multiply_block<Rows>(weights + quants_at + 32 * h, rows + k, stride, integers);
      unrolled<Rows>([&](auto r) {
        const auto* scale = reinterpret_cast<const float*>(scales + r * stride);
        const __m256 product = _mm256_mul_ps(d, _mm256_broadcast_ss(scale));
        sums[r][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(integers[r]), product, sums[r][h]);
      });
    });
  }

 private:
  /// integers[r]: for 8 outputs the sum of weight times activation over one block of row r.
  template <int Rows>
  [[gnu::always_inline]] static void multiply_block(const std::byte* quants, const std::byte* rows, std::size_t stride,
                                                    __m256i (&integers)[Rows]) {
    const __m256i ones = _mm256_set1_epi16(1);
    unrolled<Rows>([&](auto r) { integers[r] = _mm256_setzero_si256(); });
    unrolled<8>([&](auto g) {
      const __m256i w = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(quants + 64 * g));
      const __m256i magnitude = _mm256_abs_epi8(w);
      unrolled<Rows>([&](auto r) {
        const __m256i x = _mm256_sign_epi8(broadcast(rows + r * stride + 4 * g), w);
        integers[r] = _mm256_add_epi32(integers[r], _mm256_madd_epi16(_mm256_maddubs_epi16(magnitude, x), ones));
        asm("" : "+x"(integers[r]));
      });
    });
  }
};

}  // namespace

void linear_q8_0(const linear_args& args) {
  multiply<q8_kernel>(args);
}

}  // namespace troupe::kernels::avx2
