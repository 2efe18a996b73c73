// Every table's linear layers against the reference, and rule 5: the bits of a row depend on that row alone.
#include "kernels/ops/linear.hpp"

#include "catch.hpp"
#include "inputs.hpp"
#include "kernels/table.hpp"
#include "tables.hpp"

#include <limits>
#include <utility>

using namespace troupe;
using namespace troupe::kernels;

namespace {

struct shape {
  std::uint32_t n_out;
  std::uint32_t n_in;
};

/// Shapes of whole blocks, n_out on and off the tiles; and, for the float formats, odd n_in as well.
std::vector<shape> shapes_for(weight_type type) {
  std::vector<shape> shapes = {{1, 32}, {16, 64}, {17, 96}, {31, 32}, {40, 576}, {64, 1536}};
  for (shape& s : shapes)
    s.n_in = whole_blocks(type, s.n_in);
  if (!is_block_format(type)) shapes.insert(shapes.end(), {{1, 1}, {7, 33}, {23, 100}});
  return shapes;
}

void check_against_reference(const table& kernels, weight_type type, shape s, std::size_t n_rows) {
  CAPTURE(kernels.isa, to_string(type), s.n_out, s.n_in, n_rows);
  random_stream random(s.n_out * 1000 + s.n_in + n_rows);
  const std::vector<std::byte> weights = random_weights(random, type, s.n_out, s.n_in);
  std::vector<float> x = random_floats(random, n_rows * s.n_in);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (i / 32 % 7 == 3) x[i] *= 30.0f;  // blocks that get a second term, in places of a row that change
  const std::vector<float> expected = packed_matrix(reference(), type, weights, s.n_out, s.n_in).times(x);
  const std::vector<float> y = packed_matrix(kernels, type, weights, s.n_out, s.n_in).times(x);
  const activation_format format = kernels.activation_format_for(type);
  for (std::size_t r = 0; r < n_rows; ++r) {
    for (std::uint32_t o = 0; o < s.n_out; ++o) {
      const std::size_t i = r * s.n_out + o;
      const double bound =
          linear_error_bound(format, type, weights.data() + o * row_bytes(type, s.n_in), &x[r * s.n_in], s.n_in) +
          std::abs(expected[i]) * 0x1p-23;
      if (!(std::abs(double{y[i]} - double{expected[i]}) <= bound)) {
        CAPTURE(r, o, y[i], expected[i], bound);
        FAIL("an output is further from the exact one than the contract allows");
      }
    }
  }
}

}  // namespace

TEST_CASE("linear layers stay within their error bound", "[linear]") {
  for (const table* kernels : tested_tables())
    for (const weight_type type : weight_types)
      for (const shape s : shapes_for(type))
        for (std::size_t n_rows = 1; n_rows <= 13; ++n_rows)
          check_against_reference(*kernels, type, s, n_rows);
}

TEST_CASE("the typical error of a linear layer is far below its bound", "[linear]") {
  // The worst case needs all roundings to conspire; a wrong scale or a swapped group would pass it, but not this.
  constexpr std::uint32_t n_out = 64;
  for (const table* kernels : tested_tables()) {
    for (const weight_type type : weight_types) {
      const std::uint32_t n_in = whole_blocks(type, 1536);
      CAPTURE(kernels->isa, to_string(type));
      random_stream random(7);
      const std::vector<std::byte> weights = random_weights(random, type, n_out, n_in);
      const std::vector<float> x = random_floats(random, 8 * n_in);
      const std::vector<float> expected = packed_matrix(reference(), type, weights, n_out, n_in).times(x);
      const std::vector<float> y = packed_matrix(*kernels, type, weights, n_out, n_in).times(x);
      double error = 0;
      double size = 0;
      for (std::size_t i = 0; i < y.size(); ++i) {
        error += std::pow(double{y[i]} - double{expected[i]}, 2);
        size += std::pow(double{expected[i]}, 2);
      }
      const bool rounds = kernels->activation_format_for(type) == activation_format::q8;
      CHECK(std::sqrt(error / size) < (rounds ? 0.01 : 1e-6));
    }
  }
}

TEST_CASE("blocks of far larger numbers than the rest of their row are held more closely", "[linear]") {
  // What 8 bits leave out of them would be most of the error.
  constexpr std::uint32_t n_out = 64;
  for (const table* kernels : tested_tables()) {
    const weight_type type = weight_type::q4_1;
    if (kernels->activation_format_for(type) != activation_format::q8) continue;
    CAPTURE(kernels->isa);
    constexpr std::uint32_t n_in = 576;
    random_stream random(15);
    const std::vector<std::byte> weights = random_weights(random, type, n_out, n_in);
    const auto error_of = [&](const std::vector<float>& x) {
      const std::vector<float> expected = packed_matrix(reference(), type, weights, n_out, n_in).times(x);
      const std::vector<float> y = packed_matrix(*kernels, type, weights, n_out, n_in).times(x);
      double squares = 0;
      for (std::size_t i = 0; i < y.size(); ++i)
        squares += std::pow(double{y[i]} - double{expected[i]}, 2);
      return std::sqrt(squares / n_out);
    };
    std::vector<float> x = random_floats(random, n_in);
    const double even = error_of(x);
    for (std::uint32_t i = 96; i < 128; ++i)
      x[i] *= 100.0f;
    CHECK(error_of(x) < 2 * even);
  }
}

