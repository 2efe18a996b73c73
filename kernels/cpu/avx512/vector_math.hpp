// exp of sixteen floats. For files compiled with -mavx512f only.
#pragma once

#include "kernels/cpu/avx512/intrinsics.hpp"

namespace troupe::kernels::avx512 {
namespace {

/// e^x within 1.5 units in the last place (tests/kernels/exponential_test.cpp measures it over all floats). The
/// polynomial of avx2/vector_math.hpp, but scalef multiplies by 2^n in one step, subnormal results included.
inline __m512 exponential(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-104.0f), x);  // the order of arguments lets a NaN through
  x = _mm512_min_ps(_mm512_set1_ps(89.0f), x);
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(0x1.715476p+0f)), _MM_FROUND_TO_NEAREST_INT);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e4p-1f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f), r);
  __m512 p = _mm512_set1_ps(0x1.6a2434p-10f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.1239e2p-7f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.5558f2p-5f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.555492p-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.fffffcp-2f));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r);
  return _mm512_scalef_ps(_mm512_add_ps(p, _mm512_set1_ps(1.0f)), n);
}

}  // namespace
}  // namespace troupe::kernels::avx512
