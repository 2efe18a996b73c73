// Reads a tokenizer from the metadata of a GGUF file
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer).
#include "runtime/tokenizer/tokenizer.hpp"

#include "runtime/gguf/gguf_file.hpp"
#include "runtime/tokenizer/byte_pair_tokenizer.hpp"

#include <array>
#include <utility>

namespace troupe {
namespace {

// Control tokens that end an answer in one model family or another, whatever the file names as eos.
constexpr std::array<std::string_view, 7> end_names = {"<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>",
                                                       "<|eom_id|>", "<|end|>",       "<end_of_turn>"};

error missing(const char* key) {
  return make_error(
      errc::corrupt,
      std::string("The file has no ") + key + ", or not of the right type; without it there is no tokenizer.", key);
}

result<> check_string(const gguf_file& file, const char* key, std::string_view supported) {
  const auto value = file.get_string(key);
  if (!value) return missing(key);
  if (*value == supported) return {};
  return make_error(
      errc::unsupported,
      std::string(key) + " is " + quoted(*value) + "; this build supports \"" + std::string(supported) + "\".", key);
}

result<> check_kind(const gguf_file& file) {
  if (auto model = check_string(file, "tokenizer.ggml.model", "gpt2"); !model) return model;
  if (auto pre = check_string(file, "tokenizer.ggml.pre", "smollm"); !pre) return pre;
  constexpr const char* prefix_key = "tokenizer.ggml.add_space_prefix";
  if (file.get_bool(prefix_key).value_or(false)) {
    return make_error(errc::unsupported,
                      "tokenizer.ggml.add_space_prefix is true; this build supports the tokenizer \"gpt2\" without it.",
                      prefix_key);
  }
  return {};
}

result<std::optional<token_id>> read_id(const gguf_file& file, const char* key, const vocabulary& words) {
  const auto id = file.get_uint(key);
  if (!id) return std::optional<token_id>();
  if (*id < words.size()) return std::optional(static_cast<token_id>(*id));
  return make_error(errc::corrupt,
                    std::string(key) + " is " + std::to_string(*id) + ", but the vocabulary has only " +
                        std::to_string(words.size()) + " tokens.",
                    key);
}

result<byte_pair_tokenizer::roles> read_roles(const gguf_file& file, const vocabulary& words) {
  byte_pair_tokenizer::roles roles;
  const auto bos = read_id(file, "tokenizer.ggml.bos_token_id", words);
  if (!bos) return bos.error();
  const auto eos = read_id(file, "tokenizer.ggml.eos_token_id", words);
  if (!eos) return eos.error();
  roles.bos = *bos;
  roles.eos = *eos;
  for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    const auto end = read_id(file, key, words);
    if (!end) return end.error();
    if (*end) roles.ends.push_back(**end);
  }
  for (const auto name : end_names) {
    const auto id = words.find_name(name);
    if (id && words.kind(*id) == token_kind::control) roles.ends.push_back(*id);
  }
  constexpr const char* add_bos_key = "tokenizer.ggml.add_bos_token";
  roles.adds_bos = file.get_bool(add_bos_key).value_or(false);
  if (roles.adds_bos && !roles.bos) {
    return make_error(errc::corrupt,
                      "tokenizer.ggml.add_bos_token is true, but tokenizer.ggml.bos_token_id names no token to add.",
                      add_bos_key);
  }
  return roles;
}

}  // namespace

result<std::shared_ptr<const tokenizer>> tokenizer::from_gguf(const gguf_file& file) {
  if (auto kind = check_kind(file); !kind) return kind.error();
  const auto texts = file.get_strings("tokenizer.ggml.tokens");
  if (!texts) return missing("tokenizer.ggml.tokens");
  const auto kinds = file.get_ints("tokenizer.ggml.token_type");
  if (!kinds) return missing("tokenizer.ggml.token_type");
  const auto pairs = file.get_strings("tokenizer.ggml.merges");
  if (!pairs) return missing("tokenizer.ggml.merges");

  auto words = vocabulary::read(*texts, *kinds);
  if (!words) return words.error();
  auto merges = merge_table::read(*pairs, *words);
  if (!merges) return merges.error();
  auto roles = read_roles(file, *words);
  if (!roles) return roles.error();
  return std::shared_ptr<const tokenizer>(
      std::make_shared<byte_pair_tokenizer>(*std::move(words), *std::move(merges), *std::move(roles)));
}

}  // namespace troupe