TEST_CASE("a row's bits do not depend on the rows beside it", "[linear][rule5]") {
  constexpr std::uint32_t n_out = 88;
  constexpr std::size_t n_rows = 300;  // more than one panel of the activations
  for (const table* kernels : tested_tables()) {
    for (const weight_type type : weight_types) {
      const std::uint32_t n_in = whole_blocks(type, 576);
      CAPTURE(kernels->isa, to_string(type));
      random_stream random(11);
      const packed_matrix matrix(*kernels, type, random_weights(random, type, n_out, n_in), n_out, n_in);
      std::vector<float> x = random_floats(random, n_rows * n_in);
      for (std::size_t i = 0; i < x.size(); ++i)
        if (i / 32 % 11 == 3) x[i] *= 30.0f;  // some rows have second terms, at different places
      const std::vector<float> together = matrix.times(x);
      for (std::size_t count = 1, first = 0; first < n_rows; first += count, count = count % 13 + 1) {
        count = std::min(count, n_rows - first);
        const std::vector<float> apart = matrix.times(&x[first * n_in], count, 0, n_out);
        const std::vector<float> same(together.begin() + static_cast<std::ptrdiff_t>(first * n_out),
                                      together.begin() + static_cast<std::ptrdiff_t>((first + count) * n_out));
        CAPTURE(first, count);
        REQUIRE(same_bits(apart, same));
      }
    }
  }
}

TEST_CASE("an output's bits do not depend on the range it is computed in", "[linear][rule5]") {
  constexpr std::uint32_t n_out = 150;
  for (const table* kernels : tested_tables()) {
    for (const weight_type type : weight_types) {
      const std::uint32_t n_in = whole_blocks(type, 96);
      CAPTURE(kernels->isa, to_string(type));
      random_stream random(12);
      const packed_matrix matrix(*kernels, type, random_weights(random, type, n_out, n_in), n_out, n_in);
      const std::vector<float> x = random_floats(random, 5 * n_in);
      const std::vector<float> whole = matrix.times(x);
      for (std::uint32_t begin = 0; begin < n_out; begin += kernels->output_tile) {
        for (const std::uint32_t end : {begin, begin + 1, begin + kernels->output_tile, n_out}) {
          if (end > n_out) continue;
          std::vector<float> expected(whole.size(), 0.0f);
          for (std::size_t r = 0; r < 5; ++r)
            for (std::uint32_t o = begin; o < end; ++o)
              expected[r * n_out + o] = whole[r * n_out + o];
          CAPTURE(begin, end);
          REQUIRE(same_bits(matrix.times(x.data(), 5, begin, end), expected));
        }
      }
    }
  }
}

namespace {

/// A block whose codes are all `code`, with d = 1, offset = 2 and, in the K formats, scales and minima of all bits set
/// (63; -1 in q6_k) or q6_k's most negative one.
std::vector<std::byte> extreme_block(weight_type type, unsigned char code, unsigned char scales) {
  std::vector<std::byte> block;
  if (type != weight_type::q6_k) append_u16(block, float_to_f16(1.0f));
  if (has_offset(type)) append_u16(block, float_to_f16(2.0f));
  const std::size_t end = block_of(type).bytes - (type == weight_type::q6_k ? 2 : 0);
  block.resize(end, static_cast<std::byte>(code));
  if (type == weight_type::q4_k || type == weight_type::q5_k)
    std::fill_n(block.begin() + 4, 12, static_cast<std::byte>(scales));
  if (type == weight_type::q6_k) {
    std::fill_n(block.begin() + 192, 16, static_cast<std::byte>(scales));
    append_u16(block, float_to_f16(1.0f));
  }
  return block;
}

}  // namespace

TEST_CASE("weights and activations at their extremes do not overflow", "[linear]") {
  // Every quant at its largest magnitude, every activation too, all of one sign: the largest sums there are.
  struct extreme {
    weight_type type;
    unsigned char code, scales;
    float weight;
  };
  constexpr extreme extremes[] = {
      {weight_type::q8_0, 0x80, 0, -128.0f},
      {weight_type::q8_0, 0x7f, 0, 127.0f},
      {weight_type::q4_0, 0x00, 0, -8.0f},
      {weight_type::q4_1, 0xff, 0, 17.0f},
      {weight_type::q5_0, 0x00, 0, -16.0f},
      {weight_type::q5_0, 0xff, 0, 15.0f},
      {weight_type::q5_1, 0xff, 0, 33.0f},
      {weight_type::q4_k, 0xff, 0xff, 63.0f * 15 - 2 * 63},
      {weight_type::q5_k, 0xff, 0xff, 63.0f * 31 - 2 * 63},
      {weight_type::q6_k, 0x00, 0x80, 32.0f * 128},
      {weight_type::q6_k, 0xff, 0x80, -31.0f * 128},
      {weight_type::q6_k, 0x00, 0x7f, -32.0f * 127},
  };
  for (const table* kernels : tested_tables()) {
    for (const extreme& e : extremes) {
      for (const float activation : {1.0f, -1.0f}) {
        CAPTURE(kernels->isa, to_string(e.type), e.code, activation);
        const std::uint32_t n_in = 2 * block_of(e.type).weights;
        std::vector<std::byte> row = extreme_block(e.type, e.code, e.scales);
        const std::vector<std::byte> again = row;
        row.insert(row.end(), again.begin(), again.end());
        const std::vector<float> x(n_in, activation);
        const float expected = e.weight * activation * static_cast<float>(n_in);
        const std::vector<float> y = packed_matrix(*kernels, e.type, row, 1, n_in).times(x);
        CHECK(std::abs(y[0] - expected) <= 1e-5f * std::abs(expected));
      }
    }
  }
}

