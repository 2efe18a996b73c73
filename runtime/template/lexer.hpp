// Cuts a template's source into tokens, with the white space rules that Hugging Face sets for jinja2: trim_blocks (a
// newline after a block tag goes) and lstrip_blocks (white space between the start of a line and a block tag goes), and
// `-` and `+` in a tag.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::jinja {

enum class token_kind : unsigned char {
  data,            // text outside of tags
  variable_begin,  // {{
  variable_end,    // }}
  block_begin,     // {%
  block_end,       // %}
  name,
  string,
  integer,
  real,
  symbol,  // operators and brackets
  end
};

struct token {
  token_kind kind;
  std::string text;  // the name, symbol or data; the string without its quotes and escapes
  int line;
  std::int64_t integer = 0;
  double real = 0;
};

/// The last token is `end`. Throws failure, naming the line.
std::vector<token> tokenize(std::string_view source);

}  // namespace troupe::jinja
