// How often OpenSSL has asked for memory. Linking openssl_allocations.cpp is enough to count.
#pragma once

#include <cstdint>
#include <optional>

namespace troupe::test {

/// nullopt when OpenSSL had allocated something before anybody could count.
std::optional<std::uint64_t> n_openssl_allocations();

}  // namespace troupe::test
