// MessagePack to values: the counterpart of writer.hpp. A cursor over the bytes, since msgpack-c's own unpacker builds
// a tree of objects first and costs four times as much.
//
// Every read is checked against the bytes that are left, depth is bounded, and so is what all containers together may
// allocate. Unknown keys are skipped, missing ones leave the field as it was; an enum's number must be one that this
// build knows; a number must fit its type. After the first failure everything fails and `failure()` says why.
#pragma once

#include "base/fields.hpp"
#include "transport/wire/writer.hpp"

#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe::wire {

namespace detail {

// MessagePack's first bytes.
enum tag : std::uint8_t {
  nil = 0xc0,
  no = 0xc2,
  yes = 0xc3,
  bin8 = 0xc4,
  ext8 = 0xc7,
  float32 = 0xca,
  float64 = 0xcb,
  uint8 = 0xcc,
  uint64 = 0xcf,
  int8 = 0xd0,
  int64 = 0xd3,
  fixext1 = 0xd4,
  fixext16 = 0xd8,
  str8 = 0xd9,
  str32 = 0xdb,
  array16 = 0xdc,
  array32 = 0xdd,
  map16 = 0xde,
  map32 = 0xdf
};

}  // namespace detail

struct reader_limits {
  std::uint32_t depth = 16;
  std::size_t allocated_bytes = std::size_t{64} << 20;  // of all strings and sequences of one message
};

class reader {
 public:
  using result_type = bool;

  explicit reader(std::span<const std::byte> bytes, const reader_limits& limits = {})
      : at_(reinterpret_cast<const std::uint8_t*>(bytes.data())),
        end_(at_ + bytes.size()),
        depth_left_(limits.depth),
        allocation_left_(limits.allocated_bytes) {}

  /// What inspect() calls.
  template <class... Fields>
  bool operator()(Fields&&... fields) {
    if constexpr ((is_field<std::decay_t<Fields>> && ...)) {
      return read_map(fields...);
    } else {
      static_assert(sizeof...(Fields) == 1, "either all fields have names, or there is one value without");
      return (read(fields) && ...);
    }
  }

  bool read(bool& x);
  bool read(float& x);
  bool read(double& x);
  bool read(std::string& x);
  bool read(std::vector<std::byte>& x);
  /// Views into the bytes that are read.
  bool read(std::string_view& x);
  bool read(std::span<const std::byte>& x);
  template <class Rep, class Period>
  bool read(std::chrono::duration<Rep, Period>& x) {
    Rep count = 0;
    if (!read(count)) return false;
    x = std::chrono::duration<Rep, Period>(count);
    return true;
  }
  template <class T>
  bool read(std::vector<T>& x);
  template <class A, class B>
  bool read(std::pair<A, B>& x) {
    std::uint32_t n = 0;
    if (!begin_array(n)) return false;
    if (n != 2) return fail("a pair has two elements");
    return read(x.first) && read(x.second);
  }
  template <class T>
  bool read(T& x);

  bool begin_array(std::uint32_t& n);
  /// Passes over one value, whatever it is.
  bool skip();

  /// Whether the next value is a run of bytes.
  bool at_bytes() const { return at_ != end_ && *at_ >= detail::bin8 && *at_ < detail::ext8; }
  /// Empty while nothing went wrong.
  const char* failure() const { return failure_; }
  bool fail(const char* why) {
    if (failure_ == nullptr) failure_ = why;
    at_ = end_;
    return false;
  }

  /// Bytes not read yet.
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

 private:
  bool take(std::uint8_t& byte) {
    if (at_ == end_) return fail("the value is cut short");
    byte = *at_++;
    return true;
  }
  template <class Wide>
  bool take_big_endian(std::uint64_t& x) {
    if (left() < sizeof(Wide)) return fail("the value is cut short");
    Wide wide;
    std::memcpy(&wide, at_, sizeof wide);
    at_ += sizeof wide;
    if constexpr (sizeof(Wide) == 1) x = wide;
    if constexpr (sizeof(Wide) == 2) x = __builtin_bswap16(wide);
    if constexpr (sizeof(Wide) == 4) x = __builtin_bswap32(wide);
    if constexpr (sizeof(Wide) == 8) x = __builtin_bswap64(wide);
    return true;
  }
  bool take_length(std::uint8_t tag, std::uint8_t first_tag, std::uint64_t& n);
  bool take_integer(std::uint64_t& bits, bool& negative);
  bool charge(std::size_t bytes) {
    if (bytes > allocation_left_) return fail("the message asks for more memory than a message may");
    allocation_left_ -= bytes;
    return true;
  }

