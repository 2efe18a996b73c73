// Matrices of floats, halves or bfloat16 times rows of floats: lanes are outputs, activations are broadcast, and every
// output is one chain of FMAs over the inputs in their order, whatever Rows is.
#include "kernels/cpu/avx512/functions.hpp"
#include "kernels/cpu/avx512/zmm_tile.hpp"

namespace troupe::kernels::avx512 {
namespace {

template <weight_type Type>
struct float_kernel : zmm_tile {
  static constexpr int most_rows = 12;  // 12 chains of FMAs; 8 hide their latency
  static constexpr int streams = 4;
  static constexpr bool has_residuals = false;
  static constexpr std::size_t step = tile_step_bytes<Type>;
  static constexpr std::uint32_t depth = 1;

  template <int Rows>
  [[gnu::always_inline]] static void add_step(const std::byte* weights, const std::byte* const (&rows)[Rows],
                                              std::uint32_t /*n_in*/, std::size_t k, __m512 (&all)[Rows]) {
    const __m512 w = load(weights);
    unrolled<Rows>([&](auto r) { all[r] = _mm512_fmadd_ps(w, broadcast_float(rows[r] + 4 * k), all[r]); });
  }

 private:
  [[gnu::always_inline]] static __m512 load(const std::byte* p) {
    if constexpr (Type == weight_type::f32) return _mm512_loadu_ps(p);
    if constexpr (Type == weight_type::f16) return load_halves(p);
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
  }
};

}  // namespace

void linear_f32(const linear_args& args) {
  avx2::multiply<float_kernel<weight_type::f32>>(args);
}
void linear_f16(const linear_args& args) {
  avx2::multiply<float_kernel<weight_type::f16>>(args);
}
void linear_bf16(const linear_args& args) {
  avx2::multiply<float_kernel<weight_type::bf16>>(args);
}

}  // namespace troupe::kernels::avx512
