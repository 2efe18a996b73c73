#include "base/random.hpp"
#include "catch.hpp"
#include "runtime/safetensors/safetensors_file.hpp"
#include "safetensors_writer.hpp"

using namespace troupe;
using test::raw_safetensors;

namespace {

std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":[)" + shape + R"(],"data_offsets":[)" + offsets + "]}";
}

result<safetensors_file> open(const test::temporary_folder& folder, const std::string& content) {
  return safetensors_file::open(folder.write("x.safetensors", content));
}

}  // namespace

TEST_CASE("tensors are found by name, with their bytes", "[safetensors]") {
  const test::temporary_folder folder;
  const std::string header = R"({"__metadata__":{"format":"pt"},"b":)" + tensor("F16", "2,1", "4,8") + R"(,"a":)" +
                             tensor("F32", "", "0,4") + R"(,"none":)" + tensor("I64", "3,0", "8,8") + "}  ";
  const auto file = open(folder, raw_safetensors(header, "abcdefgh"));
  REQUIRE(file);
  REQUIRE(file->size() == 3);
  CHECK(file->tensors()[0].name == "a");
  CHECK(file->tensors()[0].shape.empty());
  const safetensor* b = file->find("b");
  REQUIRE(b != nullptr);
  CHECK(b->shape == std::vector<std::uint64_t>{2, 1});
  CHECK(b->dtype == tensor_dtype::f16);
  CHECK(b->as_weights() == kernels::weight_type::f16);
  CHECK_FALSE(file->find("none")->as_weights());
  const auto bytes = file->data(*b);
  CHECK(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) == "efgh");
  CHECK(file->data(*file->find("none")).empty());
  CHECK(file->find("c") == nullptr);
  file->release(*b);
  CHECK(file->data(*b)[0] == std::byte{'e'});
}

TEST_CASE("files that break the format are refused with what is wrong", "[safetensors]") {
  const test::temporary_folder folder;
  const std::string good = tensor("F32", "2", "0,8");
  const auto header_of = [](const std::string& value) { return R"({"x":)" + value + "}"; };
  const auto in_header = [&](const std::string& value) { return raw_safetensors(header_of(value), "12345678"); };
  const auto with_length = [&](std::uint64_t n) {
    std::string file = in_header(good);
    std::memcpy(file.data(), &n, sizeof n);
    return file;
  };
  std::string deep;
  for (int i = 0; i < 100000; ++i)
    deep += '[';
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"", "empty"},
      {"1234567", "has 7 bytes"},
      {with_length(std::uint64_t{1} << 62), "should have 4611686018427387904 bytes; at most"},
      {with_length(~std::uint64_t{0}), "at most"},
      {with_length(5000), "should have 5000 bytes"},
      {with_length(0), "no JSON"},
      {with_length(10), "no JSON"},
      {raw_safetensors("[]", ""), "an array where it should not"},
      {raw_safetensors("5", ""), "a number where it should not"},
      {raw_safetensors(deep, ""), "an array where it should not"},
      {raw_safetensors(R"({"x":)" + deep, ""), "an array where it should not"},
      {raw_safetensors("{\"x\xff\":" + good + "}", "12345678"), "no JSON"},
      {raw_safetensors("{} {}", ""), "no JSON"},
      {raw_safetensors(R"({"__metadata__":{"a":5}})", ""), "a number where it should not"},
      {raw_safetensors(R"({"__metadata__":{"a":{"b":"c"}}})", ""), "an object where it should not"},
      {raw_safetensors(R"({"x":)" + good + R"(,"x":)" + tensor("F32", "0", "8,8") + "}", "12345678"), "twice"},
      {raw_safetensors("{\"" + std::string(2000, 'n') + "\":" + good + "}", "12345678"), "a name of more than"},
      {in_header("5"), "a number where it should not"},
      {in_header("{}"), "lacks the field dtype"},
      {in_header(R"({"dtype":"F32","shape":[2]})"), "lacks the field data_offsets"},
      {in_header(R"({"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]})"), "the field dtype twice"},
      {in_header(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1})"), "unknown field"},
      {in_header(R"({"dtype":5,"shape":[2],"data_offsets":[0,8]})"), "a number where it should not"},
      {in_header(R"({"dtype":"F32","shape":"2","data_offsets":[0,8]})"), "a text where it should not"},
      {in_header(tensor("F31", "2", "0,8")), "unknown dtype \"F31\""},
      {in_header(tensor("F32", "-2", "0,8")), "a negative number"},
      {in_header(tensor("F32", "2.5", "0,8")), "a fraction"},
      {in_header(tensor("F32", "[2]", "0,8")), "an array where it should not"},
      {in_header(tensor("F32", "1,1,1,1,1,1,1,1,2", "0,8")), "more than 8 dimensions"},
      {in_header(tensor("F32", "4294967296,4294967296,4", "0,8")), "more bytes than 64 bits"},
      {in_header(tensor("F32", "18446744073709551616", "0,8")), "a fraction where it should not"},
      {in_header(tensor("F32", "3", "0,8")), "has 8 bytes; its shape and type make 12"},
      {in_header(tensor("F32", "2", "0")), "fewer than two"},
      {in_header(tensor("F32", "2", "0,8,8")), "more than two"},
      {in_header(tensor("F32", "2", "8,0")), "lies at bytes 8 to 0"},
      {in_header(tensor("F32", "2", "8,16")), "lies at bytes 8 to 16, and there are 8"},
      {in_header(tensor("F32", "1", "0,4")), "end at byte 4, and there are 8"},
      {in_header(tensor("F32", "1", "4,8")), "past a gap from byte 0"},
      {raw_safetensors(R"({"a":)" + tensor("F32", "1", "0,4") + R"(,"b":)" + tensor("F32", "1", "2,6") + "}", "123456"),
       "begins at byte 2, inside the one before it"},
      {in_header(good) + "9", "end at byte 8, and there are 9"},
  };
  for (const auto& [content, says] : wrong) {
    const auto opened = open(folder, content);
    INFO(says);
    REQUIRE_FALSE(opened);
    CAPTURE(opened.error().message);
    CHECK(opened.error().message.find(says) != std::string::npos);
    CHECK(opened.error().message.size() < 400);
  }
  CHECK(safetensors_file::open(folder.path() / "absent").error().code == errc::not_found);
  CHECK_FALSE(safetensors_file::open(folder.path()));
}

TEST_CASE("whatever is done to a file, what opens holds together", "[safetensors]") {
  const test::temporary_folder folder;
  test::safetensors_writer writer;
  writer.add("first.weight", {2, 3}, {1, 2, 3, 4, 5, 6});
  writer.add("second", {1}, {7});
  const std::string whole = writer.file();
  random_stream random(5);
  std::size_t n_opened = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string bytes = whole;
    for (std::size_t n = 1 + random.below(3); n > 0; --n)
      bytes[random.below(bytes.size())] =
          static_cast<char>(random.below(4) == 0 ? random.below(256) : '0' + random.below(10));
    if (random.below(4) == 0) bytes.resize(random.below(bytes.size() + 1));
    const auto file = open(folder, bytes);
    if (!file) continue;
    ++n_opened;
    for (const safetensor& each : file->tensors()) {
      std::size_t sum = 0;
      for (const std::byte byte : file->data(each))
        sum += std::to_integer<std::size_t>(byte);
      CHECK(sum <= 255 * file->data(each).size());
      CHECK(file->find(each.name) == &each);
    }
  }
  CHECK(n_opened > 0);
}
