// A GGUF file that is nothing but metadata, and a small vocabulary in it, so that the tokenizer is tested without a
// model.
#pragma once

#include "base/assert.hpp"
#include "base/utf8.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/tokenizer/byte_alphabet.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::test {

class fake_gguf final : public gguf_file {
 public:
  std::map<std::string, std::uint64_t, std::less<>> uints;
  std::map<std::string, bool, std::less<>> bools;
  std::map<std::string, std::string, std::less<>> strings;
  std::map<std::string, std::vector<std::string>, std::less<>> string_arrays;
  std::map<std::string, std::vector<std::int32_t>, std::less<>> int_arrays;

  std::optional<std::uint64_t> get_uint(std::string_view key) const override { return find(uints, key); }
  std::optional<double> get_float(std::string_view) const override { return std::nullopt; }
  std::optional<bool> get_bool(std::string_view key) const override { return find(bools, key); }
  std::optional<std::string_view> get_string(std::string_view key) const override {
    const auto entry = strings.find(key);
    if (entry == strings.end()) return std::nullopt;
    return entry->second;
  }
  const std::vector<std::string_view>* get_strings(std::string_view key) const override {
    const auto entry = string_arrays.find(key);
    if (entry == string_arrays.end()) return nullptr;
    auto& views = views_[std::string(key)];
    views.assign(entry->second.begin(), entry->second.end());
    return &views;
  }
  std::optional<std::vector<std::int32_t>> get_ints(std::string_view key) const override {
    return find(int_arrays, key);
  }
  std::optional<std::vector<float>> get_floats(std::string_view) const override { return std::nullopt; }
  std::vector<std::string_view> keys() const override { return {}; }
  const gguf_tensor* find_tensor(std::string_view) const override { return nullptr; }
  std::span<const gguf_tensor> tensors() const override { return {}; }
  std::uint64_t size_bytes() const override { return 0; }
  void release(std::span<const std::byte>) const override {}

 private:
  template <class Map>
  static std::optional<typename Map::mapped_type> find(const Map& map, std::string_view key) {
    const auto entry = map.find(key);
    if (entry == map.end()) return std::nullopt;
    return entry->second;
  }
  mutable std::map<std::string, std::vector<std::string_view>> views_;
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
inline fake_gguf tiny_vocabulary() {
  fake_gguf file;
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
  auto made = tokenizer::from_gguf(tiny_vocabulary());
  TROUPE_ASSERT(made, "the tiny vocabulary is well-formed");
  return *std::move(made);
}

}  // namespace troupe::test
