#include "runtime/gguf/gguf_reader.hpp"

#include "base/utf8.hpp"

#include <algorithm>
#include <cstring>

namespace troupe::gguf {
namespace {

using std::to_string;

// More weights than any disk holds, and few enough that four bytes for each cannot overflow.
constexpr std::uint64_t max_elements = std::uint64_t{1} << 56;

std::string describe(std::string_view what, std::string_view name) {
  return std::string(what) + (name.empty() ? "" : " " + quoted(name));
}

}  // namespace

error reader::truncated(std::string_view what, std::string_view name, std::uint64_t wanted) const {
  return fail(errc::corrupt, describe(what, name) + " at byte " + to_string(position_) + " needs " + to_string(wanted) +
                                 " bytes, but only " + to_string(remaining()) +
                                 " are left: the file is truncated or a length in it is wrong.");
}

template <class Number>
result<Number> reader::read_number(std::string_view what, std::string_view name) {
  if (remaining() < sizeof(Number)) return truncated(what, name, sizeof(Number));
  Number number;
  std::memcpy(&number, bytes_.data() + position_, sizeof(Number));
  position_ += sizeof(Number);
  return number;
}

result<std::string_view> reader::read_string(std::string_view what, std::string_view name, std::uint64_t min_bytes,
                                             std::uint64_t max_bytes) {
  const std::uint64_t start = position_;
  const auto length = read_number<std::uint64_t>(what, name);
  if (!length) return length.error();
  if (*length > remaining()) return truncated(what, name, *length);
  if (*length < min_bytes || *length > max_bytes)
    return fail(errc::corrupt, describe(what, name) + " at byte " + to_string(start) + " has " + to_string(*length) +
                                   " bytes; the format allows " + to_string(min_bytes) + " to " + to_string(max_bytes) +
                                   ".");
  const std::string_view text(reinterpret_cast<const char*>(bytes_.data() + position_), *length);
  position_ += *length;
  return text;
}

result<header> reader::read_header() {
  if (bytes_.size() < header_bytes)
    return fail(errc::corrupt, "a GGUF file has at least " + to_string(header_bytes) + " bytes, this one has " +
                                   to_string(bytes_.size()) + ".");
  if (std::memcmp(bytes_.data(), magic.data(), magic.size()) != 0)
    return fail(errc::corrupt, "this is not a GGUF file: it does not begin with the letters GGUF.");
  position_ = magic.size();
  const std::uint32_t file_version = *read_number<std::uint32_t>("the version");
  if ((file_version & 0xffff) == 0 && file_version != 0)
    return fail(errc::unsupported,
                "this GGUF file is big-endian; Troupe reads little-endian files. Convert it with gguf-py's "
                "gguf_convert_endian.");
  if (file_version != version)
    return fail(errc::unsupported, "this is GGUF version " + to_string(file_version) + "; Troupe reads version " +
                                       to_string(version) + ". Convert the model again with a current converter.");
  const header counts{*read_number<std::uint64_t>("the number of tensors"),
                      *read_number<std::uint64_t>("the number of keys")};
  const auto claims = [&](const std::string& reply) {
    return fail(errc::corrupt, "the header claims " + to_string(counts.n_tensors) + " tensors and " +
                                   to_string(counts.n_keys) + " keys; " + reply);
  };
  if (counts.n_keys > max_keys || counts.n_tensors > max_tensors)
    return claims("at most " + to_string(max_tensors) + " and " + to_string(max_keys) + " are allowed.");
  if (counts.n_keys * min_entry_bytes + counts.n_tensors * min_tensor_bytes > remaining())
    return claims("the " + to_string(bytes_.size()) +
                  " bytes of the file cannot hold so many: it is truncated or a count is wrong.");
  return counts;
}

result<metadata_entry> reader::read_entry() {
  metadata_entry entry;
  const auto key = read_key();
  if (!key) return key.error();
  entry.key = *key;
  const std::uint64_t type_position = position_;
  const auto type = read_number<std::uint32_t>("the type of key", *key);
  if (!type) return type.error();
  entry.type = entry.element = static_cast<value_type>(*type);

  if (entry.type == value_type::string) {
    const auto text = read_string("the value of key", *key, 0, bytes_.size());
    if (!text) return text.error();
    entry.payload = reinterpret_cast<const std::byte*>(text->data());
    entry.count = text->size();
    return entry;
  }
  if (entry.type == value_type::array) {
    if (const auto read = read_array(entry); !read) return read.error();
    return entry;
  }
  const std::size_t size = scalar_bytes(entry.type);
  if (size == 0)
    return fail(errc::corrupt, "the key " + quoted(*key) + " has the value type " + to_string(*type) + " at byte " +
                                   to_string(type_position) + "; the format has the types 0 to 12.");
  if (remaining() < size) return truncated("the value of key", *key, size);
  entry.payload = bytes_.data() + position_;
  entry.count = 1;
  position_ += size;
  if (const auto checked = check_booleans(entry); !checked) return checked.error();
  return entry;
}

result<> reader::read_array(metadata_entry& entry) {
  const std::uint64_t start = position_;
  const auto element = read_number<std::uint32_t>("the element type of key", entry.key);
  if (!element) return element.error();
  const auto count = read_number<std::uint64_t>("the element count of key", entry.key);
  if (!count) return count.error();
  entry.element = static_cast<value_type>(*element);
  entry.count = *count;
  entry.payload = bytes_.data() + position_;
  if (entry.element == value_type::array)
    return fail(errc::unsupported, "the key " + quoted(entry.key) + " at byte " + to_string(start) +
                                       " is an array of arrays; Troupe reads arrays of scalars and of strings.");
  const bool strings = entry.element == value_type::string;
  const std::size_t min_size = strings ? sizeof(std::uint64_t) : scalar_bytes(entry.element);
  if (min_size == 0)
    return fail(errc::corrupt, "the key " + quoted(entry.key) + " has the element type " + to_string(*element) +
                                   " at byte " + to_string(start) + "; the format has the types 0 to 12.");
  if (*count > remaining() / min_size)
    return fail(errc::corrupt, "the key " + quoted(entry.key) + " at byte " + to_string(start) + " claims " +
                                   to_string(*count) + " elements of at least " + to_string(min_size) +
                                   " bytes, but only " + to_string(remaining()) + " bytes are left.");
  return skip_elements(entry);
}

result<> reader::skip_elements(const metadata_entry& entry) {
  if (entry.element != value_type::string) {
    position_ += entry.count * scalar_bytes(entry.element);  // cannot overflow: checked against the remaining bytes
    return check_booleans(entry);
  }
  for (std::uint64_t i = 0; i < entry.count; ++i) {
    std::uint64_t length = 0;
    if (remaining() >= sizeof(length)) std::memcpy(&length, bytes_.data() + position_, sizeof(length));
    if (remaining() < sizeof(length) || length > remaining() - sizeof(length)) {
      return fail(errc::corrupt, "string " + to_string(i) + " of key " + quoted(entry.key) + " at byte " +
                                     to_string(position_) + " reaches past the end of the file at byte " +
                                     to_string(bytes_.size()) + ".");
    }
    position_ += sizeof(length) + length;
  }
  return {};
}

result<> reader::check_booleans(const metadata_entry& entry) const {
  if (entry.element != value_type::boolean) return {};
  const std::byte* end = entry.payload + entry.count;
  const std::byte* wrong = std::find_if(entry.payload, end, [](std::byte value) { return value > std::byte{1}; });
  if (wrong == end) return {};
  return fail(errc::corrupt, "the key " + quoted(entry.key) + " is boolean, but byte " +
                                 to_string(wrong - bytes_.data()) + " is " + to_string(std::to_integer<int>(*wrong)) +
                                 "; 0 and 1 are allowed.");
}

result<tensor_entry> reader::read_tensor() {
  tensor_entry tensor;
  const auto name = read_name();
  if (!name) return name.error();
  tensor.name = *name;
  if (const auto read = read_dims(tensor); !read) return read.error();
  const auto type = read_number<std::uint32_t>("the type of tensor", *name);
  if (!type) return type.error();
  const auto offset = read_number<std::uint64_t>("the offset of tensor", *name);
  if (!offset) return offset.error();
  tensor.offset = *offset;
  const auto known = find_weight_type(*type);
  if (!known) {
    const std::string_view type_name = ggml_type_name(*type);
    return fail(errc::unsupported,
                "the tensor " + quoted(*name) + " has the type " +
                    (type_name.empty() ? "number " + to_string(*type) : std::string(type_name)) +
                    "; Troupe reads F32, F16, BF16, Q8_0, Q4_0 and Q4_1. Quantise the model to one of these.");
  }
  tensor.type = *known;
  if (const auto measured = measure(tensor); !measured) return measured.error();
  return tensor;
}

result<> reader::read_dims(tensor_entry& tensor) {
  const std::uint64_t start = position_;
  const auto n_dims = read_number<std::uint32_t>("the number of dimensions of tensor", tensor.name);
  if (!n_dims) return n_dims.error();
  if (*n_dims < 1 || *n_dims > max_dims)
    return fail(errc::corrupt, "the tensor " + quoted(tensor.name) + " has " + to_string(*n_dims) +
                                   " dimensions at byte " + to_string(start) + "; the format allows 1 to " +
                                   to_string(max_dims) + ".");
  tensor.n_dims = *n_dims;
  for (std::uint32_t i = 0; i < *n_dims; ++i) {
    const auto dim = read_number<std::uint64_t>("a dimension of tensor", tensor.name);
    if (!dim) return dim.error();
    if (*dim == 0)
      return fail(errc::corrupt, "dimension " + to_string(i) + " of tensor " + quoted(tensor.name) +
                                     " is 0; every dimension must be at least 1.");
    tensor.dims[i] = *dim;
  }
  return {};
}

result<> reader::measure(tensor_entry& tensor) const {
  std::uint64_t elements = 1;
  for (std::uint32_t i = 0; i < tensor.n_dims; ++i)
    if (__builtin_mul_overflow(elements, tensor.dims[i], &elements) || elements > max_elements)
      return fail(errc::corrupt, "the dimensions of tensor " + quoted(tensor.name) + " multiply to more than " +
                                     to_string(max_elements) + " weights.");
  const std::uint64_t row = kernels::row_bytes(tensor.type, tensor.dims[0]);
  if (row == 0)
    return fail(errc::corrupt,
                "the rows of tensor " + quoted(tensor.name) + " have " + to_string(tensor.dims[0]) +
                    " weights; its type packs them in blocks of 32, so the row must be a multiple of 32.");
  tensor.size_bytes = elements / tensor.dims[0] * row;
  return {};
}

std::string quoted(std::string_view name) {
  constexpr std::size_t max_shown = 80;
  const bool cut = name.size() > max_shown;
  std::string shown = repair_utf8(name.substr(0, max_shown));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return "'" + shown + (cut ? "…'" : "'");
}

}  // namespace troupe::gguf
