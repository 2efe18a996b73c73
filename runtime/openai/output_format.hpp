// The fields that hold an answer to a grammar: response_format (OpenAI), grammar and json_schema (llama.cpp),
// guided_json, guided_grammar, guided_choice and structured_outputs (vLLM). They all come to one output_grammar.
#pragma once

#include "base/generation.hpp"
#include "runtime/openai/json_fields.hpp"

#include <string>

namespace troupe::openai {

struct output_format {
  output_grammar grammar;
  std::string field;  // that asked for it, for errors; empty: none did
};

/// At most one field may ask. Whether the grammar is any good is found out where it is compiled.
void read_output_format(field_reader& reader, output_format& format);

}  // namespace troupe::openai
