// Uses everything a parsed file offers, as the loaders of model and tokenizer would, so that a pointer that strays is
// read. Shared by the hostile tests and the fuzzer.
#pragma once

#include "runtime/gguf/gguf_file.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

namespace troupe::test {

/// What parsing a file may allocate in all, freed memory included: no more than the file's size
/// (runtime/gguf/gguf_parser.hpp), beside the file object or an error's text.
constexpr std::uint64_t allowed_allocation(std::size_t file_bytes) {
  return std::uint64_t{file_bytes} + 4096;
}

inline std::vector<std::string_view> listed(const gguf_strings& strings) {
  std::vector<std::string_view> list;
  for (const std::string_view text : strings)
    list.push_back(text);
  return list;
}

/// A number that depends on all bytes seen, so that no read is optimised away. Aborts on a broken promise of the
/// reader.
inline std::uint64_t exercise(const gguf_file& file, std::span<const std::byte> bytes) {
  std::uint64_t sum = 0;
  const auto demand = [](bool kept) {
    if (!kept) std::abort();
  };
  const auto read = [&sum](std::string_view text) {
    for (const char c : text)
      sum = sum * 31 + static_cast<unsigned char>(c);
  };
  demand(file.size_bytes() == bytes.size());
  for (std::size_t i = 0; i < file.n_keys(); ++i) {
    const std::string_view key = file.key(i);
    read(key);
    sum += file.get_uint(key).value_or(1);
    sum += file.get_float(key).has_value() ? 1 : 0;
    sum += file.get_bool(key).value_or(false) ? 1 : 0;
    if (const auto text = file.get_string(key)) read(*text);
    if (const auto texts = file.get_strings(key))
      for (const std::string_view text : *texts)
        read(text);
    if (const auto ints = file.get_ints(key))
      for (const std::int32_t number : *ints)
        sum += static_cast<std::uint64_t>(number);
    if (const auto floats = file.get_floats(key)) sum += floats->size();
  }
  for (std::size_t i = 0; i < file.n_tensors(); ++i) {
    const gguf_tensor tensor = file.tensor(i);
    const auto found = file.find_tensor(tensor.name);
    demand(found && found->data.data() == tensor.data.data());
    demand(!tensor.dims.empty() && tensor.dims.size() <= 4 && !tensor.data.empty());
    demand(tensor.data.data() >= bytes.data() && tensor.data.size() <= bytes.size());
    std::uint64_t rows = 1;
    for (std::size_t d = 1; d < tensor.dims.size(); ++d)
      rows *= tensor.dims[d];
    demand(tensor.data.size() == rows * kernels::row_bytes(tensor.type, tensor.dims[0]));
    for (const std::byte b : tensor.data)
      sum = sum * 31 + std::to_integer<std::uint64_t>(b);
    file.release(tensor.data);
  }
  return sum;
}

}  // namespace troupe::test
