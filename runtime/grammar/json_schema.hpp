// JSON schemas (2020-12, and what older drafts have in common with it) as grammars. Every text of the grammar is valid;
// not every valid text is in it:
//
//   - members come in the order of "properties"; those in "required" are there, any other may be left out
//   - with "properties" and without "additionalProperties" there are no other members (as in OpenAI's strict mode)
//   - oneOf is read as anyOf; white space and numbers are bounded (json_shapes.hpp)
//   - without "type", keywords of one type (such as "properties") mean that type
//
// Read: type, enum, const, properties, required, additionalProperties, items, prefixItems, minItems, maxItems, anyOf,
// oneOf, allOf, $ref (inside the document), $defs, minLength, maxLength, pattern (regex_parser.hpp), format (date,
// time, date-time, uuid, ipv4, ipv6, email, hostname, uri), minimum, maximum, exclusiveMinimum, exclusiveMaximum.
// Ignored: title, description, default, examples, $schema, $id, $comment, and words no draft defines.
// Any other keyword that changes what is valid is refused with errc::unsupported and its JSON pointer as `param`.
#pragma once

#include "runtime/grammar/expression.hpp"

#include <string_view>

namespace troupe::grammar {

/// Throws failure.
rule_set parse_json_schema(std::string_view json_text);

/// Any JSON object.
rule_set any_json_object();

}  // namespace troupe::grammar
