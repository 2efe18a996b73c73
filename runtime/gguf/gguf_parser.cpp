#include "runtime/gguf/gguf_parser.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

namespace troupe::gguf {
namespace {

using std::to_string;

class parser {
 public:
  parser(std::span<const std::byte> bytes, std::string_view source) : reader_(bytes, source) {
    contents_.bytes = bytes;
  }

  result<contents> run();

 private:
  result<> read_metadata(std::uint64_t n_keys);
  result<std::uint64_t> read_alignment() const;
  result<> read_tensors(std::uint64_t n_tensors);
  template <class Read, class NameAt>
  result<> index(std::uint64_t n, std::string_view what, std::vector<std::uint32_t>& offsets,
                 std::vector<std::uint32_t>& by_name, Read read, NameAt name_at);
  result<> place_tensors(std::uint64_t alignment);
  result<> check_place(const tensor_entry& entry, std::uint64_t alignment) const;
  result<> check_overlap() const;

  reader reader_;
  contents contents_;
};

// Reads n descriptions and notes where each begins, in the file's order and in that of their names, of which no two are
// alike.
template <class Read, class NameAt>
result<> parser::index(std::uint64_t n, std::string_view what, std::vector<std::uint32_t>& offsets,
                       std::vector<std::uint32_t>& by_name, Read read, NameAt name_at) {
  offsets.reserve(n);
  for (std::uint64_t i = 0; i < n; ++i) {
    if (reader_.position() > std::numeric_limits<std::uint32_t>::max())
      return reader_.fail(errc::unsupported, "the keys and the descriptions of tensors take more than 4 GiB.");
    offsets.push_back(static_cast<std::uint32_t>(reader_.position()));
    if (const auto entry = read(); !entry) return entry.error();
  }
  by_name = offsets;
  std::sort(by_name.begin(), by_name.end(), [&](auto a, auto b) { return name_at(a) < name_at(b); });
  const auto twin =
      std::adjacent_find(by_name.begin(), by_name.end(), [&](auto a, auto b) { return name_at(a) == name_at(b); });
  if (twin == by_name.end()) return {};
  return reader_.fail(errc::corrupt,
                      "the " + std::string(what) + " " + quoted(name_at(*twin)) + " appears more than once.");
}

result<> parser::read_metadata(std::uint64_t n_keys) {
  return index(
      n_keys, "key", contents_.entries, contents_.entries_by_key, [this] { return reader_.read_entry(); },
      [this](std::uint32_t at) { return contents_.key_at(at); });
}

result<std::uint64_t> parser::read_alignment() const {
  const auto entry = contents_.find_entry(alignment_key);
  if (!entry) return std::uint64_t{default_alignment};
  std::uint32_t alignment = 0;
  if (entry->type == value_type::u32) std::memcpy(&alignment, entry->payload, sizeof(alignment));
  if (!std::has_single_bit(alignment) || alignment < min_alignment || alignment > max_alignment)
    return reader_.fail(errc::corrupt, "the key 'general.alignment' must be a 32-bit unsigned power of two from " +
                                           to_string(min_alignment) + " to " + to_string(max_alignment) + ".");
  return std::uint64_t{alignment};
}

result<> parser::read_tensors(std::uint64_t n_tensors) {
  return index(
      n_tensors, "tensor", contents_.tensors, contents_.tensors_by_name, [this] { return reader_.read_tensor(); },
      [this](std::uint32_t at) { return contents_.name_at(at); });
}

result<> parser::place_tensors(std::uint64_t alignment) {
  // The data begins at the next multiple of the alignment. The position is at most the file's size, so this cannot
  // overflow.
  contents_.data_start = (reader_.position() + alignment - 1) / alignment * alignment;
  for (const std::uint32_t at : contents_.tensors) {
    const auto placed = check_place(*reader(contents_.bytes, {}, at).read_tensor(), alignment);
    if (!placed) return placed.error();
  }
  return check_overlap();
}

result<> parser::check_place(const tensor_entry& entry, std::uint64_t alignment) const {
  if (entry.offset % alignment != 0)
    return reader_.fail(errc::corrupt, "the offset " + to_string(entry.offset) + " of tensor " + quoted(entry.name) +
                                           " is not a multiple of the alignment " + to_string(alignment) + ".");
  const std::uint64_t file_bytes = contents_.bytes.size();
  const std::uint64_t available = contents_.data_start < file_bytes ? file_bytes - contents_.data_start : 0;
  if (entry.offset > available || entry.size_bytes > available - entry.offset)
    return reader_.fail(errc::corrupt, "the tensor " + quoted(entry.name) + " needs " + to_string(entry.size_bytes) +
                                           " bytes at offset " + to_string(entry.offset) +
                                           " of the data, but the data has " + to_string(available) +
                                           " bytes: the file is truncated or its description is wrong.");
  return {};
}

result<> parser::check_overlap() const {
  struct place {
    std::uint64_t begin = 0;
    std::uint32_t tensor = 0;
  };
  std::vector<place> places;
  places.reserve(contents_.tensors.size());
  for (const std::uint32_t at : contents_.tensors)
    places.push_back({reader(contents_.bytes, {}, at).read_tensor()->offset, at});
  std::sort(places.begin(), places.end(), [](const place& a, const place& b) { return a.begin < b.begin; });
  const auto overlap = std::adjacent_find(places.begin(), places.end(), [&](const place& a, const place& b) {
    return a.begin + reader(contents_.bytes, {}, a.tensor).read_tensor()->size_bytes > b.begin;
  });
  if (overlap == places.end()) return {};
  return reader_.fail(errc::corrupt, "the tensors " + quoted(contents_.name_at(overlap->tensor)) + " and " +
                                         quoted(contents_.name_at((overlap + 1)->tensor)) + " overlap.");
}

result<contents> parser::run() {
  const auto counts = reader_.read_header();
  if (!counts) return counts.error();
  if (const auto read = read_metadata(counts->n_keys); !read) return read.error();
  const auto alignment = read_alignment();
  if (!alignment) return alignment.error();
  if (const auto read = read_tensors(counts->n_tensors); !read) return read.error();
  if (const auto placed = place_tensors(*alignment); !placed) return placed.error();
  return std::move(contents_);
}

// The entry of this name among offsets sorted by name; null when there is none.
template <class NameAt>
const std::uint32_t* find_name(const std::vector<std::uint32_t>& offsets, std::string_view name, NameAt name_at) {
  const auto found = std::lower_bound(offsets.begin(), offsets.end(), name,
                                      [&](std::uint32_t at, std::string_view n) { return name_at(at) < n; });
  return found != offsets.end() && name_at(*found) == name ? &*found : nullptr;
}

}  // namespace

gguf_tensor contents::tensor_at(std::uint32_t offset) const {
  const tensor_entry entry = *reader(bytes, {}, offset).read_tensor();
  return {entry.name,
          entry.type,
          {entry.dims.begin(), entry.dims.begin() + entry.n_dims},
          bytes.subspan(data_start + entry.offset, entry.size_bytes)};
}

std::optional<metadata_entry> contents::find_entry(std::string_view key) const {
  const auto* found = find_name(entries_by_key, key, [this](auto at) { return key_at(at); });
  if (!found) return std::nullopt;
  return entry_at(*found);
}

std::optional<gguf_tensor> contents::find_tensor(std::string_view name) const {
  const auto* found = find_name(tensors_by_name, name, [this](auto at) { return name_at(at); });
  if (!found) return std::nullopt;
  return tensor_at(*found);
}

result<contents> parse(std::span<const std::byte> bytes, std::string_view source) {
  return parser(bytes, source).run();
}

}  // namespace troupe::gguf
