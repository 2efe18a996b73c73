// GBNF, the grammar notation of llama.cpp:
//
//   root  ::= "yes" | list            # a comment
//   list  ::= "[" item ("," item){0,9} "]"
//   item  ::= [a-z_] [^"\\\x00-\x1F\u00E9]* digit+ .?
//
// A rule ends with its line, except inside parentheses, after "::=" and after "|", and where the next line begins with
// "|". Escapes in literals and classes: \n \t \r \" \\ \[ \] \x41 \u0041 \U00000041, each a code point. "." is any code
// point. Rules that call themselves before they read anything (left recursion) are refused, as there.
#pragma once

#include "runtime/grammar/expression.hpp"

#include <string_view>

namespace troupe::grammar {

/// Throws failure, naming line and column (both from 1; columns count characters).
rule_set parse_gbnf(std::string_view source);

}  // namespace troupe::grammar
