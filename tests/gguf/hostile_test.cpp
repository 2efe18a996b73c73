// Files that lie. Each must be refused with a sentence, or be read without touching a byte outside it.
#include "allocation_counter.hpp"
#include "base/random.hpp"
#include "catch.hpp"
#include "exercise.hpp"
#include "raw_gguf.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/gguf/tiny_model.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <string>

using troupe::errc;
using troupe::gguf_file;
using troupe::gguf::value_type;
using troupe::test::raw_gguf;

namespace {

// A copy that ends where its allocation ends, so that AddressSanitizer sees a read past it.
struct exact_copy {
  explicit exact_copy(std::span<const std::byte> from) : size(from.size()), data(new std::byte[from.size()]) {
    std::copy(from.begin(), from.end(), data.get());
  }
  std::span<const std::byte> bytes() const { return {data.get(), size}; }
  std::size_t size;
  std::unique_ptr<std::byte[]> data;
};

void expect_failure(std::span<const std::byte> bytes, errc code, const std::string& part) {
  const exact_copy copy(bytes);
  const auto file = gguf_file::parse(copy.bytes());
  REQUIRE_FALSE(file);
  INFO(file.error().message);
  CHECK(file.error().code == code);
  CHECK(file.error().message.find(part) != std::string::npos);
  CHECK(file.error().message.back() == '.');
}

/// Parses and, if that succeeds, uses everything. True when the file was accepted.
bool survive(std::span<const std::byte> bytes) {
  const exact_copy copy(bytes);
  const std::uint64_t before = troupe::test::allocated_bytes();
  const auto file = gguf_file::parse(copy.bytes());
  const std::uint64_t allocated = troupe::test::allocated_bytes() - before;
  if (allocated > troupe::test::allowed_allocation(bytes.size()))
    FAIL("parsing allocated " << allocated << " bytes for " << bytes.size());
  if (file) troupe::test::exercise(**file, copy.bytes());
  return file.has_value();
}

std::vector<std::byte> small_model() {
  troupe::tiny_model_options options;
  options.n_layers = 1;
  options.n_embd = 32;
  options.n_heads = 2;
  options.n_kv_heads = 1;
  options.n_ff = 32;
  options.n_vocab = troupe::min_tiny_vocab;
  options.weights = options.embeddings = troupe::kernels::weight_type::q4_0;
  return troupe::build_tiny_model(options);
}

constexpr auto huge = std::uint64_t{1} << 60;
constexpr auto most = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t f32_id = 0;

raw_gguf one_key(value_type type) {
  return std::move(raw_gguf(0, 1).string("k").type(type));
}
raw_gguf one_array(value_type element, std::uint64_t count) {
  return std::move(one_key(value_type::array).type(element).number(count));
}

}  // namespace

TEST_CASE("a header must be a whole little-endian GGUF 3 header") {
  expect_failure({}, errc::corrupt, "at least 24 bytes");
  expect_failure(raw_gguf(0, 0).bytes().first(23), errc::corrupt, "this one has 23");
  std::vector<std::byte> other(64, std::byte{'x'});
  expect_failure(other, errc::corrupt, "does not begin with the letters GGUF");
  expect_failure(raw_gguf(0, 0, 1).bytes(), errc::unsupported, "GGUF version 1; Troupe reads version 3");
  expect_failure(raw_gguf(0, 0, 2).bytes(), errc::unsupported, "GGUF version 2");
  expect_failure(raw_gguf(0, 0, 4).bytes(), errc::unsupported, "GGUF version 4");
  expect_failure(raw_gguf(0, 0, 0).bytes(), errc::unsupported, "GGUF version 0");
  expect_failure(raw_gguf(0, 0, 0x03000000).bytes(), errc::unsupported, "big-endian");
  CHECK(survive(raw_gguf(0, 0).bytes()));
}

