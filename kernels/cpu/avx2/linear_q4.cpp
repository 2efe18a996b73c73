// Matrices of 4-bit weights times rows of 8-bit activations.
//
// maddubs multiplies 32 unsigned weights by 32 signed activations and adds neighbours: at most 2 * 15 * 127 = 3,810 in
// 16 bits. The eight groups of a block are added in 16 bits, 30,480 at most, before one madd turns them into the eight
// outputs of a vector: nothing is ever added across lanes.
#include "kernels/cpu/avx2/code_vectors.hpp"

namespace troupe::kernels::avx2 {
namespace {

template <weight_type Type>
struct q4_format {
  static constexpr weight_type type = Type;
  static constexpr int streams = 2;    // four would get more from memory, but their sums do not fit the registers
  static constexpr int most_rows = 4;  // 8 sums, 4 vectors of weights, an activation, a product, a constant: 15 of 16

  static constexpr bool has_offset = true;
  [[gnu::always_inline]] static __m256 offset(const std::byte* step, const std::byte* at, int h, __m256 d) {
    return offset_of<Type, 8>(step, at, h, d);
  }

  template <int Rows>
  [[gnu::always_inline]] static void multiply(const std::byte* at, const std::byte* const (&rows)[Rows], std::size_t k,
                                              __m256i (&integers)[Rows][2]) {
    const std::byte* codes = at + layout_of<Type>.scale_bytes;
    unrolled<4>([&](auto g) {
      __m256i even[2];
      __m256i odd[2];
      unrolled<2>([&](auto h) {
        even[h] = load_codes<0, 2 * g>(codes, h);
        odd[h] = load_codes<0, 2 * g + 1>(codes, h);
      });
      unrolled<Rows>([&](auto r) {
        const __m256i x = broadcast(rows[r] + k + 8 * g);
        unrolled<2>([&](auto h) {
          const __m256i product = _mm256_maddubs_epi16(even[h], x);
          integers[r][h] = g == 0 ? product : _mm256_add_epi16(integers[r][h], product);
          settle(integers[r][h]);
        });
      });
      unrolled<Rows>([&](auto r) {
        const __m256i x = broadcast(rows[r] + k + 8 * g + 4);
        unrolled<2>([&](auto h) {
          integers[r][h] = _mm256_add_epi16(integers[r][h], _mm256_maddubs_epi16(odd[h], x));
          settle(integers[r][h]);
        });
      });
    });
    unrolled<2>([&](auto h) {
      const __m256i scales = scales_of<Type>(at, h);
      unrolled<Rows>([&](auto r) { integers[r][h] = _mm256_madd_epi16(integers[r][h], scales); });
    });
  }
};

}  // namespace

void linear_q4_0(const linear_args& args) {
  multiply<block_kernel<q4_format<weight_type::q4_0>>>(args);
}
void linear_q4_1(const linear_args& args) {
  multiply<block_kernel<q4_format<weight_type::q4_1>>>(args);
}
void linear_q4_k(const linear_args& args) {
  multiply<block_kernel<q4_format<weight_type::q4_k>>>(args);
}

}  // namespace troupe::kernels::avx2
