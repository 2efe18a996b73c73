// Random inputs for the kernel tests: aligned memory, numbers near a normal distribution, weight matrices in every
// format.
#pragma once

#include "base/random.hpp"
#include "kernels/half.hpp"
#include "kernels/table.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace troupe::kernels {

/// Memory aligned to 64 bytes, every byte set: 0xff makes NaNs of whatever reads it as floats.
class aligned_bytes {
 public:
  explicit aligned_bytes(std::size_t size, unsigned char fill = 0xff)
      : size_(size), bytes_(static_cast<std::byte*>(::operator new (size + 1, std::align_val_t{64}))) {
    std::memset(bytes_.get(), fill, size);
  }
  std::byte* data() { return bytes_.get(); }
  const std::byte* data() const { return bytes_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct release {
    void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  std::size_t size_;
  std::unique_ptr<std::byte, release> bytes_;
};

/// Mean 0, variance 1: a sum of four uniform numbers.
inline float random_normal(random_stream& random) {
  const double sum = random.unit() + random.unit() + random.unit() + random.unit();
  return static_cast<float>((sum - 2.0) * std::sqrt(3.0));
}

inline std::vector<float> random_floats(random_stream& random, std::size_t n, float scale = 1.0f) {
  std::vector<float> values(n);
  for (float& value : values)
    value = scale * random_normal(random);
  return values;
}

inline void append_u16(std::vector<std::byte>& bytes, std::uint16_t value) {
  bytes.push_back(static_cast<std::byte>(value & 0xff));
  bytes.push_back(static_cast<std::byte>(value >> 8));
}

inline bool has_offset(weight_type type) {
  return type == weight_type::q4_1 || type == weight_type::q5_1 || type == weight_type::q4_k ||
         type == weight_type::q5_k;
}

/// Of d, such that weights are near 0.1.
inline float typical_scale(weight_type type) {
  switch (type) {
    case weight_type::q8_0:
      return 0.001f;
    case weight_type::q5_0:
    case weight_type::q5_1:
      return 0.01f;
    case weight_type::q4_k:
    case weight_type::q5_k:
      return 0.0003f;
    case weight_type::q6_k:
      return 0.0001f;
    default:
      return 0.02f;
  }
}

/// n, or as much more as makes whole blocks.
inline std::uint32_t whole_blocks(weight_type type, std::uint32_t n) {
  const std::uint32_t block = block_of(type).weights;
  return (n + block - 1) / block * block;
}

/// n_out rows of n_in weights as they lie in a file. Quants are uniform over all their values, -128 included; scales
/// differ in size and sign.
inline std::vector<std::byte> random_weights(random_stream& random, weight_type type, std::size_t n_out,
                                             std::size_t n_in) {
  std::vector<std::byte> bytes;
  bytes.reserve(n_out * row_bytes(type, n_in));
  const auto append_quants = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      bytes.push_back(static_cast<std::byte>(random.below(256)));
  };
  const auto scale = [&](float size) { return float_to_f16(size * random_normal(random)); };
  if (is_block_format(type)) {
    const float size = typical_scale(type);
    for (std::size_t b = 0; b < n_out * n_in / block_of(type).weights; ++b) {
      const std::size_t n = block_of(type).bytes;
      if (type == weight_type::q6_k) {
        append_quants(n - 2);
        append_u16(bytes, scale(size));
        continue;
      }
      append_u16(bytes, scale(size));
      if (has_offset(type))
        append_u16(bytes, scale(type == weight_type::q4_1 || type == weight_type::q5_1 ? 0.1f : size));
      append_quants(n - (has_offset(type) ? 4 : 2));
    }
    return bytes;
  }
  for (std::size_t i = 0; i < n_out * n_in; ++i) {
    const float value = 0.1f * random_normal(random);
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if (type == weight_type::f16) {
      append_u16(bytes, float_to_f16(value));
    } else if (type == weight_type::bf16) {
      append_u16(bytes, static_cast<std::uint16_t>(bits >> 16));
    } else {
      append_u16(bytes, static_cast<std::uint16_t>(bits & 0xffff));
      append_u16(bytes, static_cast<std::uint16_t>(bits >> 16));
    }
  }
  return bytes;
}

/// Equal bit for bit: NaNs equal themselves, 0 differs from -0.
inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

/// A matrix packed by one table, and its product with rows of floats.
class packed_matrix {
 public:
  packed_matrix(const table& kernels, weight_type type, const std::vector<std::byte>& rows, std::uint32_t n_out,
                std::uint32_t n_in)
      : kernels_(kernels),
        memory_(kernels.packed_bytes(type, n_out, n_in)),
        linear_{type, n_out, n_in, memory_.data()} {
    // In two parts, as two threads would.
    const std::uint32_t middle = n_out / 2 / kernels.output_tile * kernels.output_tile;
    kernels.pack_linear(type, rows.data(), n_out, n_in, middle, n_out, memory_.data());
    kernels.pack_linear(type, rows.data(), n_out, n_in, 0, middle, memory_.data());
  }

  std::uint32_t n_out() const { return linear_.n_out; }

  /// x: (n_rows, n_in). Outputs outside [out_begin, out_end) stay 0.
  std::vector<float> times(const float* x, std::size_t n_rows, std::uint32_t out_begin, std::uint32_t out_end) const {
    const activation_format format = kernels_.activation_format_for(linear_.type);
    aligned_bytes activations(n_rows * kernels_.activation_bytes(format, linear_.n_in));
    kernels_.prepare_activations(format, x, linear_.n_in, n_rows, linear_.n_in, activations.data());
    std::vector<float> y(n_rows * linear_.n_out);
    kernels_.linear(linear_, activations.data(), n_rows, out_begin, out_end, y.data(), linear_.n_out);
    return y;
  }
  std::vector<float> times(const std::vector<float>& x) const {
    return times(x.data(), x.size() / linear_.n_in, 0, linear_.n_out);
  }

 private:
  const table& kernels_;
  aligned_bytes memory_;
  packed_linear linear_;
};

}  // namespace troupe::kernels
