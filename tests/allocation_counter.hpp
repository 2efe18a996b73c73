// What the test program has asked of operator new so far, freed memory included. Link allocation_counter.cpp with it.
#pragma once

#include <cstdint>

namespace troupe::test {

std::uint64_t allocated_bytes();
std::uint64_t n_allocations();

}  // namespace troupe::test
