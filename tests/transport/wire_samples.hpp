// A struct with every type that the wire knows, and short ways to write and read.
#pragma once

#include "base/fields.hpp"
#include "base/ids.hpp"
#include "transport/wire/reader.hpp"
#include "transport/wire/writer.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace troupe::test {

enum class colour : std::uint8_t { red, green, blue };
constexpr colour last_enumerator(colour) {
  return colour::blue;
}
enum class tide : std::int32_t { low, high };
constexpr tide last_enumerator(tide) {
  return tide::high;
}

using sample_id = strong_id<struct sample_id_tag>;
template <class F>
typename F::result_type inspect(F& f, sample_id& x) {
  return f(x.value);
}

struct inner_sample {
  std::int32_t number = -7;
  std::string text = "default";
  std::vector<float> reals;
  friend bool operator==(const inner_sample&, const inner_sample&) = default;
};
TROUPE_FIELDS(inner_sample, number, text, reals)

struct sample {
  bool yes = false;
  std::int8_t i8 = 0;
  std::int16_t i16 = 0;
  std::int32_t i32 = 0;
  std::int64_t i64 = 0;
  std::uint8_t u8 = 0;
  std::uint16_t u16 = 0;
  std::uint32_t u32 = 0;
  std::uint64_t u64 = 0;
  float real = 0;
  double wide_real = 0;
  std::string text;
  std::vector<std::byte> bytes;
  std::vector<std::int64_t> numbers;
  std::vector<std::string> texts;
  std::vector<std::pair<std::int32_t, float>> pairs;
  colour hue = colour::red;
  tide water = tide::low;
  std::chrono::milliseconds wait{0};
  sample_id id;
  inner_sample inner;
  std::vector<inner_sample> inners;
  friend bool operator==(const sample&, const sample&) = default;
};
TROUPE_FIELDS(sample, yes, i8, i16, i32, i64, u8, u16, u32, u64, real, wide_real, text, bytes, numbers, texts, pairs,
              hue, water, wait, id, inner, inners)

template <class T>
wire::byte_buffer written(const T& x) {
  wire::byte_buffer out;
  wire::writer(out).write(x);
  return out;
}

/// From memory that ends where the bytes end, so that AddressSanitizer sees a byte read too far. The reason why not, or
/// "" when all of it was read.
template <class T>
std::string read_exactly(std::span<const std::byte> bytes, T& x, const wire::reader_limits& limits = {}) {
  const std::unique_ptr<std::byte[]> memory(new std::byte[bytes.size()]);
  if (!bytes.empty()) std::memcpy(memory.get(), bytes.data(), bytes.size());
  wire::reader in({memory.get(), bytes.size()}, limits);
  if (!in.read(x)) return in.failure() != nullptr ? in.failure() : "no reason given";
  if (in.failure() != nullptr) return "a failure after success";
  return in.left() == 0 ? "" : "bytes are left";
}

}  // namespace troupe::test
