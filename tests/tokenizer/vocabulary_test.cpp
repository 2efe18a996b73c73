// What a file may get wrong about its tokenizer, and what the error says.
#include "runtime/tokenizer/vocabulary.hpp"

#include "catch.hpp"
#include "vocabulary_file.hpp"

#include <functional>
#include <string>
#include <vector>

using namespace troupe;

namespace {

error error_after(const std::function<void(test::vocabulary_file&)>& change) {
  auto file = test::tiny_vocabulary();
  change(file);
  const auto made = file.read();
  return made ? error{} : made.error();
}

void check_refused(const std::function<void(test::vocabulary_file&)>& change, errc code, const std::string& key,
                   const std::vector<std::string>& said) {
  const error e = error_after(change);
  INFO("error: " << e.message);
  CHECK(e.code == code);
  CHECK(e.param == key);
  for (const auto& words : said) {
    INFO("expected: " << words);
    CHECK(e.message.find(words) != std::string::npos);
  }
}

std::vector<std::string>& tokens(test::vocabulary_file& f) {
  return f.string_arrays["tokenizer.ggml.tokens"];
}
std::vector<std::string>& merges(test::vocabulary_file& f) {
  return f.string_arrays["tokenizer.ggml.merges"];
}
std::vector<std::int32_t>& kinds(test::vocabulary_file& f) {
  return f.int_arrays["tokenizer.ggml.token_type"];
}

}  // namespace

TEST_CASE("the byte alphabet is a bijection", "[tokenizer]") {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string bytes(1, static_cast<char>(byte));
    std::string back;
    if (!append_alphabet_bytes(back, test::in_alphabet(bytes)) || back != bytes) FAIL("byte " << byte);
  }
  CHECK(test::in_alphabet(" a\n") == "Ġa\u010A");
  std::string out;
  for (const std::string bad : {" ", "\n", "\u00AD", "\u0144", "世", "\xFF", "a\xC4"})
    CHECK_FALSE(append_alphabet_bytes(out, bad));
}

TEST_CASE("another kind of tokenizer is refused by its name", "[tokenizer]") {
  check_refused([](auto& f) { f.strings["tokenizer.ggml.model"] = "bert"; }, errc::unsupported, "tokenizer.ggml.model",
                {"\"bert\"", "\"gpt2\""});
  check_refused([](auto& f) { f.strings["tokenizer.ggml.pre"] = "llama-bpe"; }, errc::unsupported, "tokenizer.ggml.pre",
                {"\"qwen2\"", "\"smollm\""});
  check_refused([](auto& f) { f.bools["tokenizer.ggml.add_space_prefix"] = true; }, errc::unsupported,
                "tokenizer.ggml.add_space_prefix", {"true"});
  check_refused([](auto& f) { f.strings.clear(); }, errc::corrupt, "tokenizer.ggml.model", {"no tokenizer.ggml.model"});
  for (const std::string key : {"tokenizer.ggml.tokens", "tokenizer.ggml.merges"})
    check_refused([&](auto& f) { f.string_arrays.erase(key); }, errc::corrupt, key, {key});
  check_refused([](auto& f) { f.int_arrays.clear(); }, errc::corrupt, "tokenizer.ggml.token_type", {"token_type"});
}

TEST_CASE("a malformed vocabulary is refused, and the error names the entry", "[tokenizer]") {
  const std::string key = "tokenizer.ggml.tokens";
  check_refused([](auto& f) { tokens(f)[70] = "a b"; }, errc::corrupt, key, {"tokens[70]", "\"a b\"", "alphabet"});
  check_refused([](auto& f) { tokens(f)[70] = "世"; }, errc::corrupt, key, {"tokens[70]", "alphabet"});
  check_refused([](auto& f) { tokens(f)[70] = "\xFF\n" + std::string(500, 'x'); }, errc::corrupt, key,
                {"\"\uFFFD?xxx", "…\""});
  check_refused([](auto& f) { tokens(f)[70] = ""; }, errc::corrupt, key, {"tokens[70]", "empty"});
  check_refused([](auto& f) { tokens(f)[2] = ""; }, errc::corrupt, key, {"tokens[2]", "empty"});
  check_refused([](auto& f) { tokens(f)[104] = "a"; }, errc::corrupt, key, {"tokens[104]", "\"a\"", "repeats"});
  check_refused([](auto& f) { tokens(f)[3] = "<|im_end|>"; }, errc::corrupt, key, {"tokens[3]", "repeats entry 2"});
  check_refused([](auto& f) { tokens(f).clear(), kinds(f).clear(); }, errc::corrupt, key, {"empty"});

  const std::string kinds_key = "tokenizer.ggml.token_type";
  check_refused([](auto& f) { kinds(f).pop_back(); }, errc::corrupt, kinds_key, {"273", "274"});
  check_refused([](auto& f) { kinds(f)[9] = 7; }, errc::corrupt, kinds_key, {"token_type[9] is 7"});
  check_refused([](auto& f) { kinds(f)[9] = -1; }, errc::corrupt, kinds_key, {"token_type[9] is -1"});
}

TEST_CASE("malformed merges are refused, and the error names the entry", "[tokenizer]") {
  const std::string key = "tokenizer.ggml.merges";
  for (const std::string bad : {"", "ab", " ab", "ab ", " "})
    check_refused([&](auto& f) { merges(f)[5] = bad; }, errc::corrupt, key, {"merges[5]", "two tokens"});
  check_refused([](auto& f) { merges(f)[5] = "a b c"; }, errc::corrupt, key, {"merges[5]", "alphabet"});
  check_refused([](auto& f) { merges(f)[5] = "世 a"; }, errc::corrupt, key, {"merges[5]", "alphabet"});
  check_refused([](auto& f) { merges(f)[5] = "qq a"; }, errc::corrupt, key, {"merges[5]", "joins"});
  check_refused([](auto& f) { merges(f)[5] = "a qq"; }, errc::corrupt, key, {"merges[5]", "joins"});
  check_refused([](auto& f) { merges(f)[5] = "q q"; }, errc::corrupt, key, {"merges[5]", "\"q q\"", "makes"});
}

TEST_CASE("ids outside the vocabulary are refused", "[tokenizer]") {
  for (const std::string role : {"bos", "eos", "eot", "eom"}) {
    const std::string key = "tokenizer.ggml." + role + "_token_id";
    check_refused([&](auto& f) { f.uints[key] = 274; }, errc::corrupt, key, {key + " is 274"});
    check_refused([&](auto& f) { f.uints[key] = 0xFFFFFFFFFFFFFFFF; }, errc::corrupt, key, {key});
  }
  check_refused(
      [](auto& f) {
        f.uints.erase("tokenizer.ggml.bos_token_id");
        f.bools["tokenizer.ggml.add_bos_token"] = true;
      },
      errc::corrupt, "tokenizer.ggml.add_bos_token", {"bos_token_id"});
}