  template <class... Ts>
  bool read_map(field_ref<Ts>&... fields);
  template <class T>
  bool read_if_named(std::string_view key, field_ref<T>& x, bool& found) {
    if (key != x.name) return true;
    found = true;
    return read(x.value);
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::uint32_t depth_left_;
  std::size_t allocation_left_;
  const char* failure_ = nullptr;
};

/// Lengths of 1, 2 or 4 bytes, by the distance of the tag from the first of its family.
inline bool reader::take_length(std::uint8_t tag, std::uint8_t first_tag, std::uint64_t& n) {
  switch (tag - first_tag) {
    case 0:
      return take_big_endian<std::uint8_t>(n);
    case 1:
      return take_big_endian<std::uint16_t>(n);
    default:
      return take_big_endian<std::uint32_t>(n);
  }
}

inline bool reader::take_integer(std::uint64_t& bits, bool& negative) {
  std::uint8_t tag = 0;
  if (!take(tag)) return false;
  negative = false;
  if (tag <= 0x7f) return bits = tag, true;
  if (tag >= 0xe0) return bits = static_cast<std::uint64_t>(static_cast<std::int8_t>(tag)), negative = true, true;
  if (tag < detail::uint8 || tag > detail::int64) return fail("an integer is expected");
  const bool is_signed = tag >= detail::int8;
  const int width = (tag - (is_signed ? detail::int8 : detail::uint8));
  const bool taken = width == 0   ? take_big_endian<std::uint8_t>(bits)
                     : width == 1 ? take_big_endian<std::uint16_t>(bits)
                     : width == 2 ? take_big_endian<std::uint32_t>(bits)
                                  : take_big_endian<std::uint64_t>(bits);
  if (!taken || !is_signed) return taken;
  const int unused = 64 - (8 << width);
  const auto value = static_cast<std::int64_t>(bits << unused) >> unused;
  bits = static_cast<std::uint64_t>(value);
  negative = value < 0;
  return true;
}

inline bool reader::read(bool& x) {
  std::uint8_t tag = 0;
  if (!take(tag)) return false;
  if (tag != detail::no && tag != detail::yes) return fail("a boolean is expected");
  x = tag == detail::yes;
  return true;
}

inline bool reader::read(float& x) {
  double wide = 0;
  if (!read(wide)) return false;
  constexpr double most = std::numeric_limits<float>::max();
  if (std::isfinite(wide) && (wide > most || wide < -most)) return fail("a number does not fit its field");
  x = static_cast<float>(wide);
  return true;
}

/// An integer is a number as well: writers of other languages shorten 1.0 to 1.
inline bool reader::read(double& x) {
  if (at_ == end_) return fail("the value is cut short");
  std::uint64_t bits = 0;
  if (*at_ == detail::float32) {
    ++at_;
    if (!take_big_endian<std::uint32_t>(bits)) return false;
    x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    return true;
  }
  if (*at_ == detail::float64) {
    ++at_;
    if (!take_big_endian<std::uint64_t>(bits)) return false;
    x = std::bit_cast<double>(bits);
    return true;
  }
  bool negative = false;
  if (!take_integer(bits, negative)) return false;
  x = negative ? static_cast<double>(static_cast<std::int64_t>(bits)) : static_cast<double>(bits);
  return true;
}

inline bool reader::read(std::string_view& x) {
  std::uint8_t tag = 0;
  if (!take(tag)) return false;
  std::uint64_t n = tag & 0x1f;
  if ((tag & 0xe0) != 0xa0) {
    if (tag < detail::str8 || tag > detail::str32) return fail("a string is expected");
    if (!take_length(tag, detail::str8, n)) return false;
  }
  if (n > left()) return fail("a string is longer than its message");
  x = {reinterpret_cast<const char*>(at_), static_cast<std::size_t>(n)};
  at_ += n;
  return true;
}

inline bool reader::read(std::string& x) {
  std::string_view view;
  if (!read(view) || !charge(view.size())) return false;
  x.assign(view);
  return true;
}

inline bool reader::read(std::span<const std::byte>& x) {
  std::uint8_t tag = 0;
  std::uint64_t n = 0;
  if (!take(tag)) return false;
  if (tag < detail::bin8 || tag >= detail::ext8) return fail("bytes are expected");
  if (!take_length(tag, detail::bin8, n)) return false;
  if (n > left()) return fail("a run of bytes is longer than its message");
  x = {reinterpret_cast<const std::byte*>(at_), static_cast<std::size_t>(n)};
  at_ += n;
  return true;
}

inline bool reader::read(std::vector<std::byte>& x) {
  std::span<const std::byte> view;
  if (!read(view) || !charge(view.size())) return false;
  x.assign(view.begin(), view.end());
  return true;
}

inline bool reader::begin_array(std::uint32_t& n) {
  std::uint8_t tag = 0;
  if (!take(tag)) return false;
  std::uint64_t wide = tag & 0x0f;
  if ((tag & 0xf0) != 0x90) {
    if (tag != detail::array16 && tag != detail::array32) return fail("an array is expected");
    if (!(tag == detail::array16 ? take_big_endian<std::uint16_t>(wide) : take_big_endian<std::uint32_t>(wide)))
      return false;
  }
  if (wide > left()) return fail("an array has more elements than its message has bytes");
  n = static_cast<std::uint32_t>(wide);
  return true;
}

template <class T>
bool reader::read(std::vector<T>& x) {
  std::uint32_t n = 0;
  if (!begin_array(n) || !charge(std::size_t{n} * sizeof(T))) return false;
  if (depth_left_ == 0) return fail("values are nested too deeply");
  --depth_left_;
  x.clear();
  x.resize(n);
  for (auto& element : x)
    if (!read(element)) return false;
  ++depth_left_;
  return true;
}

template <class T>
bool reader::read(T& x) {
  if constexpr (std::is_enum_v<T>) {
    std::underlying_type_t<T> number{};
    if (!read(number)) return false;
    if (number < 0 || number > static_cast<std::underlying_type_t<T>>(last_enumerator(T{})))
      return fail("an enumerator is not of those that this version knows");
    x = static_cast<T>(number);
    return true;
  } else if constexpr (std::is_integral_v<T>) {
    std::uint64_t bits = 0;
    bool negative = false;
    if (!take_integer(bits, negative)) return false;
    x = static_cast<T>(bits);
    const bool fits = negative ? std::is_signed_v<T> && static_cast<std::int64_t>(x) == static_cast<std::int64_t>(bits)
                               : x >= T{} && static_cast<std::uint64_t>(x) == bits;
    return fits || fail("a number does not fit its field");
  } else {
    return inspect(*this, x);
  }
}

/// Keys usually come in the order of the fields, so that each is found by its first comparison.
template <class... Ts>
bool reader::read_map(field_ref<Ts>&... fields) {
  std::uint8_t tag = 0;
  if (!take(tag)) return false;
  std::uint64_t n = tag & 0x0f;
  if ((tag & 0xf0) != 0x80) {
    if (tag != detail::map16 && tag != detail::map32) return fail("a map is expected");
    if (!(tag == detail::map16 ? take_big_endian<std::uint16_t>(n) : take_big_endian<std::uint32_t>(n))) return false;
  }
  if (n * 2 > left()) return fail("a map has more entries than its message has bytes");
  if (depth_left_ == 0) return fail("values are nested too deeply");
  --depth_left_;
  std::uint64_t entry = 0;
  // In order, for as long as writer and reader agree.
  std::string_view key;
  bool pending = false;  // `key` is read and not used
  [[maybe_unused]] const auto in_order = [&](auto& x) {
    if (entry == n || pending) return true;
    if (!read(key)) return false;
    if (key != x.name) return pending = true;
    ++entry;
    return read(x.value);
  };
  if (!(in_order(fields) && ...)) return false;
  // Whatever else there is, in any order.
  while (entry < n) {
    if (!pending && !read(key)) return false;
    pending = false;
    ++entry;
    bool found = false;
    if (!(read_if_named(key, fields, found) && ...)) return false;
    if (!found && !skip()) return false;
  }
  ++depth_left_;
  return true;
}

inline bool reader::skip() {
  for (std::uint64_t values = 1; values > 0; --values) {
    std::uint8_t tag = 0;
    if (!take(tag)) return false;
    std::uint64_t bytes = 0;
    if (tag <= 0x7f || tag >= 0xe0 || tag == detail::nil || tag == detail::no || tag == detail::yes) {
      // no more of it
    } else if ((tag & 0xf0) == 0x80) {
      values += 2u * (tag & 0x0f);
    } else if ((tag & 0xf0) == 0x90) {
      values += tag & 0x0f;
    } else if ((tag & 0xe0) == 0xa0) {
      bytes = tag & 0x1f;
    } else if (tag >= detail::bin8 && tag < detail::ext8) {
      if (!take_length(tag, detail::bin8, bytes)) return false;
    } else if (tag >= detail::ext8 && tag < detail::float32) {
      if (!take_length(tag, detail::ext8, bytes)) return false;
      ++bytes;  // its type
    } else if (tag == detail::float32 || tag == detail::float64) {
      bytes = tag == detail::float32 ? 4 : 8;
    } else if (tag >= detail::uint8 && tag <= detail::uint64) {
      bytes = std::uint64_t{1} << (tag - detail::uint8);
    } else if (tag >= detail::int8 && tag <= detail::int64) {
      bytes = std::uint64_t{1} << (tag - detail::int8);
    } else if (tag >= detail::fixext1 && tag <= detail::fixext16) {
      bytes = 1 + (std::uint64_t{1} << (tag - detail::fixext1));
    } else if (tag >= detail::str8 && tag <= detail::str32) {
      if (!take_length(tag, detail::str8, bytes)) return false;
    } else if (tag == detail::array16 || tag == detail::map16) {
      if (!take_big_endian<std::uint16_t>(bytes)) return false;
      values += tag == detail::map16 ? 2 * std::exchange(bytes, 0) : std::exchange(bytes, 0);
    } else if (tag == detail::array32 || tag == detail::map32) {
      if (!take_big_endian<std::uint32_t>(bytes)) return false;
      values += tag == detail::map32 ? 2 * std::exchange(bytes, 0) : std::exchange(bytes, 0);
    } else {
      return fail("a byte that begins no value");
    }
    if (bytes > left()) return fail("the value is cut short");
    at_ += bytes;
    if (values - 1 > left()) return fail("a container has more elements than its message has bytes");
  }
  return true;
}

}  // namespace troupe::wire
