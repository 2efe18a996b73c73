// Matrices of 4-bit weights times rows of 8-bit activations.
//
// maddubs multiplies 32 unsigned weights by 32 signed activations and adds neighbours: at most 2 * 15 * 127 = 3,810 in
// 16 bits. The eight groups of a block are added in 16 bits, 30,480 at most, before one madd turns them into the eight
// outputs of a vector: nothing is ever added across lanes.
#include "kernels/cpu/avx2/block_kernel.hpp"

namespace troupe::kernels::avx2 {
namespace {

template <weight_type Type>
struct q4_format {
  static constexpr weight_type type = Type;
  static constexpr int streams = 2;  // four would get more from memory, but their sums do not fit the registers
  static constexpr std::size_t quants_at = Type == weight_type::q4_1 ? 4 * tile : 2 * tile;

  static constexpr bool has_offset = true;
  [[gnu::always_inline]] static __m256 offset(const std::byte* block, int h, __m256 d) {
    return Type == weight_type::q4_1 ? load_halves(block + 2 * tile + 16 * h) : _mm256_mul_ps(d, _mm256_set1_ps(-8.0f));
  }

  template <int Rows>
  [[gnu::always_inline]] static void multiply(const std::byte* quants, const std::byte* const (&rows)[Rows],
                                              std::size_t k, __m256i (&integers)[Rows][2]) {
    const __m256i low_nibbles = _mm256_set1_epi8(15);
    unrolled<4>([&](auto g) {
      __m256i even[2];
      __m256i odd[2];
      unrolled<2>([&](auto h) {
        const __m256i both = load_bytes(quants + 64 * g + 32 * h);
        even[h] = _mm256_and_si256(both, low_nibbles);
        odd[h] = _mm256_and_si256(_mm256_srli_epi16(both, 4), low_nibbles);
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
    unrolled<Rows>([&](auto r) {
      unrolled<2>([&](auto h) { integers[r][h] = _mm256_madd_epi16(integers[r][h], _mm256_set1_epi16(1)); });
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

}  // namespace troupe::kernels::avx2
