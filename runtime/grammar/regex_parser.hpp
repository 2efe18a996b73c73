// The regular expressions of a schema's "pattern": the part of ECMA-262's that is regular and that every dialect reads
// alike.
//
//   a . [a-z] [^a-z] \d \w \s \D \W \S \t \n \r \f \v \0 \xHH \uHHHH \u{H…} \. (an escaped sign)
//   (…) (?:…) (?<name>…) a|b  * + ? {n} {n,} {n,m} and their lazy forms   ^ at the beginning and $ at the end of a
//   branch
//
// A pattern is searched for, as JSON schema says: without ^ anything may come before, without $ anything after.
// Refused with errc::unsupported: look-around, back references, \b, \B, \p{…}, anchors elsewhere.
#pragma once

#include "runtime/grammar/json_shapes.hpp"

#include <string>
#include <string_view>

namespace troupe::grammar {

/// What the pattern matches, as it is written inside a JSON string, without the quotes. Throws failure.
expression_id parse_regex(rule_set& rules, json_shapes& shapes, std::string_view pattern, const std::string& pointer);

}  // namespace troupe::grammar
