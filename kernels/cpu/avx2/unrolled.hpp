// A loop with a constant bound that is straight code already for the first passes of the compiler. A plain loop over an
// array of vectors is unrolled too late for them: the array has been given memory by then, and every step goes through
// it.
#pragma once

#include <utility>

namespace troupe::kernels::avx2 {
namespace {

/// f(0), f(1), … f(N - 1), each index a constant.
template <int N, class F>
[[gnu::always_inline]] inline void unrolled(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, I>{}), ...);
  }
  (std::make_integer_sequence<int, N>{});
}

}  // namespace
}  // namespace troupe::kernels::avx2
