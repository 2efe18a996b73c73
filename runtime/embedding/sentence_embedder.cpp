#include "runtime/embedding/sentence_embedder.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

result<std::unique_ptr<sentence_embedder>> sentence_embedder::load(const std::filesystem::path& folder,
                                                                   const kernels::table& table, thread_pool& pool,
                                                                   std::uint32_t rows_per_pass) {
  const auto in_folder = [&](error failure) {
    failure.message = "The embedding model in " + folder.string() + ": " + failure.message;
    return failure;
  };
  const auto config = read_bert_config(folder);
  if (!config) return in_folder(config.error());
  auto words = wordpiece_tokenizer::load(folder / "vocab.txt");
  if (!words) return in_folder(words.error());
  if ((*words)->vocabulary_size() > config->n_vocab)
    return in_folder(make_error(errc::corrupt, "vocab.txt has " + std::to_string((*words)->vocabulary_size()) +
                                                   " tokens, and config.json says " + std::to_string(config->n_vocab) +
                                                   "."));
  auto file = safetensors_file::open(folder / "model.safetensors");
  if (!file) return in_folder(file.error());
  const std::uint32_t max_rows = std::max(rows_per_pass, config->max_tokens);
  auto encoder = bert_encoder::load(std::move(*file), *config, table, pool, max_rows);
  if (!encoder) return in_folder(encoder.error());
  std::unique_ptr<sentence_embedder> made(new sentence_embedder);
  made->tokenizer_ = std::move(*words);
  made->encoder_ = std::move(*encoder);
  return made;
}

result<std::vector<token_id>> sentence_embedder::tokens_of(const embedding_input& input,
                                                           const std::string& name) const {
  const auto* given = std::get_if<std::vector<token_id>>(&input);
  std::vector<token_id> tokens;
  if (const auto* text = std::get_if<std::string>(&input)) {
    if (text->empty()) return make_error(errc::invalid_argument, name + " must not be an empty text.", name);
    tokens = tokenizer_->encode(*text, max_tokens());
  } else if (given->empty()) {
    return make_error(errc::invalid_argument, name + " must have at least one token.", name);
  } else if (given->size() <= max_tokens()) {
    tokens = *given;
  }
  if (tokens.empty() || tokens.size() > max_tokens())
    return make_error(errc::context_length_exceeded,
                      "This model's maximum context length is " + std::to_string(max_tokens()) + " tokens, and " +
                          name + " has more" + (given ? " (" + std::to_string(given->size()) + ")" : "") +
                          ". Please cut it into shorter inputs.",
                      name);
  const auto bad = std::ranges::find_if(
      tokens, [&](token_id id) { return id < 0 || static_cast<std::uint32_t>(id) >= vocabulary_size(); });
  if (bad != tokens.end())
    return make_error(errc::invalid_argument,
                      name + " has the token id " + std::to_string(*bad) + "; the vocabulary has the ids 0 to " +
                          std::to_string(vocabulary_size() - 1) + ".",
                      name);
  return tokens;
}

}  // namespace troupe
