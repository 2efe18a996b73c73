#include "runtime/kv/kv_storage.hpp"

#include "catch.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <string>

using namespace troupe;

namespace {

// Resident bytes of this process, from the kernel.
std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * 4096;
}

}  // namespace

TEST_CASE("every block is aligned, apart from the others and part of its contiguous block", "[kv][kv_storage]") {
  for (const kernels::kv_layout layout :
       {kernels::kv_layout{kernels::kv_type::f16, 3, 64}, kernels::kv_layout{kernels::kv_type::f32, 1, 1},
        kernels::kv_layout{kernels::kv_type::f16, 1, 1}}) {
    auto storage = kv_storage::create(layout, 5, 7);
    REQUIRE(storage);
    CHECK(storage->block_bytes() == kv_storage::bytes_per_block(layout, 5));
    CHECK(storage->total_bytes() == 7 * storage->block_bytes());
    std::set<std::byte*> starts;
    for (std::uint32_t index = 0; index < 7; ++index) {
      const auto whole = storage->block(index);
      for (std::uint32_t layer = 0; layer < 5; ++layer) {
        for (std::byte* part : {storage->k_block(layer, index), storage->v_block(layer, index)}) {
          CHECK(reinterpret_cast<std::uintptr_t>(part) % 64 == 0);
          CHECK(part >= whole.data());
          CHECK(part + layout.block_bytes() <= whole.data() + whole.size());
          CHECK(std::all_of(part, part + layout.block_bytes(), [](std::byte b) { return b == std::byte{}; }));
          starts.insert(part);
          std::memset(part, static_cast<int>(starts.size()), layout.block_bytes());
        }
      }
    }
    CHECK(starts.size() == 70);
    std::set<std::byte> values;
    for (std::byte* part : starts) {
      CHECK(std::all_of(part, part + layout.block_bytes(), [&](std::byte b) { return b == *part; }));
      values.insert(*part);
    }
    CHECK(values.size() == 70);
  }
}

TEST_CASE("untouched blocks cost no memory", "[kv][kv_storage]") {
  const kernels::kv_layout layout{kernels::kv_type::f16, 3, 64};
  const std::size_t before = resident_bytes();
  auto storage = kv_storage::create(layout, 30, 16'384);
  REQUIRE(storage);
  REQUIRE(storage->total_bytes() > std::size_t{5} << 30);
  std::ranges::fill(storage->block(9'000), std::byte{1});
  CHECK(resident_bytes() - before < 2 * storage->block_bytes() + (std::size_t{32} << 20));
}

TEST_CASE("sizes that make no sense are refused", "[kv][kv_storage]") {
  constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
  using kernels::kv_type;
  const kernels::kv_layout good{kv_type::f16, 3, 64};
  CHECK_FALSE(kv_storage::create({kv_type::f16, 0, 64}, 1, 1));
  CHECK_FALSE(kv_storage::create({kv_type::f16, 3, 0}, 1, 1));
  CHECK_FALSE(kv_storage::create(good, 0, 1));
  CHECK_FALSE(kv_storage::create(good, 1, 0));
  CHECK_FALSE(kv_storage::create({kv_type::f32, most, most}, 1, 1));
  const auto huge = kv_storage::create(good, most, most);
  REQUIRE_FALSE(huge);
  CHECK_FALSE(huge.error().message.empty());
}

TEST_CASE("storage moves", "[kv][kv_storage]") {
  const kernels::kv_layout layout{kernels::kv_type::f16, 1, 16};
  auto first = kv_storage::create(layout, 2, 3);
  auto second = kv_storage::create(layout, 1, 1);
  REQUIRE(first);
  REQUIRE(second);
  first->block(2)[0] = std::byte{42};
  *second = std::move(*first);
  CHECK(second->n_blocks() == 3);
  CHECK(second->block(2)[0] == std::byte{42});
  const kv_storage third = std::move(*second);
  CHECK(third.block(2)[0] == std::byte{42});
}
