// y[i] = x[i] Phi(x[i]), Phi the distribution function of the normal distribution: the exact GELU, as BERT has it
// (Gemma has the approximation of gelu_mul.hpp). y may be x. Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.
#pragma once

#include <cstddef>

namespace troupe::kernels {

/// How far y[i] may lie from the exact value, relative to it: below 0, Phi is a product with e^(-x^2 / 2), whose
/// exponent is rounded ...
constexpr double gelu_relative_error(double x) {
  return ((x < 0 ? x * x : 0) + 16) * 0x1p-24;
}
/// ... and, where that power leaves the range of a float (x below -13), relative to x.
inline constexpr double gelu_absolute_error = 1e-35;

namespace plain {
void gelu(const float* x, std::size_t n, float* y);
}
}  // namespace troupe::kernels
