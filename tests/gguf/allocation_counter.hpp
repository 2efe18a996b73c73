// How many bytes the test program has asked of operator new so far, freed ones included.
#pragma once

#include <cstdint>

namespace troupe::test {

std::uint64_t allocated_bytes();

}  // namespace troupe::test
