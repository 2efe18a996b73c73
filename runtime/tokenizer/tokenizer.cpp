// Reads a tokenizer from the metadata of a GGUF file
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer).
#include "runtime/tokenizer/tokenizer.hpp"

#include "runtime/gguf/gguf_file.hpp"
#include "runtime/tokenizer/byte_pair_tokenizer.hpp"
#include "runtime/tokenizer/sentencepiece_tokenizer.hpp"

#include <array>
#include <cmath>
#include <limits>
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

result<word_pattern> read_word_pattern(const gguf_file& file) {
  constexpr const char* pre_key = "tokenizer.ggml.pre";
  const auto pre = file.get_string(pre_key);
  if (!pre) return missing(pre_key);
  if (*pre != "smollm" && *pre != "qwen2")
    return make_error(errc::unsupported,
                      std::string(pre_key) + " is " + quoted(*pre) + "; this build supports \"smollm\" and \"qwen2\".",
                      pre_key);
  constexpr const char* prefix_key = "tokenizer.ggml.add_space_prefix";
  if (file.get_bool(prefix_key).value_or(false)) {
    return make_error(errc::unsupported,
                      "tokenizer.ggml.add_space_prefix is true; this build supports the tokenizer \"gpt2\" without it.",
                      prefix_key);
  }
  return *pre == "qwen2" ? word_pattern::qwen2 : word_pattern::smollm;
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

/// adds_bos: where the file does not say.
result<token_roles> read_roles(const gguf_file& file, const vocabulary& words, bool adds_bos) {
  token_roles roles;
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
  roles.adds_bos = file.get_bool(add_bos_key).value_or(adds_bos);
  if (roles.adds_bos && !roles.bos) {
    return make_error(errc::corrupt,
                      "tokenizer.ggml.add_bos_token is true, but tokenizer.ggml.bos_token_id names no token to add.",
                      add_bos_key);
  }
  return roles;
}

result<vocabulary> read_vocabulary(const gguf_file& file, token_spelling spelling) {
  const auto texts = file.get_strings("tokenizer.ggml.tokens");
  if (!texts) return missing("tokenizer.ggml.tokens");
  const auto kinds = file.get_ints("tokenizer.ggml.token_type");
  if (!kinds) return missing("tokenizer.ggml.token_type");
  return vocabulary::read(*texts, *kinds, spelling);
}

using made = result<std::shared_ptr<const tokenizer>>;

made read_byte_pair(const gguf_file& file) {
  const auto pattern = read_word_pattern(file);
  if (!pattern) return pattern.error();
  auto words = read_vocabulary(file, token_spelling::byte_alphabet);
  if (!words) return words.error();
  const auto pairs = file.get_strings("tokenizer.ggml.merges");
  if (!pairs) return missing("tokenizer.ggml.merges");
  auto merges = merge_table::read(*pairs, *words);
  if (!merges) return merges.error();
  auto roles = read_roles(file, *words, false);
  if (!roles) return roles.error();
  return made(
      std::make_shared<byte_pair_tokenizer>(*std::move(words), *std::move(merges), *std::move(roles), *pattern));
}

made read_sentencepiece(const gguf_file& file) {
  auto words = read_vocabulary(file, token_spelling::sentencepiece);
  if (!words) return words.error();
  constexpr const char* scores_key = "tokenizer.ggml.scores";
  auto scores = file.get_floats(scores_key);
  if (!scores) return missing(scores_key);
  if (scores->size() != words->size())
    return make_error(errc::corrupt,
                      std::string(scores_key) + " has " + std::to_string(scores->size()) + " entries for " +
                          std::to_string(words->size()) + " tokens; each token needs one.",
                      scores_key);
  for (float& score : *scores)
    if (std::isnan(score)) score = -std::numeric_limits<float>::infinity();  // merging needs an order
  auto roles = read_roles(file, *words, true);
  if (!roles) return roles.error();
  const bool adds_space = file.get_bool("tokenizer.ggml.add_space_prefix").value_or(true);
  return made(
      std::make_shared<sentencepiece_tokenizer>(*std::move(words), *std::move(scores), *std::move(roles), adds_space));
}

}  // namespace

std::vector<token_id> tokenizer::encode_prompt(std::string_view text, special_tokens mode) const {
  auto ids = encode(text, mode);
  if (adds_bos() && bos()) ids.insert(ids.begin(), *bos());
  return ids;
}

result<std::shared_ptr<const tokenizer>> tokenizer::from_gguf(const gguf_file& file) {
  constexpr const char* model_key = "tokenizer.ggml.model";
  const auto model = file.get_string(model_key);
  if (!model) return missing(model_key);
  if (*model == "gpt2") return read_byte_pair(file);
  if (*model == "llama") return read_sentencepiece(file);
  return make_error(errc::unsupported,
                    std::string(model_key) + " is " + quoted(*model) + "; this build supports \"gpt2\" and \"llama\".",
                    model_key);
}

}  // namespace troupe
