// What a reader does with bytes that are cut short, too deep, too large or of another type: a reason, no byte read too
// far, no memory by a length that only the wire names.
#include "actors/protocols/request.hpp"
#include "allocation_counter.hpp"
#include "base/random.hpp"
#include "catch.hpp"
#include "fillers.hpp"
#include "wire_samples.hpp"

#include <cmath>

#include <msgpack.hpp>

namespace troupe::test {

struct tree {
  std::vector<tree> children;
};
TROUPE_FIELDS(tree, children)

}  // namespace troupe::test

using namespace troupe;
using namespace troupe::test;

namespace {

template <class Pack>
wire::byte_buffer packed(const Pack& pack) {
  wire::byte_buffer bytes;
  msgpack::packer<wire::byte_buffer> packer(bytes);
  pack(packer);
  return bytes;
}

wire::byte_buffer raw(std::initializer_list<int> bytes) {
  wire::byte_buffer made;
  for (const int byte : bytes)
    *made.extend(1) = static_cast<std::byte>(byte);
  return made;
}

template <class T, class Value>
std::string read_integer(const Value& value) {
  const auto bytes = packed([&](auto& out) { out.pack(value); });
  T x{};
  const auto failure = read_exactly(bytes.bytes(), x);
  if (failure.empty()) CHECK(x == static_cast<T>(value));
  return failure;
}

const std::string no_fit = "a number does not fit its field";

template <class T>
void check_integer_limits() {
  using limits = std::numeric_limits<T>;
  CHECK(read_integer<T>(limits::max()) == "");
  CHECK(read_integer<T>(limits::min()) == "");
  if constexpr (sizeof(T) < 8) {
    CHECK(read_integer<T>(static_cast<std::int64_t>(limits::max()) + 1) == no_fit);
    CHECK(read_integer<T>(static_cast<std::int64_t>(limits::min()) - 1) == no_fit);
  }
  if constexpr (std::is_signed_v<T>) {
    CHECK(read_integer<T>(std::uint64_t{1} << 63) == no_fit);
    CHECK(read_integer<T>(UINT64_MAX) == no_fit);
  } else {
    CHECK(read_integer<T>(-1) == no_fit);
    CHECK(read_integer<T>(INT64_MIN) == no_fit);
  }
}

wire::byte_buffer nested_tree(std::uint32_t depth) {
  return packed([&](auto& out) {
    for (std::uint32_t i = 0; i < depth; ++i) {
      out.pack_map(1);
      out.pack(std::string("children"));
      out.pack_array(1);
    }
    out.pack_map(0);
  });
}

template <class T>
void check_truncation(std::uint64_t seed) {
  CAPTURE(seed);
  const auto whole = written(random_value<T>(seed));
  for (std::size_t n = 0; n < whole.size(); n += n < 1500 ? 1 : n / 100) {
    T x{};
    INFO("cut to " << n);
    CHECK(read_exactly(whole.bytes().first(n), x) != "");
  }
}

}  // namespace

TEST_CASE("every truncation is a failure", "[wire][hostile]") {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    check_truncation<sample>(seed);
    check_truncation<submit_request>(seed);
    check_truncation<token_chunk>(seed);
    check_truncation<request_ended>(seed);
    check_truncation<scheduler_report>(seed);
  }
}

TEST_CASE("numbers fit their field or fail", "[wire][hostile]") {
  check_integer_limits<std::int8_t>();
  check_integer_limits<std::int16_t>();
  check_integer_limits<std::int32_t>();
  check_integer_limits<std::int64_t>();
  check_integer_limits<std::uint8_t>();
  check_integer_limits<std::uint16_t>();
  check_integer_limits<std::uint32_t>();
  check_integer_limits<std::uint64_t>();
  const auto read_float = [](double value) {
    float x = 0;
    return read_exactly(packed([&](auto& out) { out.pack_double(value); }).bytes(), x);
  };
  CHECK(read_float(1.5) == "");
  CHECK(read_float(INFINITY) == "");
  CHECK(read_float(NAN) == "");
  CHECK(read_float(1e300) == no_fit);
  CHECK(read_float(-1e300) == no_fit);
  double wide = 0;
  CHECK(read_exactly(packed([](auto& out) { out.pack(7); }).bytes(), wide) == "");
  CHECK(wide == 7.0);
  CHECK(read_exactly(packed([](auto& out) { out.pack(-7); }).bytes(), wide) == "");
  CHECK(wide == -7.0);
  std::int32_t whole = 0;
  CHECK(read_exactly(written(7.0).bytes(), whole) == "an integer is expected");
}

TEST_CASE("an enumerator is one that this build knows", "[wire][hostile]") {
  const std::string unknown = "an enumerator is not of those that this version knows";
  const auto read_colour = [](int value) {
    colour x{};
    return read_exactly(packed([&](auto& out) { out.pack(value); }).bytes(), x);
  };
  const auto read_tide = [](int value) {
    tide x{};
    return read_exactly(packed([&](auto& out) { out.pack(value); }).bytes(), x);
  };
  CHECK(read_colour(2) == "");
  CHECK(read_colour(3) == unknown);
  CHECK(read_colour(255) == unknown);
  CHECK(read_colour(256) == no_fit);
  CHECK(read_colour(-1) == no_fit);
  CHECK(read_tide(1) == "");
  CHECK(read_tide(2) == unknown);
  CHECK(read_tide(-1) == unknown);
}

