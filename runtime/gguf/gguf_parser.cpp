#include "runtime/gguf/gguf_parser.hpp"

#include "base/utf8.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

namespace troupe::gguf {
namespace {

using std::to_string;

// More weights than any disk holds, and few enough that four bytes for each cannot overflow.
constexpr std::uint64_t max_elements = std::uint64_t{1} << 56;

class parser {
 public:
  parser(std::span<const std::byte> bytes, std::string_view source) : bytes_(bytes), source_(source) {}

  result<contents> run();

 private:
  struct header {
    std::uint64_t n_tensors = 0;
    std::uint64_t n_keys = 0;
  };
  struct tensor_entry {
    std::string_view name;
    std::array<std::uint64_t, max_dims> dims = {};
    std::uint32_t n_dims = 0;
    kernels::weight_type type = kernels::weight_type::f32;
    std::uint64_t offset = 0;  // from the start of the data
    std::uint64_t size_bytes = 0;
  };

  std::uint64_t remaining() const { return bytes_.size() - position_; }
  error fail(errc code, std::string sentence) const { return make_error(code, std::string(source_) + ": " + sentence); }
  // A field's description is put together only when it is needed: "the type of key", 'x'.
  error truncated(std::string_view what, std::string_view name, std::uint64_t wanted) const;
  template <class Number>
  result<Number> read_number(std::string_view what, std::string_view name = {});
  result<std::string_view> read_string(std::string_view what, std::string_view name, std::uint64_t min_bytes,
                                       std::uint64_t max_bytes);

  result<header> read_header();
  result<metadata_entry> read_entry();
  result<> read_array(metadata_entry& entry);
  result<> skip_elements(const metadata_entry& entry);
  result<> check_booleans(const metadata_entry& entry) const;
  result<tensor_entry> read_tensor();
  result<> read_dims(tensor_entry& tensor);
  result<> measure(tensor_entry& tensor) const;

  result<> read_metadata(std::uint64_t n_keys);
  void collect_strings(metadata_entry& entry);
  result<std::uint64_t> read_alignment() const;
  result<> read_tensors(std::uint64_t n_tensors);
  result<> place(const tensor_entry& entry, std::uint64_t data_start, std::uint64_t alignment);
  result<> check_overlap() const;

