// Which tables this processor can run. Adding an instruction set is one folder under cpu/, one entry in the list below
// and one in CMakeLists.txt; the slowest comes first.
#include "kernels/table.hpp"

#include <array>
#include <string>

#ifdef TROUPE_KERNELS_X86
#include <cpuid.h>
#endif

namespace troupe::kernels {

#ifdef TROUPE_KERNELS_X86
const table& avx2_table();    // cpu/avx2/table.cpp
const table& avx512_table();  // cpu/avx512/table.cpp
#endif

namespace {

/// A table, and what of its needs the processor lacks.
struct built_table {
  const table* kernels = nullptr;
  std::string_view needs;
  std::string lacks;
};

#ifdef TROUPE_KERNELS_X86
// clang 14 does not know "f16c" in __builtin_cpu_supports. That the system saves the wide registers is part of its
// "avx2" and "avx512f".
bool supports_f16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

struct feature {
  std::string_view name;
  bool present;
};

std::string names_of_absent(std::span<const feature> features) {
  std::string names;
  for (const feature& one : features)
    if (!one.present) names += (names.empty() ? "" : ", ") + std::string(one.name);
  return names;
}

std::string lacked_by_avx2() {
  const feature features[] = {{"AVX2", __builtin_cpu_supports("avx2") != 0},
                              {"FMA", __builtin_cpu_supports("fma") != 0},
                              {"F16C", supports_f16c()}};
  return names_of_absent(features);
}

std::string lacked_by_avx512() {
  const feature features[] = {{"AVX-512 F", __builtin_cpu_supports("avx512f") != 0},
                              {"AVX-512 BW", __builtin_cpu_supports("avx512bw") != 0},
                              {"AVX-512 DQ", __builtin_cpu_supports("avx512dq") != 0},
                              {"AVX-512 VL", __builtin_cpu_supports("avx512vl") != 0},
                              {"AVX-512 VNNI", __builtin_cpu_supports("avx512vnni") != 0}};
  const std::string others = lacked_by_avx2();  // what the table shares with AVX2's
  const std::string own = names_of_absent(features);
  return others.empty() || own.empty() ? others + own : others + ", " + own;
}
#endif

struct all_tables {
  std::array<built_table, 4> built{};
  std::size_t n_built = 0;
  std::array<const table*, 4> runnable{};
  std::size_t n_runnable = 0;

  all_tables() {
    add({&reference(), "", ""});
#ifdef TROUPE_KERNELS_X86
    add({&avx2_table(), "AVX2, FMA and F16C", lacked_by_avx2()});
    add({&avx512_table(), "AVX-512 F, BW, DQ, VL and VNNI", lacked_by_avx512()});
#endif
  }

 private:
  void add(built_table one) {
    if (one.lacks.empty()) runnable[n_runnable++] = one.kernels;
    built[n_built++] = std::move(one);
  }
};

const all_tables& all() {
  static const all_tables once;
  return once;
}

}  // namespace

std::span<const table* const> available() {
  return {all().runnable.data(), all().n_runnable};
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
  std::string why = "There are no kernels \"" + std::string(isa) + "\" for this processor";
  for (std::size_t i = 0; i < all().n_built; ++i) {
    const built_table& one = all().built[i];
    if (one.kernels->isa == isa)
      why = "Kernels \"" + std::string(isa) + "\" need " + std::string(one.needs) + ", and this processor lacks " +
            one.lacks;
  }
  return make_error(errc::invalid_argument, why + "; there are: " + names + ".", "kernels");
}

}  // namespace troupe::kernels
