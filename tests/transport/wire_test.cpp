// The wire format against msgpack-c, both ways, and what a reader does with fields it does not know or does not get.
#include "actors/protocols/request.hpp"
#include "base/random.hpp"
#include "catch.hpp"
#include "fillers.hpp"
#include "wire_samples.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include <msgpack.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

msgpack::object_handle unpacked(const wire::byte_buffer& bytes) {
  std::size_t offset = 0;
  auto made = msgpack::unpack(reinterpret_cast<const char*>(bytes.data()), bytes.size(), offset);
  REQUIRE(offset == bytes.size());
  return made;
}

using field_map = std::map<std::string, msgpack::object>;

std::string bytes_of(const msgpack::object& x) {
  REQUIRE(x.type == msgpack::type::BIN);
  return {x.via.bin.ptr, x.via.bin.size};
}

void check_inner(const msgpack::object& at, const inner_sample& x) {
  const auto fields = at.as<field_map>();
  REQUIRE(fields.size() == 3);
  CHECK(fields.at("number").as<std::int32_t>() == x.number);
  CHECK(fields.at("text").as<std::string>() == x.text);
  CHECK(fields.at("reals").as<std::vector<float>>() == x.reals);
}

void check_sample(const msgpack::object& at, const sample& x) {
  const auto fields = at.as<field_map>();
  REQUIRE(fields.size() == 22);
  CHECK(fields.at("yes").as<bool>() == x.yes);
  CHECK(fields.at("i8").as<std::int8_t>() == x.i8);
  CHECK(fields.at("i16").as<std::int16_t>() == x.i16);
  CHECK(fields.at("i32").as<std::int32_t>() == x.i32);
  CHECK(fields.at("i64").as<std::int64_t>() == x.i64);
  CHECK(fields.at("u8").as<std::uint8_t>() == x.u8);
  CHECK(fields.at("u16").as<std::uint16_t>() == x.u16);
  CHECK(fields.at("u32").as<std::uint32_t>() == x.u32);
  CHECK(fields.at("u64").as<std::uint64_t>() == x.u64);
  CHECK(fields.at("real").type == msgpack::type::FLOAT32);
  CHECK(fields.at("real").as<float>() == x.real);
  CHECK(fields.at("wide_real").type == msgpack::type::FLOAT64);
  CHECK(fields.at("wide_real").as<double>() == x.wide_real);
  CHECK(fields.at("text").type == msgpack::type::STR);
  CHECK(fields.at("text").as<std::string>() == x.text);
  CHECK(bytes_of(fields.at("bytes")) == std::string(reinterpret_cast<const char*>(x.bytes.data()), x.bytes.size()));
  CHECK(fields.at("numbers").as<std::vector<std::int64_t>>() == x.numbers);
  CHECK(fields.at("texts").as<std::vector<std::string>>() == x.texts);
  CHECK(fields.at("pairs").as<std::vector<std::pair<std::int32_t, float>>>() == x.pairs);
  CHECK(fields.at("hue").as<int>() == static_cast<int>(x.hue));
  CHECK(fields.at("water").as<int>() == static_cast<int>(x.water));
  CHECK(fields.at("wait").as<std::int64_t>() == x.wait.count());
  CHECK(fields.at("id").as<std::uint64_t>() == x.id.value);
  check_inner(fields.at("inner"), x.inner);
  const auto inners = fields.at("inners").as<std::vector<msgpack::object>>();
  REQUIRE(inners.size() == x.inners.size());
  for (std::size_t i = 0; i < inners.size(); ++i)
    check_inner(inners[i], x.inners[i]);
}

