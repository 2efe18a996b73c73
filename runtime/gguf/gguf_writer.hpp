// Builds GGUF version 3 files: tiny models for tests, inputs for the fuzzer, models that were edited.
// Everything is held in memory until build() or write().
#pragma once

#include "base/result.hpp"
#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace troupe {

/// A value with exactly the type it gets in the file.
using gguf_value =
    std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t, float, bool,
                 std::string, std::uint64_t, std::int64_t, double, std::vector<std::uint8_t>, std::vector<std::int8_t>,
                 std::vector<std::uint32_t>, std::vector<std::int32_t>, std::vector<float>, std::vector<std::string>>;

class gguf_writer {
 public:
  /// Alignment of the tensors' data: a power of two from 8 to 1 MiB. One other than 32 is written as general.alignment.
  explicit gguf_writer(std::uint32_t alignment = 32);

  /// Keys and tensors keep their order. A name used twice is a programmer's error.
  void add(std::string_view key, gguf_value value);
  /// `data` holds the whole tensor, rows in order; dims[0] runs fastest. See kernels::row_bytes for its size.
  void add_tensor(std::string_view name, kernels::weight_type type, std::vector<std::uint64_t> dims,
                  std::vector<std::byte> data);

  std::vector<std::byte> build() const;
  /// Writes beside the path and renames, so that a reader never sees half a file.
  result<> write(const std::filesystem::path& path) const;

 private:
  struct entry {
    std::string key;
    gguf_value value;
  };
  struct tensor {
    std::string name;
    kernels::weight_type type;
    std::vector<std::uint64_t> dims;
    std::vector<std::byte> data;
  };

  std::uint32_t alignment_;
  std::vector<entry> entries_;
  std::vector<tensor> tensors_;
};

}  // namespace troupe
