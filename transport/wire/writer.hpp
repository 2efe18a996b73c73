// Values to MessagePack, by the same inspect() that CAF uses: a struct becomes a map of its field names, so that a
// reader of another version, or in another language, skips what it does not know. docs/wire.md has the format.
//
//   bool, integers, floats  as they are (the shortest form of an integer)
//   enums                   their number
//   durations               an integer count of their own unit
//   strings                 str;  sequences of bytes  bin
//   sequences, pairs        array
//   structs with one unnamed value (strong ids)  that value
//
// Cost: one pass, no allocation but the buffer's growth.
#pragma once

#include "base/fields.hpp"
#include "transport/wire/byte_buffer.hpp"

#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <msgpack/pack.hpp>

namespace troupe::wire {

template <class T>
inline constexpr bool is_field = false;
template <class T>
inline constexpr bool is_field<field_ref<T>> = true;

class writer {
 public:
  using result_type = bool;  // true; an inspector's, so that inspect() can be shared with reader

  explicit writer(byte_buffer& out) : out_(out), packer_(out) {}

  /// What inspect() calls: named fields make a map, a single unnamed value stands for itself.
  template <class... Fields>
  bool operator()(Fields&&... fields) {
    if constexpr ((is_field<std::decay_t<Fields>> && ...)) {
      packer_.pack_map(sizeof...(Fields));
      (write_field(fields), ...);
    } else {
      static_assert(sizeof...(Fields) == 1, "either all fields have names, or there is one value without");
      (write(fields), ...);
    }
    return true;
  }

  void write(bool x) { x ? packer_.pack_true() : packer_.pack_false(); }
  // Not msgpack-c's own: it shortens whole numbers to integers, and so loses the sign of -0.0.
  void write(float x) { write_big_endian(0xca, std::bit_cast<std::uint32_t>(x)); }
  void write(double x) { write_big_endian(0xcb, std::bit_cast<std::uint64_t>(x)); }
  void write(const std::string& x) { write(std::string_view(x)); }
  void write(std::string_view x) {
    packer_.pack_str(static_cast<std::uint32_t>(x.size()));
    packer_.pack_str_body(x.data(), static_cast<std::uint32_t>(x.size()));
  }
  void write_bytes(std::span<const std::byte> x) {
    packer_.pack_bin(static_cast<std::uint32_t>(x.size()));
    packer_.pack_bin_body(reinterpret_cast<const char*>(x.data()), static_cast<std::uint32_t>(x.size()));
  }
  void write(const std::vector<std::byte>& x) { write_bytes(x); }
  template <class Rep, class Period>
  void write(const std::chrono::duration<Rep, Period>& x) {
    static_assert(std::is_integral_v<Rep>, "durations are whole numbers of their unit");
    packer_.pack_int64(x.count());
  }
  template <class T>
  void write(const std::vector<T>& x) {
    packer_.pack_array(static_cast<std::uint32_t>(x.size()));
    for (const auto& element : x)
      write(element);
  }
  template <class A, class B>
  void write(const std::pair<A, B>& x) {
    packer_.pack_array(2);
    write(x.first);
    write(x.second);
  }
  template <class T>
  void write(const T& x) {
    if constexpr (std::is_enum_v<T>) {
      write(static_cast<std::underlying_type_t<T>>(x));
    } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      packer_.pack_int64(x);
    } else if constexpr (std::is_integral_v<T>) {
      packer_.pack_uint64(x);
    } else {
      inspect(*this, const_cast<T&>(x));  // inspect() takes mutable references since readers need them
    }
  }

  void begin_array(std::uint32_t n) { packer_.pack_array(n); }

 private:
  template <class T>
  void write_field(const field_ref<T>& x) {
    write(x.name);
    write(std::as_const(x.value));
  }

  template <class Bits>
  void write_big_endian(std::uint8_t tag, Bits bits) {
    std::byte* const to = out_.extend(1 + sizeof bits);
    to[0] = static_cast<std::byte>(tag);
    for (std::size_t i = 0; i < sizeof bits; ++i)
      to[1 + i] = static_cast<std::byte>(bits >> (8 * (sizeof bits - 1 - i)));
  }

  byte_buffer& out_;
  msgpack::packer<byte_buffer> packer_;
};

}  // namespace troupe::wire
