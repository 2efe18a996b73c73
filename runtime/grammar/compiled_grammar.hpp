// A grammar ready to constrain output: GBNF or a JSON schema, as an automaton over bytes. Immutable; any number of
// threads and requests may share one. It knows no vocabulary: grammar_matcher puts the two together.
#pragma once

#include "base/result.hpp"
#include "runtime/grammar/automaton.hpp"

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace troupe {

class compiled_grammar {
 public:
  explicit compiled_grammar(grammar::automaton made) : automaton_(std::move(made)) {}
  const grammar::automaton& automaton() const { return automaton_; }
  std::size_t n_states() const { return automaton_.n_states(); }
  std::size_t n_rules() const { return automaton_.rules.size(); }
  std::size_t bytes() const;

 private:
  grammar::automaton automaton_;
};

/// GBNF, llama.cpp's notation (see gbnf_parser.hpp). Errors: invalid_argument with line, column and what was wrong;
/// too_large past a bound of limits.hpp. Bounded in time (well under a second) and memory, whatever the text.
result<std::shared_ptr<const compiled_grammar>> compile_gbnf(std::string_view source);

/// A JSON schema (see json_schema.hpp for what is read). Errors, with the JSON pointer at fault as param: unsupported
/// for a keyword or a combination that is not read, invalid_argument for what is no schema or that nothing satisfies,
/// too_large past a bound.
result<std::shared_ptr<const compiled_grammar>> compile_json_schema(std::string_view json_text);

/// Any JSON object, as "response_format": {"type": "json_object"} asks for.
result<std::shared_ptr<const compiled_grammar>> compile_json_object();

/// Text and calls of tools, or calls only; json_text: see tool_calls.hpp. Errors: those of the tools' schemas.
result<std::shared_ptr<const compiled_grammar>> compile_tool_calls(std::string_view json_text);

/// Rules made by a program. Left recursion, a rule without a body and too large a size are errors as above.
result<std::shared_ptr<const compiled_grammar>> compile_rules(const grammar::rule_set& rules);

}  // namespace troupe
