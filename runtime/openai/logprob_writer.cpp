#include "runtime/openai/logprob_writer.hpp"

#include "base/utf8.hpp"
#include "runtime/openai/json_text.hpp"

#include <algorithm>

namespace troupe::openai {
namespace {

void separate(std::string& list) {
  if (!list.empty()) list += ',';
}

void append_bytes(std::string& out, std::string_view bytes) {
  out += '[';
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) out += ',';
    append_json_integer(out, static_cast<unsigned char>(bytes[i]));
  }
  out += ']';
}

}  // namespace

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

logprob_writer::logprob_writer(answer_kind kind, const tokenizer& vocabulary, std::int32_t alternatives)
    : kind_(kind), vocabulary_(vocabulary), alternatives_(alternatives) {}

void logprob_writer::clear() {
  first_.clear();
  token_logprobs_.clear();
  top_logprobs_.clear();
  text_offsets_.clear();
}

void logprob_writer::add(token_id token, std::optional<float> logprob, std::span<const token_logprob> top,
                         std::size_t text_offset) {
  top = top.first(std::min(top.size(), static_cast<std::size_t>(alternatives_)));
  if (kind_ == answer_kind::chat) {
    add_chat(token, logprob.value_or(0.0f), top);
  } else {
    add_completion(token, logprob, top, text_offset);
  }
}

void logprob_writer::append_chat_token(std::string& out, token_id token, float logprob) {
  const std::string_view bytes = vocabulary_.token_bytes(token);
  out += "{\"token\":";
  append_json_string(out, find_invalid_utf8(bytes) == std::string_view::npos ? bytes : repair_utf8(bytes));
  out += ",\"logprob\":";
  append_json_logprob(out, logprob);
  out += ",\"bytes\":";
  append_bytes(out, bytes);
}

void logprob_writer::add_chat(token_id token, float logprob, std::span<const token_logprob> top) {
  separate(first_);
  append_chat_token(first_, token, logprob);
  first_ += ",\"top_logprobs\":[";
  for (std::size_t i = 0; i < top.size(); ++i) {
    if (i > 0) first_ += ',';
    append_chat_token(first_, top[i].token, top[i].logprob);
    first_ += '}';
  }
  first_ += "]}";
}

std::string logprob_writer::completion_token(token_id token) const {
  const std::string_view bytes = vocabulary_.token_bytes(token);
  if (find_invalid_utf8(bytes) == std::string_view::npos) return std::string(bytes);
  constexpr char digits[] = "0123456789abcdef";
  std::string shown = "bytes:";
  for (const char c : bytes) {
    shown += "\\x";
    shown += digits[(c >> 4) & 0xF];
    shown += digits[c & 0xF];
  }
  return shown;
}

// The likeliest, and the chosen one even if it is not among them. Two tokens of one text are one key: the likelier
// counts.
void logprob_writer::append_alternatives(std::string& out, token_id chosen, float logprob,
                                         std::span<const token_logprob> top) const {
  std::vector<std::string> seen;
  const auto append = [&](token_id token, float value) {
    std::string key = completion_token(token);
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) return;
    if (!seen.empty()) out += ',';
    append_json_string(out, key);
    out += ':';
    append_json_logprob(out, value);
    seen.push_back(std::move(key));
  };
  out += '{';
  for (const auto& alternative : top)
    append(alternative.token, alternative.logprob);
  append(chosen, logprob);
  out += '}';
}

void logprob_writer::add_completion(token_id token, std::optional<float> logprob, std::span<const token_logprob> top,
                                    std::size_t text_offset) {
  for (std::string* list : {&first_, &token_logprobs_, &top_logprobs_, &text_offsets_})
    separate(*list);
  append_json_string(first_, completion_token(token));
  append_json_integer(text_offsets_, static_cast<std::int64_t>(text_offset));
  if (!logprob) {
    token_logprobs_ += "null";
    top_logprobs_ += "null";
    return;
  }
  append_json_logprob(token_logprobs_, *logprob);
  append_alternatives(top_logprobs_, token, *logprob, top);
}

void logprob_writer::append_to(std::string& out) const {
  if (kind_ == answer_kind::chat) {
    out.append("{\"content\":[").append(first_).append("],\"refusal\":null}");
    return;
  }
  out.append("{\"tokens\":[").append(first_);
  out.append("],\"token_logprobs\":[").append(token_logprobs_);
  out.append("],\"top_logprobs\":[").append(top_logprobs_);
  out.append("],\"text_offset\":[").append(text_offsets_).append("]}");
}

}  // namespace troupe::openai