TEST_CASE("activations of any size and zeros are handled", "[linear]") {
  for (const table* kernels : tested_tables()) {
    for (const weight_type type : weight_types) {
      const std::uint32_t n_in = whole_blocks(type, 96);
      random_stream random(13);
      const std::vector<std::byte> weights = random_weights(random, type, 20, n_in);
      const packed_matrix matrix(*kernels, type, weights, 20, n_in);
      const packed_matrix exact(reference(), type, weights, 20, n_in);
      for (const float size : {0.0f, 1e-42f, 1e-37f, 2e-36f, 1e-20f, 1e20f, 1e36f}) {
        CAPTURE(kernels->isa, to_string(type), size);
        std::vector<float> x = random_floats(random, n_in, size);
        for (std::uint32_t i = 32; i < 64; ++i)
          x[i] = 0.0f;  // a block of zeros between two others
        const std::vector<float> y = matrix.times(x);
        const std::vector<float> expected = exact.times(x);
        for (std::uint32_t o = 0; o < 20; ++o) {
          const double bound = linear_error_bound(kernels->activation_format_for(type), type,
                                                  weights.data() + o * row_bytes(type, n_in), x.data(), n_in);
          CHECK(std::abs(double{y[o]} - double{expected[o]}) <= bound + std::abs(expected[o]) * 0x1p-23);
        }
      }
    }
  }
}

TEST_CASE("an infinity or a NaN spoils its own row and no other", "[linear]") {
  constexpr std::uint32_t n_out = 20;
  for (const table* kernels : tested_tables()) {
    for (const weight_type type : weight_types) {
      const std::uint32_t n_in = whole_blocks(type, 64);
      for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::quiet_NaN()}) {
        CAPTURE(kernels->isa, to_string(type), bad);
        random_stream random(14);
        const packed_matrix matrix(*kernels, type, random_weights(random, type, n_out, n_in), n_out, n_in);
        std::vector<float> x = random_floats(random, 3 * n_in);
        const std::vector<float> before = matrix.times(x);
        x[n_in + 5] = bad;
        const std::vector<float> after = matrix.times(x);
        for (std::uint32_t o = 0; o < n_out; ++o) {
          CHECK(after[o] == before[o]);
          CHECK_FALSE(std::isfinite(after[n_out + o]));
          CHECK(after[2 * n_out + o] == before[2 * n_out + o]);
        }
      }
    }
  }
}

TEST_CASE("a row of weights in floats is what the file says", "[linear]") {
  for (const table* kernels : tested_tables()) {
    const float d = 0.5f;
    std::vector<std::byte> q8;
    append_u16(q8, float_to_f16(d));
    for (int i = 0; i < 32; ++i)
      q8.push_back(static_cast<std::byte>(i - 128));
    std::vector<std::byte> q4;
    append_u16(q4, float_to_f16(d));
    for (unsigned i = 0; i < 16; ++i)
      q4.push_back(static_cast<std::byte>(i | (15 - i) << 4));
    std::vector<std::byte> q4_1(q4.begin(), q4.begin() + 2);
    append_u16(q4_1, float_to_f16(-3.0f));
    q4_1.insert(q4_1.end(), q4.begin() + 2, q4.end());
    float y[32];
    kernels->dequantize_row(weight_type::q8_0, q8.data(), 32, y);
    for (int i = 0; i < 32; ++i)
      CHECK(y[i] == d * static_cast<float>(i - 128));
    kernels->dequantize_row(weight_type::q4_0, q4.data(), 32, y);
    for (int i = 0; i < 16; ++i)
      CHECK((y[i] == d * static_cast<float>(i - 8) && y[i + 16] == d * static_cast<float>(7 - i)));
    kernels->dequantize_row(weight_type::q4_1, q4_1.data(), 32, y);
    for (int i = 0; i < 16; ++i)
      CHECK((y[i] == d * static_cast<float>(i) - 3 && y[i + 16] == d * static_cast<float>(15 - i) - 3));
    std::vector<std::byte> f16;
    for (const float value : {1.5f, -2.0f, 65504.0f})
      append_u16(f16, float_to_f16(value));
    kernels->dequantize_row(weight_type::f16, f16.data(), 3, y);
    CHECK((y[0] == 1.5f && y[1] == -2.0f && y[2] == 65504.0f));
  }
}