TEST_CASE("counts that the file cannot hold reserve nothing") {
  // Some times the size of an element is a multiple of 2^64.
  for (const std::uint64_t count : {huge, huge << 1, huge << 2, huge << 3, most, std::uint64_t{1} << 32}) {
    expect_failure(raw_gguf(0, count).bytes(), errc::corrupt, "the header claims");
    expect_failure(raw_gguf(count, 0).bytes(), errc::corrupt, "the header claims");
    expect_failure(one_array(value_type::u8, count).bytes(), errc::corrupt, "claims");
    expect_failure(one_array(value_type::u16, count).bytes(), errc::corrupt, "claims");
    expect_failure(one_array(value_type::f32, count).bytes(), errc::corrupt, "claims");
    expect_failure(one_array(value_type::f64, count).bytes(), errc::corrupt, "claims");
    expect_failure(one_array(value_type::string, count).bytes(), errc::corrupt, "claims");
    CHECK_FALSE(survive(raw_gguf(count, count).bytes()));
    CHECK_FALSE(survive(one_array(value_type::string, count).zeros(64).bytes()));
  }
  // Within the caps, yet more than there is.
  expect_failure(raw_gguf(0, 1 << 20).bytes(), errc::corrupt, "the 24 bytes of the file cannot hold so many");
  expect_failure(raw_gguf(1 << 20, 0).bytes(), errc::corrupt, "the 24 bytes of the file cannot hold so many");
  expect_failure(raw_gguf(0, 3).zeros(41).bytes(), errc::corrupt, "cannot hold so many");
  expect_failure(raw_gguf(0, 3).zeros(42).bytes(), errc::corrupt, "a key at byte 24 has 0 bytes");
  expect_failure(raw_gguf(3, 0).zeros(98).bytes(), errc::corrupt, "cannot hold so many");
  expect_failure(raw_gguf(3, 0).zeros(99).bytes(), errc::corrupt, "a tensor's name at byte 24 has 0 bytes");
  CHECK_FALSE(survive(raw_gguf(1 << 20, 1 << 20).zeros(4096).bytes()));
}

TEST_CASE("strings must end inside the file") {
  expect_failure(raw_gguf(0, 1).number(most).zeros(6).bytes(), errc::corrupt, "a key at byte 32");
  expect_failure(raw_gguf(0, 1).number(most - 31).zeros(8).bytes(), errc::corrupt, "a key at byte 32");
  expect_failure(raw_gguf(0, 1).string("").type(value_type::u8).zeros(2).bytes(), errc::corrupt, "1 to 65535");
  expect_failure(raw_gguf(0, 1).string(std::string(65536, 'k')).type(value_type::u8).zeros(1).bytes(), errc::corrupt,
                 "has 65536 bytes");
  expect_failure(one_key(value_type::string).number(std::uint64_t{5}).text("four").bytes(), errc::corrupt,
                 "the value of key 'k'");
  expect_failure(one_array(value_type::string, 2).string("a").number(std::uint64_t{9}).text("12345678").bytes(),
                 errc::corrupt, "string 1 of key 'k'");
  expect_failure(one_array(value_type::string, 1).number(most).bytes(), errc::corrupt, "string 0 of key 'k'");
}

TEST_CASE("values must have a type of the format, and fit") {
  expect_failure(raw_gguf(0, 1).string("k").number(std::uint32_t{13}).zeros(8).bytes(), errc::corrupt, "value type 13");
  expect_failure(raw_gguf(0, 1).string("k").number(~std::uint32_t{0}).zeros(8).bytes(), errc::corrupt,
                 "value type 4294967295");
  expect_failure(raw_gguf(0, 1).string("a key").zeros(3).bytes(), errc::corrupt, "the type of key 'a key'");
  expect_failure(one_array(static_cast<value_type>(99), 1).zeros(8).bytes(), errc::corrupt, "element type 99");
  expect_failure(one_array(value_type::array, 1).zeros(64).bytes(), errc::unsupported, "an array of arrays");
  expect_failure(one_key(value_type::u64).zeros(7).bytes(), errc::corrupt, "needs 8 bytes, but only 7");
  expect_failure(one_key(value_type::boolean).number(std::uint8_t{2}).bytes(), errc::corrupt, "0 and 1 are allowed");
  expect_failure(one_array(value_type::boolean, 3).number(std::uint16_t{0x0101}).number(std::uint8_t{0xff}).bytes(),
                 errc::corrupt, "is 255");
}

