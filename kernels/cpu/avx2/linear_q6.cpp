// Matrices of 6-bit weights times rows of 8-bit activations.
//
// Codes become -32 .. 31, and maddubs gets |w| and the activation with the sign of w, as in linear_q8.cpp: a product of
// neighbours is within 2 * 32 * 127 = 8,128, and the four groups that share a scale fit 16 bits, 32,512 at most. madd
// multiplies them by their scale: a block is within 2 * 32,512 * 128 * 2, exact in 32 bits.
#include "kernels/cpu/avx2/code_vectors.hpp"

namespace troupe::kernels::avx2 {
namespace {

struct q6_format {
  static constexpr weight_type type = weight_type::q6_k;
  static constexpr int streams = 2;
  static constexpr int most_rows = 3;
  static constexpr bool has_offset = false;

  template <int Rows>
  [[gnu::always_inline]] static void multiply(const std::byte* at, const std::byte* const (&rows)[Rows], std::size_t k,
                                              __m256i (&integers)[Rows][2]) {
    const std::byte* codes = at + layout_of<type>.scale_bytes;
    unrolled<2>([&](auto part) {
      __m256i sums[Rows][2];
      unrolled<4>([&](auto g) {
        constexpr int group = 4 * part + g;
        __m256i weights[2];
        __m256i magnitudes[2];
        unrolled<2>([&](auto h) {
          weights[h] = _mm256_sub_epi8(load_codes<2, group>(codes, h), _mm256_set1_epi8(32));
          magnitudes[h] = _mm256_abs_epi8(weights[h]);
        });
        unrolled<Rows>([&](auto r) {
          const __m256i x = broadcast(rows[r] + k + 4 * group);
          unrolled<2>([&](auto h) {
            const __m256i product = _mm256_maddubs_epi16(magnitudes[h], _mm256_sign_epi8(x, weights[h]));
            sums[r][h] = g == 0 ? product : _mm256_add_epi16(sums[r][h], product);
            settle(sums[r][h]);
          });
        });
      });
      unrolled<2>([&](auto h) {
        const __m256i scales = load_scales_i8(at + tile * part + 8 * h);
        unrolled<Rows>([&](auto r) {
          const __m256i sum = _mm256_madd_epi16(sums[r][h], scales);
          integers[r][h] = part == 0 ? sum : _mm256_add_epi32(integers[r][h], sum);
        });
      });
    });
  }
};

}  // namespace

void linear_q6_k(const linear_args& args) {
  multiply<block_kernel<q6_format>>(args);
}

}  // namespace troupe::kernels::avx2
