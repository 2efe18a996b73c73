#include "raw_gguf.hpp"

namespace troupe::test {

raw_gguf::raw_gguf(std::uint64_t n_tensors, std::uint64_t n_keys, std::uint32_t version) {
  text("GGUF").number(version).number(n_tensors).number(n_keys);
}

raw_gguf& raw_gguf::raw(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

raw_gguf& raw_gguf::text(std::string_view characters) {
  return raw(std::as_bytes(std::span(characters)));
}

raw_gguf& raw_gguf::type(gguf::value_type type) {
  return number(static_cast<std::uint32_t>(type));
}

raw_gguf& raw_gguf::string(std::string_view content) {
  return number(std::uint64_t{content.size()}).text(content);
}

raw_gguf& raw_gguf::tensor(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type_id,
                           std::uint64_t offset) {
  string(name).number(static_cast<std::uint32_t>(dims.size()));
  for (const std::uint64_t dim : dims)
    number(dim);
  return number(type_id).number(offset);
}

raw_gguf& raw_gguf::pad(std::size_t alignment) {
  bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
  return *this;
}

raw_gguf& raw_gguf::zeros(std::size_t n) {
  bytes_.resize(bytes_.size() + n);
  return *this;
}

}  // namespace troupe::test
