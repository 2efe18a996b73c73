// The numbers of GGUF version 3, as reader and writer share them
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
//
//   header    "GGUF", u32 version, u64 number of tensors, u64 number of keys
//   metadata  string key, u32 type, value                                   one for each key
//   tensors   string name, u32 n_dims, u64 dims[n_dims], u32 type, u64 offset   one for each tensor
//   padding   to a multiple of the alignment
//   data      tensors at their offsets from here, each a multiple of the alignment
//
// A string is a u64 length and that many bytes; an array is a u32 element type, a u64 count and the elements.
// Little-endian.
#pragma once

#include "kernels/types.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe::gguf {

static_assert(std::endian::native == std::endian::little, "GGUF is read and written in the machine's own byte order");

inline constexpr std::string_view magic = "GGUF";
inline constexpr std::uint32_t version = 3;
inline constexpr std::size_t header_bytes = 24;

inline constexpr std::string_view alignment_key = "general.alignment";
inline constexpr std::uint32_t default_alignment = 32;
inline constexpr std::uint32_t min_alignment = 8;
inline constexpr std::uint32_t max_alignment = 1U << 20;

// Bounds of this reader, far above any real file; the file's own size bounds all else.
inline constexpr std::uint64_t max_keys = 1U << 20;
inline constexpr std::uint64_t max_tensors = 1U << 20;
inline constexpr std::uint64_t max_key_bytes = 65535;       // the format's own bound
inline constexpr std::uint64_t max_tensor_name_bytes = 64;  // the format's own bound
inline constexpr std::uint32_t max_dims = 4;

// The least that a description takes: a key of one byte with a value of one, a tensor's name of one byte with one
// dimension.
inline constexpr std::uint64_t min_entry_bytes = 8 + 1 + 4 + 1;
inline constexpr std::uint64_t min_tensor_bytes = 8 + 1 + 4 + 8 + 4 + 8;

enum class value_type : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12
};

/// Bytes of a scalar; 0 for strings, arrays and numbers that name no type.
constexpr std::size_t scalar_bytes(value_type type) {
  switch (type) {
    case value_type::u8:
    case value_type::i8:
    case value_type::boolean:
      return 1;
    case value_type::u16:
    case value_type::i16:
      return 2;
    case value_type::u32:
    case value_type::i32:
    case value_type::f32:
      return 4;
    case value_type::u64:
    case value_type::i64:
    case value_type::f64:
      return 8;
    case value_type::string:
    case value_type::array:
      return 0;
  }
  return 0;
}

/// ggml's name of a tensor type; empty for a number that names none.
constexpr std::string_view ggml_type_name(std::uint32_t id) {
  constexpr std::array<std::string_view, 41> names = {
      "F32",        "F16",        "Q4_0",       "Q4_1",  "Q4_2",     "Q4_3",     "Q5_0",     "Q5_1",    "Q8_0",
      "Q8_1",       "Q2_K",       "Q3_K",       "Q4_K",  "Q5_K",     "Q6_K",     "Q8_K",     "IQ2_XXS", "IQ2_XS",
      "IQ3_XXS",    "IQ1_S",      "IQ4_NL",     "IQ3_S", "IQ2_S",    "IQ4_XS",   "I8",       "I16",     "I32",
      "I64",        "F64",        "IQ1_M",      "BF16",  "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",   "TQ2_0",
      "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4", "NVFP4"};
  return id < names.size() ? names[id] : std::string_view{};
}

struct weight_type_id {
  kernels::weight_type type;
  std::uint32_t ggml_id;    // in a tensor's description
  std::uint32_t file_type;  // in general.file_type, of a file whose matrices are mostly this
};

inline constexpr std::array<weight_type_id, 11> weight_type_ids = {{{kernels::weight_type::f32, 0, 0},
                                                                    {kernels::weight_type::f16, 1, 1},
                                                                    {kernels::weight_type::q4_0, 2, 2},
                                                                    {kernels::weight_type::q4_1, 3, 3},
                                                                    {kernels::weight_type::q5_0, 6, 8},
                                                                    {kernels::weight_type::q5_1, 7, 9},
                                                                    {kernels::weight_type::q8_0, 8, 7},
                                                                    {kernels::weight_type::q4_k, 12, 15},
                                                                    {kernels::weight_type::q5_k, 13, 17},
                                                                    {kernels::weight_type::q6_k, 14, 18},
                                                                    {kernels::weight_type::bf16, 30, 32}}};

/// The weight type with this number in a file; nullopt when this build does not read it.
constexpr std::optional<kernels::weight_type> find_weight_type(std::uint32_t ggml_id) {
  for (const auto& entry : weight_type_ids)
    if (entry.ggml_id == ggml_id) return entry.type;
  return std::nullopt;
}

constexpr weight_type_id id_of(kernels::weight_type type) {
  for (const auto& entry : weight_type_ids)
    if (entry.type == type) return entry;
  return {};
}

}  // namespace troupe::gguf