  std::span<const std::byte> bytes_;
  std::string_view source_;
  std::uint64_t position_ = 0;  // at most bytes_.size()
  contents contents_;
};

std::string describe(std::string_view what, std::string_view name) {
  return std::string(what) + (name.empty() ? "" : " " + quoted(name));
}

error parser::truncated(std::string_view what, std::string_view name, std::uint64_t wanted) const {
  return fail(errc::corrupt, describe(what, name) + " at byte " + to_string(position_) + " needs " + to_string(wanted) +
                                 " bytes, but only " + to_string(remaining()) +
                                 " are left: the file is truncated or a length in it is wrong.");
}

template <class Number>
result<Number> parser::read_number(std::string_view what, std::string_view name) {
  if (remaining() < sizeof(Number)) return truncated(what, name, sizeof(Number));
  Number number;
  std::memcpy(&number, bytes_.data() + position_, sizeof(Number));
  position_ += sizeof(Number);
  return number;
}

result<std::string_view> parser::read_string(std::string_view what, std::string_view name, std::uint64_t min_bytes,
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

result<parser::header> parser::read_header() {
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
  if (counts.n_keys > max_keys || counts.n_tensors > max_tensors)
    return fail(errc::corrupt, "the header claims " + to_string(counts.n_tensors) + " tensors and " +
                                   to_string(counts.n_keys) + " keys; at most " + to_string(max_tensors) + " and " +
                                   to_string(max_keys) + " are allowed.");
  return counts;
}

result<metadata_entry> parser::read_entry() {
  metadata_entry entry;
  const auto key = read_string("a key", {}, 1, max_key_bytes);
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

result<> parser::read_array(metadata_entry& entry) {
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

result<> parser::skip_elements(const metadata_entry& entry) {
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

result<> parser::check_booleans(const metadata_entry& entry) const {
  if (entry.element != value_type::boolean) return {};
  const std::byte* end = entry.payload + entry.count;
  const std::byte* wrong = std::find_if(entry.payload, end, [](std::byte value) { return value > std::byte{1}; });
  if (wrong == end) return {};
  return fail(errc::corrupt, "the key " + quoted(entry.key) + " is boolean, but byte " +
                                 to_string(wrong - bytes_.data()) + " is " + to_string(std::to_integer<int>(*wrong)) +
                                 "; 0 and 1 are allowed.");
}

result<> parser::read_metadata(std::uint64_t n_keys) {
  const std::uint64_t start = position_;
  std::size_t n_string_arrays = 0;
  for (std::uint64_t i = 0; i < n_keys; ++i) {
    const auto entry = read_entry();
    if (!entry) return entry.error();
    n_string_arrays += entry->type == value_type::array && entry->element == value_type::string ? 1 : 0;
  }
  position_ = start;
  contents_.entries.reserve(n_keys);
  contents_.string_arrays.reserve(n_string_arrays);
  for (std::uint64_t i = 0; i < n_keys; ++i) {
    auto entry = read_entry();
    if (!entry) return entry.error();
    collect_strings(*entry);
    contents_.entries.push_back(*entry);
  }
  auto& order = contents_.entries_by_key;
  order.resize(n_keys);
  std::iota(order.begin(), order.end(), 0U);
  const auto key_of = [this](std::uint32_t i) { return contents_.entries[i].key; };
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return key_of(a) < key_of(b); });
  const auto twin =
      std::adjacent_find(order.begin(), order.end(), [&](auto a, auto b) { return key_of(a) == key_of(b); });
  if (twin != order.end()) return fail(errc::corrupt, "the key " + quoted(key_of(*twin)) + " appears more than once.");
  return {};
}

void parser::collect_strings(metadata_entry& entry) {
  if (entry.type != value_type::array || entry.element != value_type::string) return;
  entry.strings = static_cast<std::uint32_t>(contents_.string_arrays.size());
  auto& strings = contents_.string_arrays.emplace_back();
  strings.reserve(entry.count);
  const std::byte* next = entry.payload;
  for (std::uint64_t i = 0; i < entry.count; ++i) {  // walked before, so every length is good
    std::uint64_t length = 0;
    std::memcpy(&length, next, sizeof(length));
    strings.emplace_back(reinterpret_cast<const char*>(next + sizeof(length)), length);
    next += sizeof(length) + length;
  }
}

result<std::uint64_t> parser::read_alignment() const {
  const metadata_entry* entry = contents_.find_entry(alignment_key);
  if (!entry) return std::uint64_t{default_alignment};
  std::uint32_t alignment = 0;
  if (entry->type == value_type::u32) std::memcpy(&alignment, entry->payload, sizeof(alignment));
  if (!std::has_single_bit(alignment) || alignment < min_alignment || alignment > max_alignment)
    return fail(errc::corrupt, "the key 'general.alignment' must be a 32-bit unsigned power of two from " +
                                   to_string(min_alignment) + " to " + to_string(max_alignment) + ".");
  return std::uint64_t{alignment};
}

result<parser::tensor_entry> parser::read_tensor() {
  tensor_entry tensor;
  const auto name = read_string("a tensor's name", {}, 1, max_tensor_name_bytes);
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

result<> parser::read_dims(tensor_entry& tensor) {
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

result<> parser::measure(tensor_entry& tensor) const {
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

result<> parser::read_tensors(std::uint64_t n_tensors) {
  const auto alignment = read_alignment();
  if (!alignment) return alignment.error();
  const std::uint64_t start = position_;
  for (std::uint64_t i = 0; i < n_tensors; ++i)
    if (const auto entry = read_tensor(); !entry) return entry.error();
  // The data begins at the next multiple of the alignment. position_ is at most the file's size, so this cannot
  // overflow.
  const std::uint64_t data_start = (position_ + *alignment - 1) / *alignment * *alignment;
  position_ = start;
  contents_.tensors.reserve(n_tensors);
  for (std::uint64_t i = 0; i < n_tensors; ++i) {
    const auto entry = read_tensor();
    if (!entry) return entry.error();
    if (const auto placed = place(*entry, data_start, *alignment); !placed) return placed.error();
  }
  auto& order = contents_.tensors_by_name;
  order.resize(n_tensors);
  std::iota(order.begin(), order.end(), 0U);
  const auto name_of = [this](std::uint32_t i) { return contents_.tensors[i].name; };
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return name_of(a) < name_of(b); });
  const auto twin =
      std::adjacent_find(order.begin(), order.end(), [&](auto a, auto b) { return name_of(a) == name_of(b); });
  if (twin != order.end())
    return fail(errc::corrupt, "the tensor " + quoted(name_of(*twin)) + " appears more than once.");
  return check_overlap();
}

result<> parser::place(const tensor_entry& entry, std::uint64_t data_start, std::uint64_t alignment) {
  if (entry.offset % alignment != 0)
    return fail(errc::corrupt, "the offset " + to_string(entry.offset) + " of tensor " + quoted(entry.name) +
                                   " is not a multiple of the alignment " + to_string(alignment) + ".");
  const std::uint64_t available = data_start < bytes_.size() ? bytes_.size() - data_start : 0;
  if (entry.offset > available || entry.size_bytes > available - entry.offset)
    return fail(errc::corrupt, "the tensor " + quoted(entry.name) + " needs " + to_string(entry.size_bytes) +
                                   " bytes at offset " + to_string(entry.offset) + " of the data, but the data has " +
                                   to_string(available) + " bytes: the file is truncated or its description is wrong.");
  contents_.tensors.push_back(gguf_tensor{entry.name,
                                          entry.type,
                                          {entry.dims.begin(), entry.dims.begin() + entry.n_dims},
                                          bytes_.subspan(data_start + entry.offset, entry.size_bytes)});
  return {};
}

result<> parser::check_overlap() const {
  std::vector<std::uint32_t> order(contents_.tensors.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto& tensors = contents_.tensors;
  std::sort(order.begin(), order.end(),
            [&](auto a, auto b) { return tensors[a].data.data() < tensors[b].data.data(); });
  const auto overlap = std::adjacent_find(order.begin(), order.end(), [&](auto a, auto b) {
    return tensors[a].data.data() + tensors[a].data.size() > tensors[b].data.data();
  });
  if (overlap == order.end()) return {};
  return fail(errc::corrupt, "the tensors " + quoted(tensors[*overlap].name) + " and " +
                                 quoted(tensors[*(overlap + 1)].name) + " overlap.");
}

result<contents> parser::run() {
  const auto counts = read_header();
  if (!counts) return counts.error();
  if (const auto read = read_metadata(counts->n_keys); !read) return read.error();
  if (const auto read = read_tensors(counts->n_tensors); !read) return read.error();
  return std::move(contents_);
}

}  // namespace

const metadata_entry* contents::find_entry(std::string_view key) const {
  const auto found = std::lower_bound(entries_by_key.begin(), entries_by_key.end(), key,
                                      [this](std::uint32_t i, std::string_view k) { return entries[i].key < k; });
  return found != entries_by_key.end() && entries[*found].key == key ? &entries[*found] : nullptr;
}

const gguf_tensor* contents::find_tensor(std::string_view name) const {
  const auto found = std::lower_bound(tensors_by_name.begin(), tensors_by_name.end(), name,
                                      [this](std::uint32_t i, std::string_view n) { return tensors[i].name < n; });
  return found != tensors_by_name.end() && tensors[*found].name == name ? &tensors[*found] : nullptr;
}

result<contents> parse(std::span<const std::byte> bytes, std::string_view source) {
  return parser(bytes, source).run();
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
