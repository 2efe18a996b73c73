// Tells calls of tools from text in an answer as it comes (runtime/grammar/tool_calls.hpp says how they are written).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::openai {

struct tool_call {
  std::string name;
  std::string arguments;  // a JSON object, written as a string
};

/// Cost: linear in the text; it holds back one call, or the beginning of a mark.
class tool_call_reader {
 public:
  /// Takes the next piece. What is surely text is appended to `text`, each call that is complete to `calls`.
  void read(std::string_view piece, std::string& text, std::vector<tool_call>& calls);
  /// Nothing more comes: a call that was cut off is text.
  void finish(std::string& text);

 private:
  bool read_text(std::string& text);
  bool find_end();
  bool read_call(std::string& text, std::vector<tool_call>& calls);

  std::string held_;  // not yet told
  bool in_call_ = false;
  std::size_t scanned_ = 0;  // of a held call
  bool in_string_ = false;
  bool is_escaped_ = false;
  bool was_call_ = false;  // text behind a call begins where its white space ends
};

}  // namespace troupe::openai
