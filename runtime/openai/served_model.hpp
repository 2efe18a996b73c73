// What the endpoint knows of the model that answers.
#pragma once

#include "base/result.hpp"
#include "runtime/grammar/vocabulary_grammars.hpp"
#include "runtime/template/chat_template.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::openai {

struct served_model {
  std::vector<std::string> names;  // the first is what the engine knows it by; the others are aliases. At least one
  std::shared_ptr<const tokenizer> vocabulary;
  std::shared_ptr<const chat_template> chat;      // null: a model without a template answers completions only
  bool chat_uses_tools = false;                   // the template speaks of tools; else they are told in its messages
  std::shared_ptr<vocabulary_grammars> grammars;  // requests' grammars are tried here first; null: the service does
  std::uint32_t context_length = 0;               // tokens of prompt and answer together
  std::int64_t created = 0;                       // seconds since 1970, for /v1/models
};

/// Success if the model goes by this name; not_found with param "model" otherwise. Empty means the model served.
result<> check_model_name(const served_model& model, std::string_view name);

}  // namespace troupe::openai
