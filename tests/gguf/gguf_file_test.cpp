#include "runtime/gguf/gguf_file.hpp"

#include "catch.hpp"
#include "exercise.hpp"
#include "raw_gguf.hpp"
#include "runtime/gguf/gguf_writer.hpp"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

using namespace troupe;
using kernels::weight_type;

namespace {

struct scratch_folder {
  scratch_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "troupe_gguf_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~scratch_folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

std::vector<std::byte> counted(std::size_t n) {
  std::vector<std::byte> bytes(n);
  for (std::size_t i = 0; i < n; ++i)
    bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

template <class T>
using limits = std::numeric_limits<T>;

}  // namespace

TEST_CASE("values come back as they were written, converted where they fit") {
  gguf_writer writer;
  writer.add("u8", std::uint8_t{200});
  writer.add("i8", std::int8_t{-3});
  writer.add("u16", std::uint16_t{65535});
  writer.add("i16", std::int16_t{300});
  writer.add("u32", limits<std::uint32_t>::max());
  writer.add("i32", limits<std::int32_t>::min());
  writer.add("u64", limits<std::uint64_t>::max());
  writer.add("i64", limits<std::int64_t>::max());
  writer.add("f32", 0.1f);
  writer.add("f64", 1e300);
  writer.add("yes", true);
  writer.add("no", false);
  writer.add("text", std::string("Grüße\0!", 9));
  writer.add("empty", std::string());
  const std::vector<std::byte> bytes = writer.build();
  const auto parsed = gguf_file::parse(bytes);
  REQUIRE(parsed);
  const gguf_file& file = **parsed;

  CHECK(file.get_uint("u8") == 200U);
  CHECK(file.get_uint("i8") == std::nullopt);
  CHECK(file.get_uint("u16") == 65535U);
  CHECK(file.get_uint("i16") == 300U);
  CHECK(file.get_uint("u32") == 4294967295U);
  CHECK(file.get_uint("i32") == std::nullopt);
  CHECK(file.get_uint("u64") == limits<std::uint64_t>::max());
  CHECK(file.get_uint("i64") == static_cast<std::uint64_t>(limits<std::int64_t>::max()));
  CHECK(file.get_float("f32") == static_cast<double>(0.1f));
  CHECK(file.get_float("f64") == 1e300);
  CHECK(file.get_bool("yes") == true);
  CHECK(file.get_bool("no") == false);
  CHECK(file.get_string("text") == std::string_view("Grüße\0!", 9));
  CHECK(file.get_string("empty") == std::string_view());

  CHECK(file.get_uint("absent") == std::nullopt);
  CHECK(file.get_uint("yes") == std::nullopt);
  CHECK(file.get_uint("f32") == std::nullopt);
  CHECK(file.get_float("u8") == std::nullopt);
  CHECK(file.get_bool("u8") == std::nullopt);
  CHECK(file.get_string("u8") == std::nullopt);
  CHECK(!file.get_strings("text"));
  CHECK(file.get_ints("u8") == std::nullopt);
  CHECK(file.n_keys() == 14);
  CHECK(file.key(4) == "u32");
}

TEST_CASE("arrays come back as they were written, converted where they all fit") {
  gguf_writer writer;
  writer.add("strings", std::vector<std::string>{"a", "", "ccc"});
  writer.add("none", std::vector<std::string>{});
  writer.add("i32", std::vector<std::int32_t>{-1, 0, limits<std::int32_t>::max()});
  writer.add("u8", std::vector<std::uint8_t>{0, 255});
  writer.add("i8", std::vector<std::int8_t>{-128, 127});
  writer.add("u32", std::vector<std::uint32_t>{1, 0x80000000});
  writer.add("f32", std::vector<float>{0.5f, -0.0f});
  const std::vector<std::byte> bytes = writer.build();
  const auto parsed = gguf_file::parse(bytes);
  REQUIRE(parsed);
  const gguf_file& file = **parsed;

  REQUIRE(file.get_strings("strings"));
  CHECK(test::listed(*file.get_strings("strings")) == std::vector<std::string_view>{"a", "", "ccc"});
  REQUIRE(file.get_strings("none"));
  CHECK(file.get_strings("none")->empty());
  CHECK(file.get_ints("i32") == std::vector<std::int32_t>{-1, 0, limits<std::int32_t>::max()});
  CHECK(file.get_ints("u8") == std::vector<std::int32_t>{0, 255});
  CHECK(file.get_ints("i8") == std::vector<std::int32_t>{-128, 127});
  CHECK(file.get_ints("u32") == std::nullopt);  // the second is past int32
  CHECK(file.get_floats("f32") == std::vector<float>{0.5f, -0.0f});
  CHECK(file.get_floats("i32") == std::nullopt);
  CHECK(file.get_ints("f32") == std::nullopt);
  CHECK(file.get_ints("strings") == std::nullopt);
  CHECK(!file.get_strings("i32"));
}

TEST_CASE("tensors come back with their shapes and bytes, at any alignment") {
  for (const std::uint32_t alignment : {8U, 32U, 64U, 4096U}) {
    gguf_writer writer(alignment);
    writer.add_tensor("floats", weight_type::f32, {3, 2}, counted(24));
    writer.add_tensor("halves", weight_type::f16, {5}, counted(10));
    writer.add_tensor("nibbles", weight_type::q4_1, {64, 2, 1, 3}, counted(240));
    writer.add_tensor("bytes", weight_type::q8_0, {32}, counted(34));
    const std::vector<std::byte> bytes = writer.build();
    const auto parsed = gguf_file::parse(bytes);
    REQUIRE(parsed);
    const gguf_file& file = **parsed;
    REQUIRE(file.n_tensors() == 4);
    CHECK(file.tensor(0).name == "floats");
    const auto nibbles = file.find_tensor("nibbles");
    REQUIRE(nibbles);
    CHECK(nibbles->type == weight_type::q4_1);
    CHECK(nibbles->dims == std::vector<std::uint64_t>{64, 2, 1, 3});
    const std::vector<std::byte> expected = counted(240);
    CHECK(std::equal(nibbles->data.begin(), nibbles->data.end(), expected.begin(), expected.end()));
    for (std::size_t i = 0; i < file.n_tensors(); ++i)
      CHECK((file.tensor(i).data.data() - bytes.data()) % alignment == 0);
    CHECK_FALSE(file.find_tensor("absent"));
    test::exercise(file, bytes);
  }
}

TEST_CASE("a file on disk is mapped, and bytes given back can be read again") {
  const scratch_folder folder;
  const auto path = folder.path / "model.gguf";
  gguf_writer writer;
  writer.add_tensor("a", weight_type::f32, {4096, 4}, counted(65536));
  writer.add_tensor("b", weight_type::f32, {4096, 4}, counted(65536));
  REQUIRE(writer.write(path));
  CHECK_FALSE(std::filesystem::exists(folder.path / "model.gguf.partial"));
  const auto opened = gguf_file::open(path);
  REQUIRE(opened);
  const gguf_file& file = **opened;
  CHECK(file.size_bytes() == std::filesystem::file_size(path));
  const auto data = file.find_tensor("a")->data;
  CHECK(data[300] == std::byte{300 % 256});
  file.release(data);
  file.release({});
  CHECK(data[300] == std::byte{300 % 256});
  CHECK(file.find_tensor("b")->data[0] == std::byte{0});
}

TEST_CASE("what cannot be a model file says so") {
  const scratch_folder folder;
  const auto failure = [](const std::filesystem::path& path) {
    const auto file = gguf_file::open(path);
    REQUIRE_FALSE(file);
    INFO(file.error().message);
    CHECK(file.error().message.find(path.string()) == 0);
    return file.error().code;
  };
  CHECK(failure(folder.path / "absent.gguf") == errc::not_found);
  CHECK(failure(folder.path) == errc::invalid_argument);
  const auto pipe = folder.path / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(failure(pipe) == errc::invalid_argument);
  const auto text = folder.path / "readme.txt";
  std::ofstream(text).close();
  CHECK(failure(text) == errc::corrupt);
  std::ofstream(text) << "This text is longer than a header and is not a model.";
  CHECK(failure(text) == errc::corrupt);
  CHECK_FALSE(gguf_writer().write(folder.path / "absent" / "model.gguf"));
}

TEST_CASE("descriptions beyond 4 GiB are refused before they are indexed") {
  const scratch_folder folder;
  const auto path = folder.path / "long.gguf";
  constexpr std::uint64_t length = std::uint64_t{5} << 30;  // a hole in the file: no disk is taken
  test::raw_gguf head(0, 2);
  head.string("a").type(gguf::value_type::string).number(length);
  test::raw_gguf rest(0, 0);
  rest.string("b").type(gguf::value_type::u8).number(std::uint8_t{1});
  const auto tail = rest.bytes().subspan(gguf::header_bytes);
  const auto write = [](std::ofstream& out, std::span<const std::byte> bytes) {
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  };
  std::ofstream out(path, std::ios::binary);
  write(out, head.bytes());
  out.seekp(static_cast<std::streamoff>(head.bytes().size() + length));
  write(out, tail);
  out.close();
  REQUIRE(out);
  const auto file = gguf_file::open(path);
  REQUIRE_FALSE(file);
  CHECK(file.error().code == errc::unsupported);
  CHECK(file.error().message.find("take more than 4 GiB") != std::string::npos);
}

TEST_CASE("SmolLM2-135M-Instruct holds what its authors say") {
  const char* path = std::getenv("TROUPE_TEST_MODEL");
  if (path == nullptr || !std::filesystem::exists(path)) {
    std::cout << "skipped: TROUPE_TEST_MODEL names no file\n";
    return;
  }
  const auto opened = gguf_file::open(path);
  REQUIRE(opened);
  const gguf_file& file = **opened;
  CHECK(file.get_string("general.architecture") == "llama");
  CHECK(file.get_uint("llama.block_count") == 30U);
  CHECK(file.get_uint("llama.embedding_length") == 576U);
  CHECK(file.get_uint("llama.attention.head_count") == 9U);
  CHECK(file.get_uint("llama.attention.head_count_kv") == 3U);
  CHECK(file.get_uint("llama.context_length") == 8192U);
  CHECK(file.get_float("llama.rope.freq_base") == 100000.0);
  CHECK(file.get_bool("tokenizer.ggml.add_bos_token") == false);
  const auto tokens = file.get_strings("tokenizer.ggml.tokens");
  REQUIRE(tokens);
  CHECK(tokens->size() == 49152);
  CHECK(*std::next(tokens->begin()) == "<|im_start|>");
  CHECK(file.get_strings("tokenizer.ggml.merges")->size() == 48900);
  const auto types = file.get_ints("tokenizer.ggml.token_type");
  REQUIRE(types);
  CHECK(types->size() == 49152);
  CHECK(types->front() == 3);
  CHECK(types->back() == 1);
  CHECK(file.n_tensors() == 272);
  const auto embeddings = file.find_tensor("token_embd.weight");
  REQUIRE(embeddings);
  CHECK(embeddings->type == weight_type::q8_0);
  CHECK(embeddings->dims == std::vector<std::uint64_t>{576, 49152});
  CHECK(embeddings->data.size() == std::size_t{49152} * 576 / 32 * 34);
  CHECK(file.find_tensor("blk.29.ffn_down.weight")->type == weight_type::q4_1);
  CHECK_FALSE(file.find_tensor("output.weight"));
}
