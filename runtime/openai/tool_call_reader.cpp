#include "runtime/openai/tool_call_reader.hpp"

#include "runtime/grammar/tool_calls.hpp"
#include "runtime/openai/json_parse.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

/// How much of the text's end may be the beginning of the mark.
std::size_t overlap(std::string_view text, std::string_view mark) {
  std::size_t n = std::min(text.size(), mark.size() - 1);
  while (n > 0 && !text.ends_with(mark.substr(0, n)))
    --n;
  return n;
}

}  // namespace

void tool_call_reader::read(std::string_view piece, std::string& text, std::vector<tool_call>& calls) {
  held_ += piece;
  while (in_call_ ? read_call(text, calls) : read_text(text)) {
  }
}

bool tool_call_reader::read_text(std::string& text) {
  if (was_call_) {
    held_.erase(0, std::min(held_.find_first_not_of(" \n\r\t"), held_.size()));
    if (held_.empty()) return false;
  }
  const std::size_t mark = held_.find(tool_call_begin);
  const std::size_t n_text = mark != std::string::npos ? mark : held_.size() - overlap(held_, tool_call_begin);
  text.append(held_, 0, n_text);
  if (n_text > 0) was_call_ = false;
  held_.erase(0, mark != std::string::npos ? mark + tool_call_begin.size() : n_text);
  in_call_ = mark != std::string::npos;
  return in_call_;
}

/// Reads on to the closing mark, which does not count inside a string of the call. True at its first sign.
bool tool_call_reader::find_end() {
  for (; scanned_ < held_.size(); ++scanned_) {
    const char c = held_[scanned_];
    if (is_escaped_) {
      is_escaped_ = false;
    } else if (in_string_) {
      is_escaped_ = c == '\\';
      in_string_ = c != '"';
    } else if (c == '"') {
      in_string_ = true;
    } else if (const auto rest = std::string_view(held_).substr(scanned_); rest.starts_with(tool_call_end)) {
      return true;
    } else if (tool_call_end.starts_with(rest)) {
      return false;  // more must come to tell
    }
  }
  return false;
}

bool tool_call_reader::read_call(std::string& text, std::vector<tool_call>& calls) {
  if (!find_end()) return false;
  const std::string body = held_.substr(0, scanned_);
  held_.erase(0, scanned_ + tool_call_end.size());
  scanned_ = 0;
  in_string_ = is_escaped_ = in_call_ = false;
  was_call_ = true;
  const auto call = parse_json_object(body);
  const auto name = call ? call->value("name", json()) : json();
  const auto arguments = call ? call->value("arguments", json()) : json();
  if (name.is_string() && arguments.is_object())
    calls.push_back({name.get<std::string>(), arguments.dump()});
  else
    text.append(tool_call_begin).append(body).append(tool_call_end);
  return true;
}

void tool_call_reader::finish(std::string& text) {
  if (in_call_) text += tool_call_begin;
  text += held_;
  held_.clear();
  in_call_ = false;
}

}  // namespace troupe::openai
