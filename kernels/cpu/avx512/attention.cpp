#include "kernels/cpu/avx2/attention_loop.hpp"
#include "kernels/cpu/avx512/functions.hpp"
#include "kernels/cpu/avx512/zmm_floats.hpp"

namespace troupe::kernels::avx512 {

void attention(const attention_args& args) {
  avx2::attend_all<zmm_floats>(args);
}

void attention_part(const attention_args& args, std::uint32_t segment, float* parts, std::size_t parts_stride) {
  avx2::attend_part<zmm_floats>(args, segment, parts, parts_stride);
}

void combine_attention(const float* parts, std::uint32_t n_parts, std::uint32_t head_dim, float* out) {
  avx2::combine<zmm_floats>(parts, n_parts, head_dim, out);
}

}  // namespace troupe::kernels::avx512
