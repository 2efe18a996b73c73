// A checked, memory-mapped reader of GGUF version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
// The file's author is hostile until proven otherwise: every count, length, offset and product is checked against the
// file's size before anything is allocated or read, and what is allocated stays below the file's size. Values are read
// from the mapping when they are asked for.
#pragma once

#include "base/result.hpp"
#include "kernels/types.hpp"
#include "runtime/gguf/content_digest.hpp"
#include "runtime/gguf/gguf_strings.hpp"
#include "runtime/gguf/mapped_file.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
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

namespace gguf {
struct contents;
struct metadata_entry;
}  // namespace gguf

class gguf_file {
 public:
  /// Maps and checks the whole file's structure. Errors name the path, what was wrong and, where there is one, the
  /// offset.
  static result<std::shared_ptr<const gguf_file>> open(const std::filesystem::path& path);
  /// The same on bytes that the caller keeps alive (tests, fuzzing).
  static result<std::shared_ptr<const gguf_file>> parse(std::span<const std::byte> bytes);
  ~gguf_file();

  /// Keys and tensors are numbered in the file's order.
  std::size_t n_keys() const;
  std::string_view key(std::size_t i) const;
  std::size_t n_tensors() const;
  gguf_tensor tensor(std::size_t i) const;
  std::optional<gguf_tensor> find_tensor(std::string_view name) const;

  /// Scalars by the type asked for; any integer type of the file converts if the value fits. nullopt: absent or another
  /// type.
  std::optional<std::uint64_t> get_uint(std::string_view key) const;
  std::optional<double> get_float(std::string_view key) const;
  std::optional<bool> get_bool(std::string_view key) const;
  /// Strings are views into the mapping.
  std::optional<std::string_view> get_string(std::string_view key) const;
  std::optional<gguf_strings> get_strings(std::string_view key) const;
  /// Arrays of numbers are copies.
  std::optional<std::vector<std::int32_t>> get_ints(std::string_view key) const;
  std::optional<std::vector<float>> get_floats(std::string_view key) const;

  std::uint64_t size_bytes() const;
  content_digest digest() const;
  /// Tells the kernel that these bytes will not be read again soon (they were repacked).
  void release(std::span<const std::byte> bytes) const;

 private:
  gguf_file(std::unique_ptr<const gguf::contents> contents, std::optional<mapped_file> mapping);
  std::optional<gguf::metadata_entry> find_array(std::string_view key) const;
  template <class Number, class Read>
  std::optional<std::vector<Number>> read_elements(std::string_view key, Read read) const;

  std::unique_ptr<const gguf::contents> contents_;
  std::optional<mapped_file> mapping_;
};

}  // namespace troupe
