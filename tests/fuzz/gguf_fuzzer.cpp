// libFuzzer on the GGUF reader: whatever the bytes, no crash, no read outside them, and no more memory than their size
// allows. It makes its own seeds, so it needs no corpus:
//
//   cmake --preset fuzz && ninja -C build/fuzz gguf_fuzzer
//   build/fuzz/tests/fuzz/gguf_fuzzer -runs=1000000 -max_len=32768 -malloc_limit_mb=64
#include "gguf/exercise.hpp"
#include "gguf_mutator.hpp"
#include "runtime/gguf/format.hpp"
#include "runtime/gguf/gguf_file.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sanitizer/allocator_interface.h>

namespace {

thread_local bool counting = false;
thread_local std::uint64_t counted_bytes = 0;

void on_malloc(const volatile void*, std::size_t size) {
  if (counting) counted_bytes += size;
}
void on_free(const volatile void*) {}

// Of sixteen mutations one starts anew from a valid file, one truncates, eight change the structure, six are
// libFuzzer's own.
constexpr unsigned n_kinds = 16;
constexpr unsigned restart = 0;
constexpr unsigned truncation = 1;
constexpr unsigned first_of_fields = 2;
constexpr unsigned first_of_libfuzzer = 10;

}  // namespace

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if (__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) == 0) std::abort();
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  const unsigned kind = seed % n_kinds;
  const auto file = std::as_writable_bytes(std::span(data, size));
  if (size < troupe::gguf::header_bytes || kind == restart) {
    const auto fresh = troupe::test::random_gguf(seed);
    if (fresh.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
    std::memcpy(data, fresh.data(), fresh.size());
    return fresh.size();
  }
  if (kind == truncation) return 1 + seed / n_kinds % size;
  if (kind >= first_of_fields && kind < first_of_libfuzzer && troupe::test::mutate_fields(file, seed)) return size;
  return LLVMFuzzerMutate(data, size, max_size);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  counted_bytes = 0;
  counting = true;
  const auto file = troupe::gguf_file::parse(bytes);
  counting = false;
  if (counted_bytes > troupe::test::allowed_allocation(size)) {
    std::fprintf(stderr, "parsing %zu bytes allocated %llu\n", size, static_cast<unsigned long long>(counted_bytes));
    std::abort();
  }
  if (file)
    troupe::test::exercise(**file, bytes);
  else if (file.error().message.empty())
    std::abort();
  return 0;
}
