// Which tables this processor can run. Adding an instruction set is one folder under cpu/, one line in the list below
// and one in CMakeLists.txt; the slowest comes first.
#include "kernels/table.hpp"

#include <array>
#include <string>

#ifdef TROUPE_KERNELS_AVX2
#include <cpuid.h>
#endif

namespace troupe::kernels {

#ifdef TROUPE_KERNELS_AVX2
const table& avx2_table();  // cpu/avx2/table.cpp
#endif

namespace {

#ifdef TROUPE_KERNELS_AVX2
// clang 14 does not know "f16c" in __builtin_cpu_supports. That the system saves the wide registers is part of its
// "avx2".
bool supports_f16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

struct runnable_tables {
  std::array<const table*, 4> tables{};
  std::size_t count = 0;

  runnable_tables() {
    add(reference());
#ifdef TROUPE_KERNELS_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && supports_f16c()) add(avx2_table());
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

result<const table*> choose(std::string_view isa) {
  if (isa.empty()) return &best();
  std::string names;
  for (const table* one : available()) {
    if (one->isa == isa) return one;
    names += (names.empty() ? "" : ", ") + std::string(one->isa);
  }
  return make_error(errc::invalid_argument,
                    "There are no kernels \"" + std::string(isa) + "\" for this processor; there are: " + names + ".",
                    "kernels");
}

}  // namespace troupe::kernels
