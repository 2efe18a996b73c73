// Rules written out in Lark's notation as llguidance reads it, so that another library can make the masks of the same
// language (mask_oracle.py).
//
// llguidance reads by a lexer that takes the longest token it can and a parser above it. What is not recursive becomes
// one terminal, which is read exactly; recursive rules become rules over terminals, and these are the same language as
// long as no terminal can go on with what may follow it. In JSON none can: after a string, a number, a word or a
// separator comes a byte that cannot belong to it.
#pragma once

#include "runtime/grammar/expression.hpp"

#include <string>

namespace troupe::test {

std::string lark_of(const grammar::rule_set& rules);

}  // namespace troupe::test
