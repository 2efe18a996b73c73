#include "kernels/cpu/avx512/block_kernel.hpp"
#include "kernels/cpu/avx512/functions.hpp"

namespace troupe::kernels::avx512 {

void linear_q4_0(const linear_args& args) {
  avx2::multiply<block_kernel<weight_type::q4_0>>(args);
}
void linear_q4_1(const linear_args& args) {
  avx2::multiply<block_kernel<weight_type::q4_1>>(args);
}
void linear_q4_k(const linear_args& args) {
  avx2::multiply<block_kernel<weight_type::q4_k>>(args);
}

}  // namespace troupe::kernels::avx512
