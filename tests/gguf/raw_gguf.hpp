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
  raw_gguf(std::uint64_t n_tensors, std::uint64_t n_keys, std::uint32_t version = gguf::version);

  raw_gguf& raw(std::span<const std::byte> bytes);
  raw_gguf& text(std::string_view characters);
  template <class Number>
  raw_gguf& number(Number value) {
    return raw(std::bit_cast<std::array<std::byte, sizeof(Number)>>(value));
  }
  raw_gguf& type(gguf::value_type type);
  raw_gguf& string(std::string_view content);
  raw_gguf& tensor(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type_id,
                   std::uint64_t offset);
  raw_gguf& pad(std::size_t alignment = gguf::default_alignment);
  raw_gguf& zeros(std::size_t n);

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace troupe::test