TEST_CASE("nesting is bounded for fields and free for what is skipped", "[wire][hostile]") {
  // A level of the tree is a map and an array.
  tree x;
  CHECK(read_exactly(nested_tree(7).bytes(), x) == "");
  CHECK(read_exactly(nested_tree(8).bytes(), x) == "values are nested too deeply");
  CHECK(read_exactly(nested_tree(8).bytes(), x, {.depth = 17}) == "");
  CHECK(read_exactly(nested_tree(100'000).bytes(), x) == "values are nested too deeply");
  // A million arrays in each other under a key that nobody knows.
  const auto deep = packed([](auto& out) {
    out.pack_map(1);
    out.pack(std::string("unknown"));
    for (int i = 0; i < 1'000'000; ++i)
      out.pack_array(1);
    out.pack_nil();
  });
  inner_sample inner;
  CHECK(read_exactly(deep.bytes(), inner) == "");
}

TEST_CASE("huge lengths allocate nothing", "[wire][hostile]") {
  const auto before = allocated_bytes();
  std::string text;
  std::vector<std::byte> bytes;
  std::vector<std::uint64_t> numbers;
  sample all;
  CHECK(read_exactly(raw({0xdb, 0xff, 0xff, 0xff, 0xff}).bytes(), text) == "a string is longer than its message");
  CHECK(read_exactly(raw({0xd9, 0x01}).bytes(), text) == "a string is longer than its message");
  CHECK(read_exactly(raw({0xc6, 0xff, 0xff, 0xff, 0xff}).bytes(), bytes) ==
        "a run of bytes is longer than its message");
  CHECK(read_exactly(raw({0xdd, 0xff, 0x00, 0x00, 0x00}).bytes(), numbers) ==
        "an array has more elements than its message has bytes");
  CHECK(read_exactly(raw({0xdf, 0xff, 0xff, 0xff, 0xff}).bytes(), all) ==
        "a map has more entries than its message has bytes");
  for (const int tag : {0xc9, 0xc6, 0xdb, 0xdd, 0xdf}) {
    const auto huge = raw({tag, 0xff, 0xff, 0xff, 0xff, 0x00});
    CHECK(!wire::reader(huge.bytes()).skip());
  }
  CHECK(allocated_bytes() - before < 100'000);
}

TEST_CASE("what a message asks for is bounded before it is allocated", "[wire][hostile]") {
  // One byte on the wire for each element, many in memory.
  const std::uint32_t n = 2'000'000;
  const auto many = packed([&](auto& out) {
    out.pack_array(n);
    for (std::uint32_t i = 0; i < n; ++i)
      out.pack_map(0);
  });
  const auto before = allocated_bytes();
  std::vector<inner_sample> x;
  const std::string too_much = "the message asks for more memory than a message may";
  CHECK(read_exactly(many.bytes(), x) == too_much);
  CHECK(allocated_bytes() - before < many.size() + 100'000);
  CHECK(x.empty());
  // All containers of a message together.
  const auto texts = packed([](auto& out) {
    out.pack_array(4);
    for (int i = 0; i < 4; ++i)
      out.pack(std::string(1000, 'x'));
  });
  std::vector<std::string> some;
  CHECK(read_exactly(texts.bytes(), some, {.allocated_bytes = 4000 + 4 * sizeof(std::string)}) == "");
  CHECK(read_exactly(texts.bytes(), some, {.allocated_bytes = 3999 + 4 * sizeof(std::string)}) == too_much);
}

TEST_CASE("after a failure everything fails, with the first reason", "[wire][hostile]") {
  const auto bytes = raw({0xc0, 0x01, 0x02});
  wire::reader in(bytes.bytes());
  bool yes = false;
  std::int32_t number = 0;
  CHECK(!in.read(yes));
  CHECK(!in.read(number));
  CHECK(!in.skip());
  CHECK(std::string(in.failure()) == "a boolean is expected");
  CHECK(in.left() == 0);
  CHECK(!wire::reader(raw({0xc1}).bytes()).skip());
}

TEST_CASE("bytes at random and changed messages are refused or read, never worse", "[wire][hostile]") {
  std::size_t n_read = 0;
  for (std::uint64_t seed = 0; seed < 40'000; ++seed) {
    random_stream random(seed);
    const auto whole = written(random_value<inner_sample>(seed));
    const auto request = seed % 10 == 0 ? written(random_value<submit_request>(seed)) : wire::byte_buffer();
    const auto& from = seed % 10 == 0 ? request : whole;
    std::vector<std::byte> changed(from.bytes().begin(), from.bytes().end());
    for (std::uint64_t i = random.below(4); i <= 4; ++i)
      changed[random.below(changed.size())] = static_cast<std::byte>(random.below(256));
    inner_sample x;
    submit_request y;
    n_read += read_exactly(std::span<const std::byte>(changed), x).empty();
    n_read += read_exactly(std::span<const std::byte>(changed), y).empty();
  }
  CHECK(n_read > 1000);  // the changes are small enough to reach the inside
}
