#include "runtime/openai/answer_writer.hpp"

#include "runtime/openai/json_text.hpp"

namespace troupe::openai {
namespace {

std::string head_of(const answer_format& format, std::string_view object) {
  std::string head = "{\"id\":";
  append_json_string(head, format.id);
  head += ",\"object\":";
  append_json_string(head, object);
  head += ",\"created\":";
  append_json_integer(head, format.created);
  head += ",\"model\":";
  append_json_string(head, format.model);
  head += ",\"system_fingerprint\":";
  append_json_string(head, format.fingerprint);
  return head += ",\"choices\":[";
}

void append_usage_object(std::string& out, const token_usage& usage) {
  out += "{\"prompt_tokens\":";
  append_json_integer(out, usage.prompt_tokens);
  out += ",\"completion_tokens\":";
  append_json_integer(out, usage.completion_tokens);
  out += ",\"total_tokens\":";
  append_json_integer(out, std::int64_t{usage.prompt_tokens} + usage.completion_tokens);
  out += ",\"prompt_tokens_details\":{\"cached_tokens\":";
  append_json_integer(out, usage.cached_tokens);
  out += "}}";
}

void append_logprobs(std::string& out, const logprob_writer* logprobs) {
  out += ",\"logprobs\":";
  if (logprobs == nullptr) {
    out += "null";
  } else {
    logprobs->append_to(out);
  }
}

void append_reason(std::string& out, finish_reason reason, bool calls_tools) {
  out += ",\"finish_reason\":";
  append_json_string(out, calls_tools && reason == finish_reason::stop ? "tool_calls" : to_string(reason));
}

}  // namespace

answer_writer::answer_writer(const answer_format& format)
    : chat_(format.kind == answer_kind::chat),
      id_(format.id),
      chunk_head_(head_of(format, chat_ ? "chat.completion.chunk" : "text_completion")),
      chunk_tail_(format.include_usage ? "}],\"usage\":null}" : "}]}"),
      whole_head_(head_of(format, chat_ ? "chat.completion" : "text_completion")) {}

void answer_writer::open_chunk(std::string& out, std::size_t choice) const {
  out += chunk_head_;
  out += "{\"index\":";
  append_json_integer(out, static_cast<std::int64_t>(choice));
}

void answer_writer::append_role(std::string& out, std::size_t choice) const {
  open_chunk(out, choice);
  out += ",\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null";
  out += chunk_tail_;
}

void answer_writer::append_text(std::string& out, std::size_t choice, std::string_view text,
                                const logprob_writer* logprobs) const {
  open_chunk(out, choice);
  out += chat_ ? ",\"delta\":{\"content\":" : ",\"text\":";
  append_json_string(out, text);
  if (chat_) out += '}';
  append_logprobs(out, logprobs);
  out += ",\"finish_reason\":null";
  out += chunk_tail_;
}

/// Its id says which call of which choice of which answer it is.
void answer_writer::append_call_object(std::string& out, std::size_t choice, std::size_t index,
                                       const tool_call& call) const {
  out += "\"id\":";
  append_json_string(
      out, "call_" + id_.substr(id_.find('-') + 1) + "_" + std::to_string(choice) + "_" + std::to_string(index));
  out += ",\"type\":\"function\",\"function\":{\"name\":";
  append_json_string(out, call.name);
  out += ",\"arguments\":";
  append_json_string(out, call.arguments);
  out += "}}";
}

void answer_writer::append_call(std::string& out, std::size_t choice, std::size_t index, const tool_call& call) const {
  open_chunk(out, choice);
  out += ",\"delta\":{\"tool_calls\":[{\"index\":";
  append_json_integer(out, static_cast<std::int64_t>(index));
  out += ',';
  append_call_object(out, choice, index, call);
  out += "]},\"logprobs\":null,\"finish_reason\":null";
  out += chunk_tail_;
}

void answer_writer::append_finish(std::string& out, std::size_t choice, finish_reason reason, bool calls_tools) const {
  open_chunk(out, choice);
  out += chat_ ? ",\"delta\":{},\"logprobs\":null" : ",\"text\":\"\",\"logprobs\":null";
  append_reason(out, reason, calls_tools);
  out += chunk_tail_;
}

void answer_writer::append_usage(std::string& out, const token_usage& usage) const {
  out += chunk_head_;
  out += "],\"usage\":";
  append_usage_object(out, usage);
  out += '}';
}

void answer_writer::append_whole_choice(std::string& out, std::size_t index, const written_choice& choice) const {
  out += "{\"index\":";
  append_json_integer(out, static_cast<std::int64_t>(index));
  out += chat_ ? ",\"message\":{\"role\":\"assistant\",\"content\":" : ",\"text\":";
  if (choice.text.empty() && !choice.calls.empty())
    out += "null";
  else
    append_json_string(out, choice.text);
  if (chat_) out += ",\"refusal\":null";
  for (std::size_t i = 0; i < choice.calls.size(); ++i) {
    out += i == 0 ? ",\"tool_calls\":[{" : ",{";
    append_call_object(out, index, i, choice.calls[i]);
  }
  if (!choice.calls.empty()) out += ']';
  if (chat_) out += '}';
  append_logprobs(out, choice.logprobs);
  append_reason(out, choice.reason, !choice.calls.empty());
  out += '}';
}

std::string answer_writer::whole(std::span<const written_choice> choices, const token_usage& usage) const {
  std::string out = whole_head_;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out += ',';
    append_whole_choice(out, i, choices[i]);
  }
  out += "],\"usage\":";
  append_usage_object(out, usage);
  out += '}';
  return out;
}

}  // namespace troupe::openai
