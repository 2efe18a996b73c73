// Matrices of 4-bit weights times rows of 8-bit activations.
//
// maddubs multiplies 32 unsigned weights by 32 signed activations and adds neighbours: at most 2 * 15 * 127 = 3,810 in
// 16 bits. The eight groups of a block are added in 16 bits, 30,480 at most, before one madd turns them into the eight
// outputs of a vector: nothing is ever added across lanes. Then y += (d_w d_x) sum + m_w (d_x sum of q_x).
//
// The statements for a row are the same whatever Rows is, integers are exact and the two additions of a block are
// explicit FMAs: the bits of a row do not depend on its neighbours.
#include "kernels/cpu/avx2/tile_loop.hpp"

namespace troupe::kernels::avx2 {
namespace {

template <weight_type Type>
struct q4_kernel {
  static constexpr int most_rows = 6;  // more would not fit the registers; fewer unpack the same weights more often
  static constexpr int streams = 2;    // four would get more from memory, but their sums do not fit the registers
  static constexpr std::size_t step = tile_step_bytes<Type>;
  static constexpr std::uint32_t depth = block;
  static constexpr std::size_t quants_at = Type == weight_type::q4_1 ? 4 * tile : 2 * tile;

  template <int Rows>
  [[gnu::always_inline]] static void add_step(const std::byte* weights, const std::byte* rows, std::size_t stride,
                                              std::uint32_t n_in, std::uint32_t k, __m256 (&sums)[Rows][2]) {
    const std::byte* scales = rows + n_in + k / block * 2 * sizeof(float);
    unrolled<2>([&](auto h) {
      // Load the activations anew for the second half: keeping all of a block's from the first takes more registers
      // than there are, and spilling them costs more than loading them.
      asm volatile("" ::: "memory");
      const __m256 d = load_halves(weights + 16 * h);
      const __m256 m = Type == weight_type::q4_1 ? load_halves(weights + 2 * tile + 16 * h)
                                                 : _mm256_mul_ps(d, _mm256_set1_ps(-8.0f));
      __m256i integers[Rows];
      multiply_block<Rows>(weights + quants_at + 32 * h, rows + k, stride, integers);
      unrolled<Rows>([&](auto r) {
        const auto* scale = reinterpret_cast<const float*>(scales + r * stride);
        const __m256 product = _mm256_mul_ps(d, _mm256_broadcast_ss(scale));
        sums[r][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(integers[r]), product, sums[r][h]);
        sums[r][h] = _mm256_fmadd_ps(m, _mm256_broadcast_ss(scale + 1), sums[r][h]);
      });
    });
  }

 private:
  static __m256 load_halves(const std::byte* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }

  /// integers[r]: for 8 outputs the sum of weight times activation over one block of row r.
  template <int Rows>
  [[gnu::always_inline]] static void multiply_block(const std::byte* quants, const std::byte* rows, std::size_t stride,
                                                    __m256i (&integers)[Rows]) {
    const __m256i low_nibbles = _mm256_set1_epi8(15);
    unrolled<Rows>([&](auto r) { integers[r] = _mm256_setzero_si256(); });
    unrolled<4>([&](auto g) {
      const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(quants + 64 * g));
      const __m256i even = _mm256_and_si256(both, low_nibbles);
      const __m256i odd = _mm256_and_si256(_mm256_srli_epi16(both, 4), low_nibbles);
      unrolled<Rows>([&](auto r) {
        const std::byte* x = rows + r * stride + 8 * g;
        integers[r] = _mm256_add_epi16(integers[r], _mm256_maddubs_epi16(even, broadcast(x)));
        integers[r] = _mm256_add_epi16(integers[r], _mm256_maddubs_epi16(odd, broadcast(x + 4)));
        asm("" : "+x"(integers[r]));  // add now: a tree of additions would need all products at once
      });
    });
    unrolled<Rows>([&](auto r) { integers[r] = _mm256_madd_epi16(integers[r], _mm256_set1_epi16(1)); });
  }
};

}  // namespace

void linear_q4_0(const linear_args& args) {
  multiply<q4_kernel<weight_type::q4_0>>(args);
}
void linear_q4_1(const linear_args& args) {
  multiply<q4_kernel<weight_type::q4_1>>(args);
}

}  // namespace troupe::kernels::avx2
