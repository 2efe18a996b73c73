// The structure of a GGUF file, checked, and where its keys and tensors are. The values stay in the file and are read
// from it when they are asked for. Memory: 8 bytes a key and 24 a tensor, which take at least 14 and 33 bytes in the
// file. Cost: O(n log n) in the number of entries; tensor data is never touched.
#pragma once

#include "base/result.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/gguf/gguf_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace troupe::gguf {

struct contents {
  std::span<const std::byte> bytes;
  std::vector<std::uint32_t> entries;          // the offset of each key's entry, in the file's order
  std::vector<std::uint32_t> entries_by_key;   // the same, sorted by key
  std::vector<std::uint32_t> tensors;          // the offset of each tensor's description, in the file's order
  std::vector<std::uint32_t> tensors_by_name;  // the same, sorted by name
  std::uint64_t data_start = 0;                // at most bytes.size() where there is a tensor

  // Offsets are those of the vectors above.
  std::string_view key_at(std::uint32_t offset) const { return *reader(bytes, {}, offset).read_key(); }
  std::string_view name_at(std::uint32_t offset) const { return *reader(bytes, {}, offset).read_name(); }
  metadata_entry entry_at(std::uint32_t offset) const { return *reader(bytes, {}, offset).read_entry(); }
  gguf_tensor tensor_at(std::uint32_t offset) const;
  std::optional<metadata_entry> find_entry(std::string_view key) const;
  std::optional<gguf_tensor> find_tensor(std::string_view name) const;
};

/// Checks everything but the weights' values. `source` begins every error message. The contents point into `bytes`.
///   corrupt      the bytes break the format: truncation, counts or offsets past the end, duplicate keys or tensors,
///                tensors that overlap, booleans other than 0 and 1
///   unsupported  another version or byte order, an array of arrays, a tensor type that no kernel reads, descriptions
///                of more than 4 GiB
result<contents> parse(std::span<const std::byte> bytes, std::string_view source);

}  // namespace troupe::gguf
