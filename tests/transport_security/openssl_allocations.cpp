#include "openssl_allocations.hpp"

#include <atomic>
#include <cstdlib>

#include <openssl/crypto.h>

namespace troupe::test {
namespace {

std::atomic<std::uint64_t> n_allocations{0};

void* counted_malloc(std::size_t size, const char*, int) {
  ++n_allocations;
  return std::malloc(size);
}

void* counted_realloc(void* old, std::size_t size, const char*, int) {
  ++n_allocations;
  return std::realloc(old, size);
}

void plain_free(void* block, const char*, int) {
  std::free(block);
}

// OpenSSL takes other functions only before its first allocation.
const bool counting = CRYPTO_set_mem_functions(counted_malloc, counted_realloc, plain_free) == 1;

}  // namespace

std::optional<std::uint64_t> n_openssl_allocations() {
  return counting ? std::optional(n_allocations.load()) : std::nullopt;
}

}  // namespace troupe::test
