#include "runtime/grammar/vocabulary_grammars.hpp"

#include "base/assert.hpp"

#include <string_view>
#include <utility>
#include <vector>

#include <xxhash.h>

namespace troupe {
namespace {

result<std::shared_ptr<const compiled_grammar>> compile(const output_grammar& wanted) {
  switch (wanted.kind) {
    case grammar_kind::none:
      break;
    case grammar_kind::gbnf:
      return compile_gbnf(wanted.source);
    case grammar_kind::json_schema:
      return compile_json_schema(wanted.source);
    case grammar_kind::json_object:
      return compile_json_object();
    case grammar_kind::tool_calls:
      return compile_tool_calls(wanted.source);
  }
  TROUPE_ASSERT(wanted.kind != grammar_kind::none, "no grammar is no grammar to compile");
  return make_error(errc::unsupported, "A grammar of a kind that this version does not know.", "grammar");
}

std::uint64_t key_of(const output_grammar& wanted) {
  return XXH3_64bits_withSeed(wanted.source.data(), wanted.source.size(), static_cast<XXH64_hash_t>(wanted.kind));
}

}  // namespace

vocabulary_grammars::vocabulary_grammars(std::shared_ptr<const tokenizer> vocabulary)
    : vocabulary_(std::move(vocabulary)) {}

result<std::shared_ptr<grammar_matcher>> vocabulary_grammars::find(const output_grammar& wanted) {
  const std::uint64_t key = key_of(wanted);
  if (const auto found = entries_.find(key); found && found->wanted == wanted) return found->matcher;
  auto compiled = compile(wanted);
  if (!compiled) return compiled.error();
  auto made_tokens = tokens();
  if (!made_tokens) return made_tokens.error();
  const std::size_t n_bytes = wanted.source.size() + (*compiled)->bytes() + mask_bytes_each;
  auto matcher = std::make_shared<grammar_matcher>(*std::move(compiled), *std::move(made_tokens), mask_bytes_each);
  entries_.insert(key, std::make_shared<const entry>(entry{wanted, matcher}), n_bytes);
  return matcher;
}

bool vocabulary_grammars::knows(const output_grammar& wanted) {
  const auto found = entries_.find(key_of(wanted));
  return found && found->wanted == wanted;
}

result<std::shared_ptr<const token_set>> vocabulary_grammars::tokens() {
  const std::lock_guard lock(mutex_);
  if (tokens_) return tokens_;
  std::vector<std::string_view> texts(vocabulary_->vocabulary_size());
  std::vector<token_id> ends;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto id = static_cast<token_id>(i);
    texts[i] = vocabulary_->token_bytes(id);
    if (vocabulary_->is_end(id)) ends.push_back(id);
  }
  auto made = token_set::build(texts, ends, [&](token_id id) { return vocabulary_->is_control(id); });
  if (!made) return made.error();
  tokens_ = *std::move(made);
  return tokens_;
}

}  // namespace troupe
