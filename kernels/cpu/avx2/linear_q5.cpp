// Matrices of 5-bit weights times rows of 8-bit activations.
//
// As linear_q4.cpp, but a product of neighbours reaches 2 * 31 * 127 = 7,874: four groups fit 16 bits, 31,496 at most,
// so a block is added up in two parts.
#include "kernels/cpu/avx2/code_vectors.hpp"

namespace troupe::kernels::avx2 {
namespace {

template <weight_type Type>
struct q5_format {
  static constexpr weight_type type = Type;
  static constexpr int streams = 2;
  static constexpr int most_rows = 3;  // 6 sums in 32 bits, 6 in 16, 2 vectors of weights, an activation: 15 of 16

  static constexpr bool has_offset = true;
  [[gnu::always_inline]] static __m256 offset(const std::byte* step, const std::byte* at, int h, __m256 d) {
    return offset_of<Type, 16>(step, at, h, d);
  }

  template <int Rows>
  [[gnu::always_inline]] static void multiply(const std::byte* at, const std::byte* const (&rows)[Rows], std::size_t k,
                                              __m256i (&integers)[Rows][2]) {
    const std::byte* codes = at + layout_of<Type>.scale_bytes;
    unrolled<2>([&](auto part) {
      __m256i sums[Rows][2];
      unrolled<4>([&](auto g) {
        constexpr int group = 4 * part + g;
        const __m256i weights[2] = {load_codes<1, group>(codes, 0), load_codes<1, group>(codes, 1)};
        unrolled<Rows>([&](auto r) {
          const __m256i x = broadcast(rows[r] + k + 4 * group);
          unrolled<2>([&](auto h) {
            const __m256i product = _mm256_maddubs_epi16(weights[h], x);
            sums[r][h] = g == 0 ? product : _mm256_add_epi16(sums[r][h], product);
            settle(sums[r][h]);
          });
        });
      });
      unrolled<2>([&](auto h) {
        const __m256i scales = scales_of<Type>(at, h);
        unrolled<Rows>([&](auto r) {
          const __m256i sum = _mm256_madd_epi16(sums[r][h], scales);
          integers[r][h] = part == 0 ? sum : _mm256_add_epi32(integers[r][h], sum);
        });
      });
    });
  }
};

}  // namespace

void linear_q5_0(const linear_args& args) {
  multiply<block_kernel<q5_format<weight_type::q5_0>>>(args);
}
void linear_q5_1(const linear_args& args) {
  multiply<block_kernel<q5_format<weight_type::q5_1>>>(args);
}
void linear_q5_k(const linear_args& args) {
  multiply<block_kernel<q5_format<weight_type::q5_k>>>(args);
}

}  // namespace troupe::kernels::avx2
