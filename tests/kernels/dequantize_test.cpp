// Every block format against an independent decoding: tests/data/dequantized.bin, written by dequantize_oracle.py with
// the package gguf from PyPI.
#include "catch.hpp"
#include "inputs.hpp"
#include "kernels/table.hpp"
#include "tables.hpp"

#include <cstdlib>
#include <fstream>
#include <set>

using namespace troupe;
using namespace troupe::kernels;

namespace {

template <class T>
std::vector<T> read_array(std::ifstream& file, std::size_t n) {
  std::vector<T> values(n);
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(n * sizeof(T)));
  REQUIRE(file);
  return values;
}

}  // namespace

TEST_CASE("a row of weights in floats is what another implementation says", "[linear]") {
  const char* folder = std::getenv("TROUPE_TEST_DATA");
  if (!folder) {
    WARN("skipped: TROUPE_TEST_DATA names no folder");
    return;
  }
  std::ifstream file(std::string(folder) + "/dequantized.bin", std::ios::binary);
  REQUIRE(file);
  std::set<weight_type> seen;
  while (file.peek() != std::ifstream::traits_type::eof()) {
    // {char name[8]; u32 n_weights; u32 n_bytes; u8 row[n_bytes]; f32 weights[n_weights]}
    const std::vector<char> padded = read_array<char>(file, 8);
    const std::string name(padded.data(), strnlen(padded.data(), 8));
    const std::vector<std::uint32_t> sizes = read_array<std::uint32_t>(file, 2);
    const std::vector<std::byte> row = read_array<std::byte>(file, sizes[1]);
    const std::vector<float> expected = read_array<float>(file, sizes[0]);
    for (const weight_type type : weight_types) {
      if (to_string(type) != name) continue;
      CAPTURE(name);
      REQUIRE(row_bytes(type, sizes[0]) == sizes[1]);
      for (const table* one : tested_tables()) {
        std::vector<float> y(sizes[0]);
        one->dequantize_row(type, row.data(), sizes[0], y.data());
        for (std::size_t i = 0; i < y.size(); ++i)
          REQUIRE(y[i] == expected[i]);  // every bit, but for the sign of a zero
      }
      seen.insert(type);
    }
  }
  for (const weight_type type : weight_types)
    CHECK((seen.count(type) == 1 || !is_block_format(type)));
}
