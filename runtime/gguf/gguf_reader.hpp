// Reads the descriptions in a GGUF file, one after the other, and believes none of them: each count, length and product
// is checked before it is used. Allocates nothing but the text of an error.
#pragma once

#include "base/result.hpp"
#include "runtime/gguf/format.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace troupe::gguf {

struct header {
  std::uint64_t n_tensors = 0;
  std::uint64_t n_keys = 0;
};

/// One key and its value, still as bytes of the file.
struct metadata_entry {
  std::string_view key;
  const std::byte* payload = nullptr;   // the scalar, the string's first byte, or the array's first element
  std::uint64_t count = 0;              // elements of an array, bytes of a string, 1 for a scalar
  value_type type = value_type::u8;     // array for arrays
  value_type element = value_type::u8;  // of an array; for the rest, the type itself
};

struct tensor_entry {
  std::string_view name;
  std::array<std::uint64_t, max_dims> dims = {};
  std::uint32_t n_dims = 0;
  kernels::weight_type type = kernels::weight_type::f32;
  std::uint64_t offset = 0;  // from the start of the data
  std::uint64_t size_bytes = 0;
};

class reader {
 public:
  /// `source` begins every error message.
  reader(std::span<const std::byte> bytes, std::string_view source, std::uint64_t position = 0)
      : bytes_(bytes), source_(source), position_(position) {}

  /// At most bytes.size().
  std::uint64_t position() const { return position_; }

  /// At position 0. The counts are possible ones: so many of the smallest entries would fit into the file.
  result<header> read_header();
  result<metadata_entry> read_entry();
  result<tensor_entry> read_tensor();
  /// What an entry and a tensor begin with.
  result<std::string_view> read_key() { return read_string("a key", {}, 1, max_key_bytes); }
  result<std::string_view> read_name() { return read_string("a tensor's name", {}, 1, max_tensor_name_bytes); }

  error fail(errc code, std::string sentence) const { return make_error(code, std::string(source_) + ": " + sentence); }

 private:
  std::uint64_t remaining() const { return bytes_.size() - position_; }
  // A field's description is put together only when it is needed: "the type of key", 'x'.
  error truncated(std::string_view what, std::string_view name, std::uint64_t wanted) const;
  template <class Number>
  result<Number> read_number(std::string_view what, std::string_view name = {});
  result<std::string_view> read_string(std::string_view what, std::string_view name, std::uint64_t min_bytes,
                                       std::uint64_t max_bytes);

  result<> read_array(metadata_entry& entry);
  result<> skip_elements(const metadata_entry& entry);
  result<> check_booleans(const metadata_entry& entry) const;
  result<> read_dims(tensor_entry& tensor);
  result<> measure(tensor_entry& tensor) const;

  std::span<const std::byte> bytes_;
  std::string_view source_;
  std::uint64_t position_;
};

/// A name from a file made fit for a message: valid UTF-8, no control characters, at most 80 bytes, in quotes.
std::string quoted(std::string_view name);

}  // namespace troupe::gguf
