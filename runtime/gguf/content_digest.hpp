// Tells one model's content from another's without reading all of it.
//
// xxh3-128 of the metadata, the tensor table and some pages of each tensor, spread over it from its first to its last
// byte: another file, another quantisation and another fine-tuning differ there. Whoever changes single weights on
// purpose is not found out; that takes a hash of the whole file (runtime/store).
//
// Cost: at most 64 KiB read and hashed for each tensor, some milliseconds for a model of 135 million weights.
#pragma once

#include <cstdint>

namespace troupe {

struct content_digest {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const content_digest&, const content_digest&) = default;
};

namespace gguf {

struct contents;
content_digest compute_digest(const contents& contents);

}  // namespace gguf
}  // namespace troupe
