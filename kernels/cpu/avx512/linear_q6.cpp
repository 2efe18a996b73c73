#include "kernels/cpu/avx512/block_kernel.hpp"
#include "kernels/cpu/avx512/functions.hpp"

namespace troupe::kernels::avx512 {

void linear_q6_k(const linear_args& args) {
  avx2::multiply<block_kernel<weight_type::q6_k>>(args);
}

}  // namespace troupe::kernels::avx512
