// silu_mul and gelu_mul, the element-wise operations that compute more than they read: the others are AVX2's in this
// table too. What is left after the whole vectors goes through the same code with the other lanes masked, so that an
// element's bits do not depend on where a caller cut the row.
#include "kernels/cpu/avx512/functions.hpp"
#include "kernels/cpu/avx512/intrinsics.hpp"
#include "kernels/cpu/avx512/vector_math.hpp"

namespace troupe::kernels::avx512 {
namespace {

/// Lanes 0 .. n - 1, or all of them.
__mmask16 lane_mask(std::size_t n) {
  return static_cast<__mmask16>(n < 16 ? (1u << n) - 1 : 0xffffu);
}

/// x / (1 + e^minus_z)
__m512 gated(__m512 x, __m512 minus_z) {
  return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), exponential(minus_z)));
}

__m512 silu(__m512 x) {
  return gated(x, _mm512_sub_ps(_mm512_setzero_ps(), x));
}

/// x / 2 (1 + tanh(z / 2)) = x / (1 + e^-z), z = 2 sqrt(2 / pi) (x + 0.044715 x^3)
__m512 gelu(__m512 x) {
  constexpr float linear = 1.5957691216057308f;
  constexpr float cubic = 0.044715f * 1.5957691216057308f;
  const __m512 factor = _mm512_fmadd_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(-cubic), _mm512_set1_ps(-linear));
  return gated(x, _mm512_mul_ps(x, factor));
}

template <class Activation>
void activate(const float* gate, const float* up, std::size_t n, float* y, Activation activation) {
  for (std::size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = lane_mask(n - i);
    const __m512 x = _mm512_maskz_loadu_ps(mask, gate + i);
    _mm512_mask_storeu_ps(y + i, mask, _mm512_mul_ps(activation(x), _mm512_maskz_loadu_ps(mask, up + i)));
  }
}

}  // namespace

void silu_mul(const float* gate, const float* up, std::size_t n, float* y) {
  activate(gate, up, n, y, [](__m512 x) { return silu(x); });
}

void gelu_mul(const float* gate, const float* up, std::size_t n, float* y) {
  activate(gate, up, n, y, [](__m512 x) { return gelu(x); });
}

void exponential(const float* x, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = lane_mask(n - i);
    _mm512_mask_storeu_ps(y + i, mask, exponential(_mm512_maskz_loadu_ps(mask, x + i)));
  }
}

}  // namespace troupe::kernels::avx512
