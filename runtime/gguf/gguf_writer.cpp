#include "runtime/gguf/gguf_writer.hpp"

#include "runtime/gguf/format.hpp"

#include <algorithm>
#include <bit>
#include <fstream>
#include <system_error>
#include <type_traits>
#include <utility>

namespace troupe {
namespace {

using gguf::value_type;

template <class T>
constexpr value_type type_of() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return value_type::u8;
  if constexpr (std::is_same_v<T, std::int8_t>) return value_type::i8;
  if constexpr (std::is_same_v<T, std::uint16_t>) return value_type::u16;
  if constexpr (std::is_same_v<T, std::int16_t>) return value_type::i16;
  if constexpr (std::is_same_v<T, std::uint32_t>) return value_type::u32;
  if constexpr (std::is_same_v<T, std::int32_t>) return value_type::i32;
  if constexpr (std::is_same_v<T, float>) return value_type::f32;
  if constexpr (std::is_same_v<T, bool>) return value_type::boolean;
  if constexpr (std::is_same_v<T, std::string>) return value_type::string;
  if constexpr (std::is_same_v<T, std::uint64_t>) return value_type::u64;
  if constexpr (std::is_same_v<T, std::int64_t>) return value_type::i64;
  if constexpr (std::is_same_v<T, double>) return value_type::f64;
}

class byte_sink {
 public:
  void bytes(std::span<const std::byte> data) { out_.insert(out_.end(), data.begin(), data.end()); }

  template <class Number>
  void number(Number value) {
    static_assert(std::is_arithmetic_v<Number>);
    const auto raw = std::bit_cast<std::array<std::byte, sizeof(Number)>>(value);
    bytes(raw);
  }

  void string(std::string_view text) {
    number(std::uint64_t{text.size()});
    bytes(std::as_bytes(std::span(text)));
  }

  void element(const std::string& text) { string(text); }
  template <class Number>
  void element(Number value) {
    number(value);
  }

  void value(const gguf_value& value) {
    std::visit([this](const auto& held) { tagged(held); }, value);
  }

  void pad_to(std::size_t alignment) { out_.resize((out_.size() + alignment - 1) / alignment * alignment); }
  std::vector<std::byte> take() { return std::move(out_); }

 private:
  template <class T>
  void tagged(const T& held) {
    number(static_cast<std::uint32_t>(type_of<T>()));
    element(held);
  }
  template <class T>
  void tagged(const std::vector<T>& held) {
    number(static_cast<std::uint32_t>(value_type::array));
    number(static_cast<std::uint32_t>(type_of<T>()));
    number(std::uint64_t{held.size()});
    for (const T& each : held)
      element(each);
  }

  std::vector<std::byte> out_;
};

std::uint64_t align_up(std::uint64_t size, std::uint64_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

}  // namespace

gguf_writer::gguf_writer(std::uint32_t alignment) : alignment_(alignment) {
  TROUPE_ASSERT(std::has_single_bit(alignment) && alignment >= gguf::min_alignment && alignment <= gguf::max_alignment,
                "the alignment must be a power of two from 8 to 1 MiB");
  if (alignment != gguf::default_alignment) add(gguf::alignment_key, alignment);
}

void gguf_writer::add(std::string_view key, gguf_value value) {
  TROUPE_ASSERT(!key.empty() && key.size() <= gguf::max_key_bytes, "a key has 1 to 65535 bytes");
  TROUPE_ASSERT(std::none_of(entries_.begin(), entries_.end(), [&](const entry& e) { return e.key == key; }),
                "a key may be added once");
  entries_.push_back({std::string(key), std::move(value)});
}

void gguf_writer::add_tensor(std::string_view name, kernels::weight_type type, std::vector<std::uint64_t> dims,
                             std::vector<std::byte> data) {
  TROUPE_ASSERT(!name.empty() && name.size() <= gguf::max_tensor_name_bytes, "a tensor's name has 1 to 64 bytes");
  TROUPE_ASSERT(std::none_of(tensors_.begin(), tensors_.end(), [&](const tensor& t) { return t.name == name; }),
                "a tensor may be added once");
  TROUPE_ASSERT(!dims.empty() && dims.size() <= gguf::max_dims, "a tensor has 1 to 4 dimensions");
  std::uint64_t rows = 1;
  for (std::size_t i = 1; i < dims.size(); ++i)
    rows *= dims[i];
  const std::size_t row = kernels::row_bytes(type, dims[0]);
  TROUPE_ASSERT(row > 0 && data.size() == rows * row, "the data must be the tensor's size, rows whole blocks");
  tensors_.push_back({std::string(name), type, std::move(dims), std::move(data)});
}

std::vector<std::byte> gguf_writer::build() const {
  byte_sink out;
  out.bytes(std::as_bytes(std::span(gguf::magic)));
  out.number(gguf::version);
  out.number(std::uint64_t{tensors_.size()});
  out.number(std::uint64_t{entries_.size()});
  for (const auto& [key, value] : entries_) {
    out.string(key);
    out.value(value);
  }
  std::uint64_t offset = 0;
  for (const auto& each : tensors_) {
    out.string(each.name);
    out.number(static_cast<std::uint32_t>(each.dims.size()));
    for (const std::uint64_t dim : each.dims)
      out.number(dim);
    out.number(gguf::id_of(each.type).ggml_id);
    out.number(offset);
    offset += align_up(each.data.size(), alignment_);
  }
  for (const auto& each : tensors_) {
    out.pad_to(alignment_);
    out.bytes(each.data);
  }
  out.pad_to(alignment_);
  return out.take();
}

result<> gguf_writer::write(const std::filesystem::path& path) const {
  const std::vector<std::byte> bytes = build();
  std::filesystem::path beside = path;
  beside += ".partial";
  std::ofstream out(beside, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.close();
  std::error_code failure;
  if (out) std::filesystem::rename(beside, path, failure);
  if (out && !failure) return {};
  std::error_code ignored;
  std::filesystem::remove(beside, ignored);
  return make_error(errc::unavailable, path.string() + ": cannot write " + std::to_string(bytes.size()) +
                                           " bytes there" + (failure ? ": " + failure.message() : std::string()) + ".");
}

}  // namespace troupe