/// Packs an object anew, each integer in any of the forms that hold it.
void pack_loosely(const msgpack::object& at, msgpack::packer<wire::byte_buffer>& out, random_stream& random) {
  switch (at.type) {
    case msgpack::type::MAP:
      out.pack_map(at.via.map.size);
      for (const auto& entry : at.via.map) {
        out.pack(entry.key);
        pack_loosely(entry.val, out, random);
      }
      return;
    case msgpack::type::ARRAY:
      out.pack_array(at.via.array.size);
      for (const auto& element : at.via.array)
        pack_loosely(element, out, random);
      return;
    case msgpack::type::POSITIVE_INTEGER:
      if (at.via.u64 <= INT64_MAX && random.below(3) == 0) {
        out.pack_fix_int64(static_cast<std::int64_t>(at.via.u64));
      } else if (at.via.u64 <= UINT32_MAX && random.below(2) == 0) {
        out.pack_fix_uint32(static_cast<std::uint32_t>(at.via.u64));
      } else {
        out.pack_fix_uint64(at.via.u64);
      }
      return;
    case msgpack::type::NEGATIVE_INTEGER:
      if (at.via.i64 >= INT32_MIN && random.below(2) == 0) {
        out.pack_fix_int32(static_cast<std::int32_t>(at.via.i64));
      } else {
        out.pack_fix_int64(at.via.i64);
      }
      return;
    default:
      out.pack(at);
  }
}

template <class T>
void check_round_trips(const char* name) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(name, seed);
    const auto first = written(random_value<T>(seed));
    // It is a message of MessagePack, and of nothing but maps at the top.
    CHECK(unpacked(first).get().type == msgpack::type::MAP);
    T again{};
    REQUIRE(read_exactly(first.bytes(), again) == "");
    CHECK(std::ranges::equal(written(again).bytes(), first.bytes()));
  }
}

}  // namespace

TEST_CASE("msgpack-c reads what the writer wrote", "[wire]") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    const auto x = random_value<sample>(seed);
    const auto bytes = written(x);
    check_sample(unpacked(bytes).get(), x);
    sample again;
    REQUIRE(read_exactly(bytes.bytes(), again) == "");
    CHECK(again == x);
  }
}

TEST_CASE("the reader reads what msgpack-c wrote, in whatever form", "[wire]") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    const auto x = random_value<sample>(seed);
    const auto tree = unpacked(written(x));
    wire::byte_buffer plain, loose;
    msgpack::pack(plain, tree.get());
    sample again;
    REQUIRE(read_exactly(plain.bytes(), again) == "");
    CHECK(again == x);
    msgpack::packer<wire::byte_buffer> packer(loose);
    random_stream random(seed);
    pack_loosely(tree.get(), packer, random);
    again = {};
    REQUIRE(read_exactly(loose.bytes(), again) == "");
    CHECK(again == x);
  }
}

TEST_CASE("keys come in any order, unknown ones are skipped, missing ones keep the default", "[wire]") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    random_stream random(seed);
    const auto x = random_value<sample>(seed);
    const auto tree = unpacked(written(x));
    std::vector<std::pair<std::string, msgpack::object>> entries;
    for (const auto& [key, value] : tree.get().as<field_map>())
      entries.emplace_back(key, value);
    std::shuffle(entries.begin(), entries.end(), random);
    sample expected = x;
    const bool drops = seed % 2 == 1;
    if (drops) {
      std::erase_if(entries, [](const auto& entry) { return entry.first == "text" || entry.first == "inner"; });
      expected.text.clear();
      expected.inner = inner_sample{};
    }
    // What another version may have: any value at all.
    const auto other = unpacked(written(random_value<sample>(seed + 1000)));
    const auto unknown = other.get().as<field_map>();
    for (const auto& [key, value] : unknown)
      entries.emplace(entries.begin() + static_cast<std::ptrdiff_t>(random.below(entries.size() + 1)), "new_" + key,
                      value);
    wire::byte_buffer bytes;
    msgpack::packer<wire::byte_buffer> packer(bytes);
    packer.pack_map(static_cast<std::uint32_t>(entries.size()));
    for (const auto& [key, value] : entries) {
      packer.pack(key);
      packer.pack(value);
    }
    sample again;
    REQUIRE(read_exactly(bytes.bytes(), again) == "");
    CHECK(again == expected);
  }
}

