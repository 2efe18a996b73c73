#include "runtime/gguf/gguf_file.hpp"

#include "runtime/gguf/gguf_parser.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

namespace troupe {
namespace {

using gguf::metadata_entry;
using gguf::value_type;

template <class Number>
Number load(const std::byte* from) {
  Number number;
  std::memcpy(&number, from, sizeof(Number));
  return number;
}

// An integer of any width and sign, as one that holds them all: the value, or the value and the word that it is
// negative.
struct integer {
  std::uint64_t bits = 0;  // two's complement
  bool negative = false;
};

template <class Number>
integer load_integer(const std::byte* from) {
  const auto number = load<Number>(from);
  return {static_cast<std::uint64_t>(number), std::cmp_less(number, 0)};
}

std::optional<integer> read_integer(value_type type, const std::byte* from) {
  switch (type) {
    case value_type::u8:
      return load_integer<std::uint8_t>(from);
    case value_type::i8:
      return load_integer<std::int8_t>(from);
    case value_type::u16:
      return load_integer<std::uint16_t>(from);
    case value_type::i16:
      return load_integer<std::int16_t>(from);
    case value_type::u32:
      return load_integer<std::uint32_t>(from);
    case value_type::i32:
      return load_integer<std::int32_t>(from);
    case value_type::u64:
      return load_integer<std::uint64_t>(from);
    case value_type::i64:
      return load_integer<std::int64_t>(from);
    default:
      return std::nullopt;
  }
}

std::optional<double> read_floating(value_type type, const std::byte* from) {
  if (type == value_type::f32) return load<float>(from);
  if (type == value_type::f64) return load<double>(from);
  return std::nullopt;
}

std::optional<std::int32_t> to_int32(integer value) {
  constexpr auto max = std::numeric_limits<std::int32_t>::max();
  constexpr auto min = std::numeric_limits<std::int32_t>::min();
  if (value.negative) {
    const auto number = static_cast<std::int64_t>(value.bits);
    if (number < min) return std::nullopt;
    return static_cast<std::int32_t>(number);
  }
  if (value.bits > static_cast<std::uint64_t>(max)) return std::nullopt;
  return static_cast<std::int32_t>(value.bits);
}

std::optional<float> to_float(double value) {
  if (std::isfinite(value) && std::abs(value) > static_cast<double>(std::numeric_limits<float>::max()))
    return std::nullopt;
  return static_cast<float>(value);
}

}  // namespace

gguf_file::gguf_file(std::unique_ptr<const gguf::contents> contents, std::optional<mapped_file> mapping)
    : contents_(std::move(contents)), mapping_(std::move(mapping)) {}

gguf_file::~gguf_file() = default;

result<std::shared_ptr<const gguf_file>> gguf_file::open(const std::filesystem::path& path) {
  auto mapping = mapped_file::open(path);
  if (!mapping) return mapping.error();
  auto contents = gguf::parse(mapping->bytes(), path.string());
  if (!contents) return contents.error();
  return std::shared_ptr<const gguf_file>(
      new gguf_file(std::make_unique<const gguf::contents>(*std::move(contents)), *std::move(mapping)));
}

result<std::shared_ptr<const gguf_file>> gguf_file::parse(std::span<const std::byte> bytes) {
  auto contents = gguf::parse(bytes, "GGUF data");
  if (!contents) return contents.error();
  return std::shared_ptr<const gguf_file>(
      new gguf_file(std::make_unique<const gguf::contents>(*std::move(contents)), std::nullopt));
}

std::size_t gguf_file::n_keys() const {
  return contents_->entries.size();
}

std::string_view gguf_file::key(std::size_t i) const {
  return contents_->key_at(contents_->entries[i]);
}

std::size_t gguf_file::n_tensors() const {
  return contents_->tensors.size();
}

gguf_tensor gguf_file::tensor(std::size_t i) const {
  return contents_->tensor_at(contents_->tensors[i]);
}

std::optional<gguf_tensor> gguf_file::find_tensor(std::string_view name) const {
  return contents_->find_tensor(name);
}

std::optional<std::uint64_t> gguf_file::get_uint(std::string_view key) const {
  const auto entry = contents_->find_entry(key);
  const auto value = entry ? read_integer(entry->type, entry->payload) : std::nullopt;
  if (!value || value->negative) return std::nullopt;
  return value->bits;
}

std::optional<double> gguf_file::get_float(std::string_view key) const {
  const auto entry = contents_->find_entry(key);
  return entry ? read_floating(entry->type, entry->payload) : std::nullopt;
}

std::optional<bool> gguf_file::get_bool(std::string_view key) const {
  const auto entry = contents_->find_entry(key);
  if (!entry || entry->type != value_type::boolean) return std::nullopt;
  return *entry->payload != std::byte{0};
}

std::optional<std::string_view> gguf_file::get_string(std::string_view key) const {
  const auto entry = contents_->find_entry(key);
  if (!entry || entry->type != value_type::string) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(entry->payload), entry->count);
}

std::optional<metadata_entry> gguf_file::find_array(std::string_view key) const {
  const auto entry = contents_->find_entry(key);
  return entry && entry->type == value_type::array ? entry : std::nullopt;
}

std::optional<gguf_strings> gguf_file::get_strings(std::string_view key) const {
  const auto entry = find_array(key);
  if (!entry || entry->element != value_type::string) return std::nullopt;
  return gguf_strings(entry->payload, entry->count);
}

template <class Number, class Read>
std::optional<std::vector<Number>> gguf_file::read_elements(std::string_view key, Read read) const {
  const auto entry = find_array(key);
  if (!entry || entry->element == value_type::string) return std::nullopt;
  const std::size_t step = gguf::scalar_bytes(entry->element);
  // An array of another type says so at its first element, before anything is reserved.
  if (entry->count > 0 && !read(entry->element, entry->payload)) return std::nullopt;
  std::vector<Number> numbers;
  numbers.reserve(entry->count);
  for (std::uint64_t i = 0; i < entry->count; ++i) {
    const auto number = read(entry->element, entry->payload + i * step);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

std::optional<std::vector<std::int32_t>> gguf_file::get_ints(std::string_view key) const {
  return read_elements<std::int32_t>(key, [](value_type type, const std::byte* from) -> std::optional<std::int32_t> {
    const auto value = read_integer(type, from);
    return value ? to_int32(*value) : std::nullopt;
  });
}

std::optional<std::vector<float>> gguf_file::get_floats(std::string_view key) const {
  return read_elements<float>(key, [](value_type type, const std::byte* from) -> std::optional<float> {
    const auto value = read_floating(type, from);
    return value ? to_float(*value) : std::nullopt;
  });
}

std::uint64_t gguf_file::size_bytes() const {
  return contents_->bytes.size();
}

content_digest gguf_file::digest() const {
  return gguf::compute_digest(*contents_);
}

void gguf_file::release(std::span<const std::byte> bytes) const {
  if (mapping_) mapping_->release(bytes);
}

}  // namespace troupe
