// Which tables this processor can run. Adding an instruction set is one folder under cpu/, one line in the list below
// and one in CMakeLists.txt; the slowest comes first.
#include "kernels/table.hpp"

#include <array>

namespace troupe::kernels {

#ifdef TROUPE_KERNELS_AVX2
const table& avx2_table();  // cpu/avx2/table.cpp
#endif

namespace {

struct runnable_tables {
  std::array<const table*, 4> tables{};
  std::size_t count = 0;

  runnable_tables() {
    add(reference());
#ifdef TROUPE_KERNELS_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
      add(avx2_table());
#endif
  }

 private:
  void add(const table& one) {
    tables[count++] = &one;
  }
};

}  // namespace

std::span<const table* const> available() {
  static const runnable_tables runnable;
  return {runnable.tables.data(), runnable.count};
}

const table& best() {
  return *available().back();
}

const table* find(std::string_view isa) {
  for (const table* one : available())
    if (one->isa == isa) return one;
  return nullptr;
}

}  // namespace troupe::kernels
