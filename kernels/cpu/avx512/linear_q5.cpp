#include "kernels/cpu/avx512/block_kernel.hpp"
#include "kernels/cpu/avx512/functions.hpp"

namespace troupe::kernels::avx512 {

void linear_q5_0(const linear_args& args) {
  avx2::multiply<block_kernel<weight_type::q5_0>>(args);
}
void linear_q5_1(const linear_args& args) {
  avx2::multiply<block_kernel<weight_type::q5_1>>(args);
}
void linear_q5_k(const linear_args& args) {
  avx2::multiply<block_kernel<weight_type::q5_k>>(args);
}

}  // namespace troupe::kernels::avx512
