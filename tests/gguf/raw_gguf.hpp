// GGUF files put together field by field, so that tests can write what the real writer refuses to.
#pragma once

#include "runtime/gguf/format.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace troupe::test {

class raw_gguf {
 public:
  raw_gguf(std::uint64_t n_tensors, std::uint64_t n_keys, std::uint32_t version = gguf::version) {
    text("GGUF").number(version).number(n_tensors).number(n_keys);
  }

  raw_gguf& text(std::string_view raw) {
    for (const char c : raw)
      bytes_.push_back(static_cast<std::byte>(c));
    return *this;
  }
  template <class Number>
  raw_gguf& number(Number value) {
    for (const std::byte b : std::bit_cast<std::array<std::byte, sizeof(Number)>>(value))
      bytes_.push_back(b);
    return *this;
  }
  raw_gguf& type(gguf::value_type type) { return number(static_cast<std::uint32_t>(type)); }
  raw_gguf& string(std::string_view content) { return number(std::uint64_t{content.size()}).text(content); }
  raw_gguf& tensor(std::string_view name, std::vector<std::uint64_t> dims, std::uint32_t type_id,
                   std::uint64_t offset) {
    string(name).number(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t dim : dims)
      number(dim);
    return number(type_id).number(offset);
  }
  raw_gguf& pad(std::size_t alignment = gguf::default_alignment) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
    return *this;
  }
  raw_gguf& zeros(std::size_t n) {
    bytes_.resize(bytes_.size() + n);
    return *this;
  }

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace troupe::test