TEST_CASE("keys and tensors have one value each") {
  raw_gguf twice(0, 3);
  for (const char* key : {"a", "b", "a"})
    twice.string(key).type(value_type::u8).number(std::uint8_t{1});
  expect_failure(twice.bytes(), errc::corrupt, "the key 'a' appears more than once");
  raw_gguf twins(2, 0);
  twins.tensor("w", {1}, f32_id, 0).tensor("w", {1}, f32_id, 32).pad().zeros(64);
  expect_failure(twins.bytes(), errc::corrupt, "the tensor 'w' appears more than once");
}

TEST_CASE("hostile names are made fit for a message") {
  raw_gguf twice(0, 2);
  std::string name(200, 'x');
  name.insert(0, "\x1b[31m\xff\n");
  for (int i = 0; i < 2; ++i)
    twice.string(name).type(value_type::u8).number(std::uint8_t{1});
  const auto file = gguf_file::parse(twice.bytes());
  REQUIRE_FALSE(file);
  const std::string& message = file.error().message;
  CHECK(message.size() < 200);
  CHECK(std::none_of(message.begin(), message.end(), [](char c) { return c >= 0 && c < 0x20; }));
}

TEST_CASE("the alignment must be a sane power of two") {
  for (const std::uint32_t alignment : {0U, 1U, 4U, 24U, 33U, 1U << 21, 1U << 31, ~0U}) {
    raw_gguf file(0, 1);
    file.string("general.alignment").type(value_type::u32).number(alignment).zeros(64);
    expect_failure(file.bytes(), errc::corrupt, "'general.alignment' must be");
  }
  expect_failure(raw_gguf(0, 1).string("general.alignment").type(value_type::string).string("32").bytes(),
                 errc::corrupt, "'general.alignment' must be");
  expect_failure(raw_gguf(0, 1).string("general.alignment").type(value_type::u64).number(std::uint64_t{32}).bytes(),
                 errc::corrupt, "'general.alignment' must be");
}

TEST_CASE("a tensor's shape must be possible") {
  const auto shape = [](std::vector<std::uint64_t> dims, std::uint32_t type = f32_id) {
    return raw_gguf(1, 0).tensor("w", std::move(dims), type, 0).pad().zeros(256);
  };
  expect_failure(shape({}).bytes(), errc::corrupt, "has 0 dimensions");
  expect_failure(shape({1, 1, 1, 1, 1}).bytes(), errc::corrupt, "has 5 dimensions");
  expect_failure(shape({4, 0}).bytes(), errc::corrupt, "dimension 1 of tensor 'w' is 0");
  expect_failure(shape({most}).bytes(), errc::corrupt, "multiply to more than");
  expect_failure(shape({std::uint64_t{1} << 32, std::uint64_t{1} << 32}).bytes(), errc::corrupt, "multiply to more");
  expect_failure(shape({std::uint64_t{1} << 33, std::uint64_t{1} << 31, 4, 1}).bytes(), errc::corrupt,
                 "multiply to more");
  expect_failure(shape({std::uint64_t{1} << 56}).bytes(), errc::corrupt, "needs 288230376151711744 bytes");
  expect_failure(shape({65}).bytes(), errc::corrupt, "needs 260 bytes at offset 0 of the data, but the data has 256");
  for (const std::uint32_t quantised : {2U, 3U, 8U})
    expect_failure(shape({33, 1}, quantised).bytes(), errc::corrupt, "must be a multiple of 32");
  CHECK(survive(shape({64}).bytes()));
  CHECK(survive(shape({4, 4, 2, 2}).bytes()));
}

TEST_CASE("types that no kernel reads are named") {
  const auto typed = [](std::uint32_t type) { return raw_gguf(1, 0).tensor("w", {256}, type, 0).pad().zeros(2048); };
  expect_failure(typed(10).bytes(), errc::unsupported, "the tensor 'w' has the type Q2_K");
  expect_failure(typed(11).bytes(), errc::unsupported, "Q3_K");
  expect_failure(typed(28).bytes(), errc::unsupported, "F64");
  expect_failure(typed(39).bytes(), errc::unsupported, "MXFP4");
  expect_failure(typed(41).bytes(), errc::unsupported, "the type number 41");
  expect_failure(typed(~0U).bytes(), errc::unsupported, "the type number 4294967295");
}

