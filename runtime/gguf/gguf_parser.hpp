// The structure of a GGUF file, checked. Two walks: the first reads every entry and allocates nothing, so that the
// counts of the second are facts, not claims. Memory: at most four bytes for each byte that the entries take in the
// file. Cost: O(n log n) in the number of entries; tensor data is never touched.
#pragma once

#include "base/result.hpp"
#include "runtime/gguf/format.hpp"
#include "runtime/gguf/gguf_file.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::gguf {

/// One key and its value, still as bytes of the file.
struct metadata_entry {
  std::string_view key;
  const std::byte* payload = nullptr;   // the scalar, the string's first byte, or the array's first element
  std::uint64_t count = 0;              // elements of an array, bytes of a string, 1 for a scalar
  value_type type = value_type::u8;     // array for arrays
  value_type element = value_type::u8;  // of an array; for the rest, the type itself
  std::uint32_t strings = 0;            // index into contents::string_arrays for arrays of strings
};

struct contents {
  std::vector<metadata_entry> entries;        // in the file's order
  std::vector<std::uint32_t> entries_by_key;  // indices, sorted by key
  std::vector<std::vector<std::string_view>> string_arrays;
  std::vector<gguf_tensor> tensors;            // in the file's order
  std::vector<std::uint32_t> tensors_by_name;  // indices, sorted by name

  const metadata_entry* find_entry(std::string_view key) const;
  const gguf_tensor* find_tensor(std::string_view name) const;
};

/// Checks everything but the weights' values. `source` begins every error message. The contents point into `bytes`.
///   corrupt      the bytes break the format: truncation, counts or offsets past the end, duplicate keys or tensors,
///                tensors that overlap, booleans other than 0 and 1
///   unsupported  another version or byte order, an array of arrays, a tensor type that no kernel reads
result<contents> parse(std::span<const std::byte> bytes, std::string_view source);

/// A name from a file made fit for a message: valid UTF-8, no control characters, at most 80 bytes, in quotes.
std::string quoted(std::string_view name);

}  // namespace troupe::gguf
