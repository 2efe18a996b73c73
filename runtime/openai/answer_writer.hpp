// The objects of an answer as JSON: chat.completion, chat.completion.chunk, text_completion. All fixed parts are put
// together once for an answer; a chunk is three copies and the escaped text. Cost: well under a microsecond a chunk.
#pragma once

#include "runtime/openai/generation_plan.hpp"
#include "runtime/openai/logprob_writer.hpp"
#include "runtime/openai/tool_call_reader.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace troupe::openai {

/// A finished choice.
struct written_choice {
  std::string_view text;
  const logprob_writer* logprobs = nullptr;  // null: none were asked for
  finish_reason reason = finish_reason::stop;
  std::span<const tool_call> calls = {};
};

class answer_writer {
 public:
  explicit answer_writer(const answer_format& format);

  // One event of a stream each, appended to `out`.
  void append_role(std::string& out, std::size_t choice) const;  // chat only
  void append_text(std::string& out, std::size_t choice, std::string_view text, const logprob_writer* logprobs) const;
  void append_call(std::string& out, std::size_t choice, std::size_t index, const tool_call& call) const;  // chat only
  void append_finish(std::string& out, std::size_t choice, finish_reason reason, bool calls_tools) const;
  void append_usage(std::string& out, const token_usage& usage) const;

  /// The whole answer.
  std::string whole(std::span<const written_choice> choices, const token_usage& usage) const;

 private:
  void open_chunk(std::string& out, std::size_t choice) const;
  void append_call_object(std::string& out, std::size_t choice, std::size_t index, const tool_call& call) const;
  void append_whole_choice(std::string& out, std::size_t index, const written_choice& choice) const;

  const bool chat_;
  const std::string id_;
  std::string chunk_head_;  // up to the choice's index
  std::string chunk_tail_;  // from the end of the choice on
  std::string whole_head_;
};

}  // namespace troupe::openai
