// From a conversation to the tokens a model continues: the one way, for the HTTP endpoint and for the client library.
// Cost: that of the template and the tokenizer, both linear in the text.
#pragma once

#include "base/result.hpp"
#include "runtime/template/chat_template.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace troupe {

struct encoded_chat {
  std::vector<token_id> tokens;
  std::string text;  // what they say, names of control tokens included
};

/// context: the template's variables, an object with "messages" and "add_generation_prompt"; bos_token, eos_token and
/// an absent "tools" are added. What the client wrote never becomes a control token. continued: the prompt ends where
/// this text of the last message ends, whatever the template closes a message with.
/// Errors: what the template raises; invalid_argument when it does not write the continued text as it is.
result<encoded_chat> encode_chat(const chat_template& chat, const tokenizer& vocabulary, nlohmann::ordered_json context,
                                 const std::optional<std::string>& continued = {});

}  // namespace troupe
