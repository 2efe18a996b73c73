// The logprobs objects of OpenAI's two styles, written token by token.
//
//   chat        {"content":[{"token","logprob","bytes","top_logprobs":[…]}],"refusal":null}
//   completion  {"tokens":[…],"token_logprobs":[…],"top_logprobs":[{token: logprob}],"text_offset":[…]}
//
// A token that is no whole character is shown as its text with U+FFFD in chat, where "bytes" has the truth, and as
// "bytes:\xe2\x80" in completions, as OpenAI does, so that two of them stay two keys.
#pragma once

#include "base/generation.hpp"
#include "runtime/openai/generation_plan.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace troupe::openai {

class logprob_writer {
 public:
  /// The vocabulary must outlive the writer.
  logprob_writer(answer_kind kind, const tokenizer& vocabulary, std::int32_t alternatives);

  /// A token and its logprob; nothing for the first token of a prompt, which has none. Offset: characters of the text
  /// before it.
  void add(token_id token, std::optional<float> logprob, std::span<const token_logprob> top, std::size_t text_offset);
  bool empty() const { return first_.empty(); }
  void clear();
  /// The object with everything added since the last clear().
  void append_to(std::string& out) const;

 private:
  void add_chat(token_id token, float logprob, std::span<const token_logprob> top);
  void add_completion(token_id token, std::optional<float> logprob, std::span<const token_logprob> top,
                      std::size_t text_offset);
  void append_chat_token(std::string& out, token_id token, float logprob);
  std::string completion_token(token_id token) const;
  void append_alternatives(std::string& out, token_id chosen, float logprob, std::span<const token_logprob> top) const;

  const answer_kind kind_;
  const tokenizer& vocabulary_;
  const std::int32_t alternatives_;
  std::string first_;  // chat: the content array; completion: tokens. Arrays without their brackets
  std::string token_logprobs_;
  std::string top_logprobs_;
  std::string text_offsets_;
};

/// Characters of a text that is UTF-8, or of one of its parts, a split character counting where it begins.
std::size_t count_characters(std::string_view text);

}  // namespace troupe::openai
