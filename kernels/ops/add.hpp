// y[i] += x[i]. Exact in the sense of IEEE 754: every table gives the same bits.
#pragma once

#include <cstddef>

namespace troupe::kernels::plain {
void add(const float* x, std::size_t n, float* y);
}
