#include "kernels/cpu/avx512/block_kernel.hpp"
#include "kernels/cpu/avx512/functions.hpp"

namespace troupe::kernels::avx512 {

void linear_q8_0(const linear_args& args) {
  avx2::multiply<block_kernel<weight_type::q8_0>>(args);
}

}  // namespace troupe::kernels::avx512
