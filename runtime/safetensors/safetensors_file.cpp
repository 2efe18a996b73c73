#include "runtime/safetensors/safetensors_file.hpp"

#include "base/utf8.hpp"
#include "runtime/safetensors/header_parser.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace troupe {
namespace {

using namespace safetensors;

static_assert(std::endian::native == std::endian::little, "the file's numbers are little-endian");

constexpr std::size_t length_bytes = 8;

error corrupt(std::string sentence) {
  return make_error(errc::corrupt, std::move(sentence));
}

std::string shown(const safetensor& tensor) {
  return "\"" + repair_utf8(std::string_view(tensor.name).substr(0, 64)) + "\"";
}

/// The header's length, when the file has so much.
result<std::size_t> header_size(std::span<const std::byte> file) {
  std::uint64_t n = 0;
  if (file.size() < length_bytes)
    return corrupt("The file has " + std::to_string(file.size()) + " bytes; its header alone takes more.");
  std::memcpy(&n, file.data(), length_bytes);
  if (n > max_header_bytes)
    return make_error(errc::too_large, "The header should have " + std::to_string(n) + " bytes; at most " +
                                           std::to_string(max_header_bytes) + " are read.");
  if (n > file.size() - length_bytes)
    return corrupt("The header should have " + std::to_string(n) + " bytes, and the file ends after " +
                   std::to_string(file.size() - length_bytes) + ".");
  return static_cast<std::size_t>(n);
}

/// The bytes are those of the shape.
result<> check_size(const safetensor& tensor, std::uint64_t data_bytes) {
  if (tensor.begin > tensor.end || tensor.end > data_bytes)
    return corrupt("The tensor " + shown(tensor) + " lies at bytes " + std::to_string(tensor.begin) + " to " +
                   std::to_string(tensor.end) + ", and there are " + std::to_string(data_bytes) + ".");
  std::uint64_t bytes = element_bytes(tensor.dtype);
  for (const std::uint64_t n : tensor.shape)
    if (__builtin_mul_overflow(bytes, n, &bytes))
      return corrupt("The tensor " + shown(tensor) + " has a shape of more bytes than 64 bits can count.");
  if (bytes != tensor.end - tensor.begin)
    return corrupt("The tensor " + shown(tensor) + " has " + std::to_string(tensor.end - tensor.begin) +
                   " bytes; its shape and type make " + std::to_string(bytes) + ".");
  return {};
}

/// The tensors fill the data, one after the other.
result<> check_places(const std::vector<safetensor>& tensors, std::uint64_t data_bytes) {
  std::vector<const safetensor*> in_order;
  for (const safetensor& tensor : tensors)
    in_order.push_back(&tensor);
  std::ranges::sort(in_order, {}, [](const safetensor* tensor) { return std::pair(tensor->begin, tensor->end); });
  std::uint64_t end = 0;
  for (const safetensor* tensor : in_order) {
    if (tensor->begin != end)
      return corrupt("The tensor " + shown(*tensor) + " begins at byte " + std::to_string(tensor->begin) +
                     (tensor->begin < end ? ", inside the one before it that ends at " : ", past a gap from byte ") +
                     std::to_string(end) + ".");
    end = tensor->end;
  }
  if (end != data_bytes)
    return corrupt("The tensors end at byte " + std::to_string(end) + ", and there are " + std::to_string(data_bytes) +
                   ".");
  return {};
}

}  // namespace

std::string_view to_string(tensor_dtype dtype) {
  constexpr std::string_view names[] = {"BOOL", "U8",  "I8",  "F8",  "U16", "I16", "F16",
                                        "BF16", "U32", "I32", "F32", "U64", "I64", "F64"};
  return names[static_cast<std::size_t>(dtype)];
}

std::optional<kernels::weight_type> safetensor::as_weights() const {
  switch (dtype) {
    case tensor_dtype::f32:
      return kernels::weight_type::f32;
    case tensor_dtype::f16:
      return kernels::weight_type::f16;
    case tensor_dtype::bf16:
      return kernels::weight_type::bf16;
    default:
      return std::nullopt;
  }
}

result<safetensors_file> safetensors_file::open(const std::filesystem::path& path) {
  auto mapped = mapped_file::open(path);
  if (!mapped) return mapped.error();
  const auto in_file = [&](error failure) {
    failure.message = path.string() + ": " + failure.message;
    return failure;
  };
  safetensors_file file(std::move(*mapped));
  const auto bytes = file.file_.bytes();
  const auto n = header_size(bytes);
  if (!n) return in_file(n.error());
  auto tensors = parse_header({reinterpret_cast<const char*>(bytes.data()) + length_bytes, *n});
  if (!tensors) return in_file(tensors.error());
  file.data_begin_ = length_bytes + *n;
  const std::uint64_t data_bytes = bytes.size() - file.data_begin_;
  for (const safetensor& tensor : *tensors)
    if (const auto fits = check_size(tensor, data_bytes); !fits) return in_file(fits.error());
  if (const auto placed = check_places(*tensors, data_bytes); !placed) return in_file(placed.error());
  std::ranges::sort(*tensors, {}, &safetensor::name);
  const auto twice = std::ranges::adjacent_find(*tensors, {}, &safetensor::name);
  if (twice != tensors->end()) return in_file(corrupt("The tensor " + shown(*twice) + " is there twice."));
  file.tensors_ = std::move(*tensors);
  return file;
}

const safetensor* safetensors_file::find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(tensors_, name, {}, &safetensor::name);
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

std::span<const std::byte> safetensors_file::data(const safetensor& tensor) const {
  return file_.bytes().subspan(data_begin_ + tensor.begin, tensor.end - tensor.begin);
}

}  // namespace troupe