TEST_CASE("every kind of value can be skipped", "[wire]") {
  const auto skips = [](auto&& pack) {
    wire::byte_buffer bytes;
    msgpack::packer<wire::byte_buffer> packer(bytes);
    pack(packer);
    wire::reader in(bytes.bytes());
    const bool whole = in.skip() && in.left() == 0;
    // And no part of it.
    for (std::size_t n = 0; n < std::min<std::size_t>(bytes.size(), 300); ++n)
      if (wire::reader(bytes.bytes().first(n)).skip()) return false;
    return whole;
  };
  CHECK(skips([](auto& out) { out.pack_nil(); }));
  CHECK(skips([](auto& out) { out.pack_true(); }));
  CHECK(skips([](auto& out) { out.pack_fix_uint8(200); }));
  CHECK(skips([](auto& out) { out.pack_fix_uint16(1); }));
  CHECK(skips([](auto& out) { out.pack_fix_uint32(1); }));
  CHECK(skips([](auto& out) { out.pack_fix_uint64(1); }));
  CHECK(skips([](auto& out) { out.pack_fix_int8(-1); }));
  CHECK(skips([](auto& out) { out.pack_fix_int16(-1); }));
  CHECK(skips([](auto& out) { out.pack_fix_int32(-1); }));
  CHECK(skips([](auto& out) { out.pack_fix_int64(-1); }));
  CHECK(skips([](auto& out) { out.pack_float(1); }));
  CHECK(skips([](auto& out) { out.pack_double(1); }));
  for (const std::uint32_t n : {0u, 1u, 2u, 4u, 8u, 16u, 31u, 32u, 255u, 256u, 65535u, 65536u}) {
    CAPTURE(n);
    const std::string content(n, 'x');
    CHECK(skips([&](auto& out) { out.pack_str(n).pack_str_body(content.data(), n); }));
    CHECK(skips([&](auto& out) { out.pack_bin(n).pack_bin_body(content.data(), n); }));
    CHECK(skips([&](auto& out) { out.pack_ext(n, 5).pack_ext_body(content.data(), n); }));
    CHECK(skips([&](auto& out) {
      out.pack_array(n);
      for (std::uint32_t i = 0; i < n; ++i)
        out.pack_nil();
    }));
    CHECK(skips([&](auto& out) {
      out.pack_map(n);
      for (std::uint32_t i = 0; i < 2 * n; ++i)
        out.pack(i);
    }));
  }
}

TEST_CASE("floats keep every bit", "[wire]") {
  for (const float x : {0.0f, -0.0f, 1.0f, -3.0f, 0.1f, 1e38f, 1e-45f, INFINITY, -INFINITY, NAN}) {
    CAPTURE(x);
    float again = 7;
    REQUIRE(read_exactly(written(x).bytes(), again) == "");
    CHECK(std::bit_cast<std::uint32_t>(again) == std::bit_cast<std::uint32_t>(x));
    double wide = 7;
    REQUIRE(read_exactly(written(static_cast<double>(x)).bytes(), wide) == "");
    CHECK(std::bit_cast<std::uint64_t>(wide) == std::bit_cast<std::uint64_t>(static_cast<double>(x)));
  }
}

TEST_CASE("the structs of the request protocol go there and back", "[wire]") {
  check_round_trips<submit_request>("submit_request");
  check_round_trips<assign_request>("assign_request");
  check_round_trips<token_chunk>("token_chunk");
  check_round_trips<request_ended>("request_ended");
  check_round_trips<cancel_request>("cancel_request");
  check_round_trips<request_lost>("request_lost");
  check_round_trips<load_report>("load_report");
  check_round_trips<scheduler_report>("scheduler_report");
  check_round_trips<output_grammar>("output_grammar");
  check_round_trips<sampling_params>("sampling_params");
  check_round_trips<service_objective>("service_objective");
  check_round_trips<generation_request>("generation_request");
  check_round_trips<token_logprob>("token_logprob");
  check_round_trips<generated_token>("generated_token");
  check_round_trips<prompt_token_logprob>("prompt_token_logprob");
  check_round_trips<token_usage>("token_usage");
}
