// A GGUF file that is nothing but metadata, and a small vocabulary in it, so that the tokenizer is tested without a
// model.
#pragma once

#include "base/assert.hpp"
#include "base/utf8.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/gguf/gguf_writer.hpp"
#include "runtime/tokenizer/byte_alphabet.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::test {

/// The keys of a file, to be changed before they are written.
struct vocabulary_file {
  std::map<std::string, std::uint64_t> uints;
  std::map<std::string, bool> bools;
  std::map<std::string, std::string> strings;
  std::map<std::string, std::vector<std::string>> string_arrays;
  std::map<std::string, std::vector<std::int32_t>> int_arrays;
  std::map<std::string, std::vector<float>> float_arrays;

  result<std::shared_ptr<const tokenizer>> read() const {
    gguf_writer writer;
    const auto add_all = [&](const auto& values) {
      for (const auto& [key, value] : values)
        writer.add(key, value);
    };
    add_all(uints);
    add_all(bools);
    add_all(strings);
    add_all(string_arrays);
    add_all(int_arrays);
    add_all(float_arrays);
    const std::vector<std::byte> bytes = writer.build();
    const auto file = gguf_file::parse(bytes);
    TROUPE_ASSERT(file, "the writer writes what the reader reads");
    return tokenizer::from_gguf(**file);
  }
};

/// Bytes as a vocabulary writes them.
inline std::string in_alphabet(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes)
    append_utf8(text, alphabet_character(static_cast<std::uint8_t>(byte)));
  return text;
}

inline constexpr token_id first_byte_token = 6;  // the token of byte b is first_byte_token + b

/// Six special tokens (0 to 3 control, 4 and 5 user-defined), the 256 bytes, then what these merges make, in their
/// order: h+e l+l he+ll hell+o ␣+w o+r ␣w+or l+d ␣wor+ld a+a aa+aa ␣+␣
inline vocabulary_file tiny_vocabulary() {
  vocabulary_file file;
  file.strings["tokenizer.ggml.model"] = "gpt2";
  file.strings["tokenizer.ggml.pre"] = "smollm";
  auto& tokens = file.string_arrays["tokenizer.ggml.tokens"];
  auto& kinds = file.int_arrays["tokenizer.ggml.token_type"];
  auto& merges = file.string_arrays["tokenizer.ggml.merges"];
  tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im|>", "<tool>", "<tool> call"};
  kinds = {3, 3, 3, 3, 4, 4};
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back(in_alphabet(std::string(1, static_cast<char>(byte))));
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"h", "e"},   {"l", "l"}, {"he", "ll"},   {"hell", "o"}, {" ", "w"},   {"o", "r"},
      {" w", "or"}, {"l", "d"}, {" wor", "ld"}, {"a", "a"},    {"aa", "aa"}, {" ", " "}};
  for (const auto& [left, right] : pairs) {
    tokens.push_back(in_alphabet(left + right));
    merges.push_back(in_alphabet(left) + " " + in_alphabet(right));
  }
  kinds.resize(tokens.size(), 1);
  file.uints["tokenizer.ggml.bos_token_id"] = 1;
  file.uints["tokenizer.ggml.eos_token_id"] = 2;
  file.bools["tokenizer.ggml.add_bos_token"] = false;
  file.bools["tokenizer.ggml.add_space_prefix"] = false;
  return file;
}

inline std::shared_ptr<const tokenizer> tiny_tokenizer() {
  auto made = tiny_vocabulary().read();
  TROUPE_ASSERT(made, "the tiny vocabulary is well-formed");
  return *std::move(made);
}

}  // namespace troupe::test