TEST_CASE("a tensor's data must lie inside the file, aligned and alone") {
  const auto at = [](std::uint64_t offset) { return raw_gguf(1, 0).tensor("w", {8}, f32_id, offset).pad().zeros(64); };
  CHECK(survive(at(32).bytes()));
  expect_failure(at(64).bytes(), errc::corrupt, "needs 32 bytes at offset 64 of the data");
  expect_failure(at(96).bytes(), errc::corrupt, "at offset 96");
  expect_failure(at(most - 31).bytes(), errc::corrupt, "at offset 18446744073709551584");
  expect_failure(at(huge).bytes(), errc::corrupt, "at offset");
  expect_failure(at(8).bytes(), errc::corrupt, "not a multiple of the alignment 32");
  expect_failure(raw_gguf(1, 0).tensor("w", {8}, f32_id, 0).bytes(), errc::corrupt, "but the data has 0 bytes");
  expect_failure(at(0).bytes().first(at(0).bytes().size() - 33), errc::corrupt, "but the data has 31 bytes");
  raw_gguf overlap(2, 0);
  overlap.tensor("low", {9}, f32_id, 0).tensor("high", {8}, f32_id, 32).pad().zeros(128);
  expect_failure(overlap.bytes(), errc::corrupt, "the tensors 'low' and 'high' overlap");
  raw_gguf same(2, 0);
  same.tensor("a", {8}, f32_id, 32).tensor("b", {8}, f32_id, 32).pad().zeros(128);
  expect_failure(same.bytes(), errc::corrupt, "overlap");
}

TEST_CASE("a file cut anywhere is refused") {
  const std::vector<std::byte> model = small_model();
  REQUIRE(survive(model));
  // The last tensor is output_norm, 32 floats: a multiple of the alignment, so no padding follows it.
  for (std::size_t size = 0; size < model.size(); ++size) {
    const auto file = gguf_file::parse(std::span(model).first(size));
    if (file) FAIL("accepted with " << size << " of " << model.size() << " bytes");
  }
}

TEST_CASE("flipped bits and overwritten words do no harm") {
  const std::vector<std::byte> model = small_model();
  const auto parsed = gguf_file::parse(model);
  REQUIRE(parsed);
  const auto described = static_cast<std::size_t>((*parsed)->tensor(0).data.data() - model.data());
  std::size_t accepted = 0;
  std::vector<std::byte> changed = model;
  for (std::size_t i = 0; i < described; ++i) {
    changed[i] ^= std::byte{1} << (i % 8);
    accepted += survive(changed) ? 1 : 0;
    changed[i] = model[i];
  }
  // Bits of names and texts may flip unnoticed; bits of the structure may not.
  CHECK(accepted > described / 10);
  CHECK(accepted < described);

  troupe::random_stream random(7);
  for (int round = 0; round < 3000; ++round) {
    const std::size_t position = random.below(described - 8);
    const std::uint64_t interesting[] = {0, 1, 0x7fffffff, 0xffffffff, huge, most, random(), changed.size()};
    std::memcpy(changed.data() + position, &interesting[random.below(8)], 8);
    survive(changed);
    std::copy_n(model.begin() + static_cast<std::ptrdiff_t>(position), 8,
                changed.begin() + static_cast<std::ptrdiff_t>(position));
  }
}

TEST_CASE("the densest files stay within the bound on memory") {
  constexpr std::uint64_t n = 20000;
  raw_gguf keys(0, n);
  for (std::uint64_t i = 0; i < n; ++i)
    keys.string(std::string{static_cast<char>(i), static_cast<char>(i >> 8)}).type(value_type::u8).zeros(1);
  CHECK(survive(keys.bytes()));
  raw_gguf arrays(0, n);
  for (std::uint64_t i = 0; i < n; ++i)
    arrays.string(std::string{static_cast<char>(i), static_cast<char>(i >> 8)})
        .type(value_type::array)
        .type(value_type::string)
        .number(std::uint64_t{0});
  CHECK(survive(arrays.bytes()));
  CHECK(survive(one_array(value_type::string, n).zeros(8 * n).bytes()));
  raw_gguf tensors(n, 0);
  for (std::uint64_t i = 0; i < n; ++i)
    tensors.tensor(std::string{static_cast<char>(i), static_cast<char>(i >> 8)}, {1}, f32_id, 32 * i);
  CHECK(survive(tensors.pad().zeros(32 * n).bytes()));
}
