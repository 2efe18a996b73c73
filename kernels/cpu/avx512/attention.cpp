#include "kernels/ops/attention.hpp"

#include "base/assert.hpp"
#include "kernels/cpu/avx2/attention_loop.hpp"
#include "kernels/cpu/avx512/functions.hpp"
#include "kernels/cpu/avx512/zmm_floats.hpp"

namespace troupe::kernels::avx512 {

void attention(const attention_args& args) {
  TROUPE_ASSERT(args.layout.head_dim % 8 == 0 && args.layout.head_dim <= max_head_dim, "head_dim is 8, 16, ... 256");
  TROUPE_ASSERT(args.n_query_heads > 0 && args.n_query_heads <= max_query_heads, "1 to 32 query heads share a kv head");
  avx2::attend_all<zmm_floats>(args);
}

}  // namespace troupe::kernels::avx512
