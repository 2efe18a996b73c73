// Matrices of 8-bit weights times rows of 8-bit activations.
//
// maddubs wants one factor unsigned, so it gets |w| and the activation with the sign of w. |w| is at most 128, read as
// unsigned, and activations are within 127: a pair sums to 32,512 at most and never saturates, weights of -128
// included. Two such sums may not fit 16 bits, so each group is widened by madd at once.
#include "kernels/cpu/avx2/block_kernel.hpp"

namespace troupe::kernels::avx2 {
namespace {

struct q8_format {
  static constexpr weight_type type = weight_type::q8_0;
  static constexpr int streams = 4;
  static constexpr int most_rows = 4;
  static constexpr bool has_offset = false;

  template <int Rows>
  [[gnu::always_inline]] static void multiply(const std::byte* quants, const std::byte* const (&rows)[Rows],
                                              std::size_t k, __m256i (&integers)[Rows][2]) {
    const __m256i ones = _mm256_set1_epi16(1);
    unrolled<8>([&](auto g) {
      __m256i weights[2];
      __m256i magnitudes[2];
      unrolled<2>([&](auto h) {
        weights[h] = load_bytes(quants + 64 * g + 32 * h);
        magnitudes[h] = _mm256_abs_epi8(weights[h]);
      });
      unrolled<Rows>([&](auto r) {
        const __m256i x = broadcast(rows[r] + k + 4 * g);
        unrolled<2>([&](auto h) {
          const __m256i pairs = _mm256_maddubs_epi16(magnitudes[h], _mm256_sign_epi8(x, weights[h]));
          const __m256i product = _mm256_madd_epi16(pairs, ones);
          integers[r][h] = g == 0 ? product : _mm256_add_epi32(integers[r][h], product);
          settle(integers[r][h]);
        });
      });
    });
  }
};

}  // namespace

void linear_q8_0(const linear_args& args) {
  multiply<block_kernel<q8_format>>(args);
}

}  // namespace troupe::kernels::avx2
