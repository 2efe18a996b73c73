// Changes GGUF files where it hurts: the counts, lengths, types, dimensions and offsets of their structure. Blind
// mutation seldom gets past the first string; this reaches the tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace troupe::test {

/// A valid file of at most some kilobytes, another for each seed: keys of all types, tensors of all types.
std::vector<std::byte> random_gguf(std::uint64_t seed);

/// Changes one or a few fields in place; a function of the seed. Returns false when no field was found.
bool mutate_fields(std::span<std::byte> file, std::uint64_t seed);

}  // namespace troupe::test
