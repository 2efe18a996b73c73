// A checked, memory-mapped reader of GGUF version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
// The file's author is hostile until proven otherwise: every count, length, offset and product is checked against the
// file's size before anything is allocated or read.
#pragma once

#include "base/result.hpp"
#include "kernels/types.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// A tensor of the file. dims[0] runs fastest: a weight matrix (n_out, n_in) has dims {n_in, n_out}.
struct gguf_tensor {
  std::string_view name;
  kernels::weight_type type = kernels::weight_type::f32;
  std::vector<std::uint64_t> dims;  // 1 to 4, each at least 1
  std::span<const std::byte> data;  // inside the mapping
};

class gguf_file {
 public:
  /// Maps and checks the whole file's structure. Errors name the path, what was wrong and, where there is one, the
  /// offset.
  static result<std::shared_ptr<const gguf_file>> open(const std::filesystem::path& path);
  /// The same on bytes that the caller keeps alive (tests, fuzzing).
  static result<std::shared_ptr<const gguf_file>> parse(std::span<const std::byte> bytes);
  virtual ~gguf_file() = default;

  /// Scalars by the type asked for; any integer type of the file converts if the value fits. nullopt: absent or another
  /// type.
  virtual std::optional<std::uint64_t> get_uint(std::string_view key) const = 0;
  virtual std::optional<double> get_float(std::string_view key) const = 0;
  virtual std::optional<bool> get_bool(std::string_view key) const = 0;
  virtual std::optional<std::string_view> get_string(std::string_view key) const = 0;
  /// Arrays are views into the mapping where the layout allows, else copies made once.
  virtual const std::vector<std::string_view>* get_strings(std::string_view key) const = 0;
  virtual std::optional<std::vector<std::int32_t>> get_ints(std::string_view key) const = 0;
  virtual std::optional<std::vector<float>> get_floats(std::string_view key) const = 0;
  virtual std::vector<std::string_view> keys() const = 0;

  virtual const gguf_tensor* find_tensor(std::string_view name) const = 0;
  virtual std::span<const gguf_tensor> tensors() const = 0;

  virtual std::uint64_t size_bytes() const = 0;
  /// Tells the kernel that these bytes will not be read again soon (they were repacked).
  virtual void release(std::span<const std::byte> bytes) const = 0;
};

}  // namespace troupe
