#include "tables.hpp"

#include <cstdio>
#include <vector>

#if defined(__x86_64__)
#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx512/functions.hpp"
#endif

namespace troupe::kernels {

#ifdef TROUPE_EMULATED_AVX512
const table& avx512_emulated_table();
namespace avx512_emulated {
void exponential(const float* x, std::size_t n, float* y);
}
#endif

namespace {

struct tested {
  std::vector<const table*> tables{available().begin(), available().end()};
  std::vector<tested_exponential> exponentials;

  tested() {
#if defined(__x86_64__)
    if (choose("avx2")) exponentials.push_back({"avx2", avx2::exponential});
    if (choose("avx512")) exponentials.push_back({"avx512", avx512::exponential});
#endif
    if (choose("avx512")) return;
#ifdef TROUPE_EMULATED_AVX512
    if (choose("avx2")) {
      static table emulated = avx512_emulated_table();
      emulated.isa = "avx512 (emulated)";
      tables.push_back(&emulated);
      exponentials.push_back({emulated.isa, avx512_emulated::exponential});
      return;
    }
#endif
    std::puts("skipped: the table avx512, which needs a processor with AVX-512, or AVX2 and SIMDe (libsimde-dev)");
  }
};

const tested& all() {
  static const tested once;
  return once;
}

}  // namespace

std::span<const table* const> tested_tables() {
  return all().tables;
}
std::span<const tested_exponential> tested_exponentials() {
  return all().exponentials;
}

}  // namespace troupe::kernels
