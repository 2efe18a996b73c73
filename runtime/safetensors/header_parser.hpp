// The JSON header of a safetensors file:
//   {"__metadata__": {text: text, …}, name: {"dtype": text, "shape": [n, …], "data_offsets": [begin, end]}, …}
// Read event by event, so that a header of another shape ends the reading where it departs from this one.
#pragma once

#include "base/result.hpp"
#include "runtime/safetensors/safetensors_file.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace troupe::safetensors {

inline constexpr std::uint64_t max_header_bytes = std::uint64_t{16} << 20;
inline constexpr std::size_t max_tensors = 1 << 16;
inline constexpr std::size_t max_dimensions = 8;
inline constexpr std::size_t max_name_bytes = 1024;

/// Bytes of an element.
std::uint64_t element_bytes(tensor_dtype dtype);

/// Tensors as they stand in the header, in its order; offsets are not looked at.
/// Errors: corrupt, with the place; unsupported, an unknown dtype.
result<std::vector<safetensor>> parse_header(std::string_view json);

}  // namespace troupe::safetensors
