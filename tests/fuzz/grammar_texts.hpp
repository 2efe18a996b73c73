// Texts for grammar_fuzzer: grammars and schemas to start from, and the fragments that change them.
#pragma once

#include "base/generation.hpp"
#include "base/random.hpp"

#include <string>
#include <string_view>

namespace troupe::test {

/// What an input's first byte says that the rest is: gbnf, json_schema or tool_calls.
grammar_kind grammar_text_kind(std::string_view input);

/// A text that compiles, behind its first byte.
std::string random_grammar_text(random_stream& random);

/// The input with a fragment of its notation written into it, over some of it, or with a part of it repeated.
std::string with_fragment(std::string input, random_stream& random);

}  // namespace troupe::test
