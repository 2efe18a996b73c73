// The intrinsics that the files of this folder are written in. tests/kernels compiles them a second time with
// TROUPE_EMULATED_INTRINSICS naming a header that acts them out in AVX2, so that a machine without AVX-512 can test
// them.
#pragma once

#ifdef TROUPE_EMULATED_INTRINSICS
#include TROUPE_EMULATED_INTRINSICS
#else
#include <immintrin.h>
#endif
