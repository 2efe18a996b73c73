// Randomness that an adversary cannot guess, from the operating system. The handshake takes its nonces as arguments; in
// a live node they come from here, in a test from a seed.
#pragma once

#include "base/result.hpp"
#include "transport/security/handshake_messages.hpp"

#include <cstddef>
#include <span>

namespace troupe::transport {

/// internal when the system has no randomness to give; the bytes are then worth nothing.
result<> fill_with_secure_random(std::span<std::byte> bytes);

/// A nonce for one handshake. Never use one twice: fresh nonces are what a replay fails on.
result<handshake_nonce> fresh_nonce();

}  // namespace troupe::transport
