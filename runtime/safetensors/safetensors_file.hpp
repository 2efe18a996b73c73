// A safetensors file: eight bytes with the length of a JSON header, the header, and the tensors one after the other
// (huggingface.co/docs/safetensors, format 0.4). The file is mapped and its tensors are views into it.
//
// The file is hostile until checked: the header is bounded and must have the format's shape and nothing else, each
// tensor's bytes must be those of its type and shape, and together they must fill the rest of the file with neither
// gaps nor overlaps, as the format asks. Opening costs one pass over the header, in memory about four times its size.
#pragma once

#include "base/result.hpp"
#include "kernels/types.hpp"
#include "runtime/gguf/mapped_file.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

enum class tensor_dtype : std::uint8_t { boolean, u8, i8, f8, u16, i16, f16, bf16, u32, i32, f32, u64, i64, f64 };

std::string_view to_string(tensor_dtype dtype);

struct safetensor {
  std::string name;
  tensor_dtype dtype = tensor_dtype::f32;
  std::vector<std::uint64_t> shape;  // the last dimension runs fastest; none: a scalar
  std::uint64_t begin = 0, end = 0;  // bytes after the header

  /// What the kernels call this type; nothing for types that are no weights.
  std::optional<kernels::weight_type> as_weights() const;
};

class safetensors_file {
 public:
  /// Errors: not_found or unavailable as mapped_file says, corrupt with what is wrong and where, too_large, unsupported
  /// for a type of tensor that is not known.
  static result<safetensors_file> open(const std::filesystem::path& path);

  std::size_t size() const { return tensors_.size(); }
  /// In order of name.
  std::span<const safetensor> tensors() const { return tensors_; }
  const safetensor* find(std::string_view name) const;
  std::span<const std::byte> data(const safetensor& tensor) const;

  /// Gives the memory behind a tensor back to the kernel, as mapped_file does.
  void release(const safetensor& tensor) const { file_.release(data(tensor)); }

 private:
  explicit safetensors_file(mapped_file file) : file_(std::move(file)) {}

  mapped_file file_;
  std::size_t data_begin_ = 0;
  std::vector<safetensor> tensors_;
};

}  // namespace troupe
