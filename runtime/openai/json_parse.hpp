// The body of a request as a JSON tree, or a sentence that says where it stops being JSON.
//
// Hostile bodies are bounded before a tree is built: nesting, because templates and writers recurse; members, because
// the tree keeps their order (tools reach the template as they were written) and finds one by looking at each before
// it, so that a wide object costs the square of its width. Invalid UTF-8, lone surrogates, NaN, numbers past a double
// and anything after the document are errors; of a repeated member the last one counts.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace troupe::openai {

using json = nlohmann::ordered_json;

inline constexpr std::size_t max_json_depth = 64;
inline constexpr std::size_t max_json_members = 1024;         // of one object
inline constexpr std::size_t max_json_members_total = 32768;  // of all objects together

result<json> parse_json(std::string_view text);

/// The same, and it must be an object.
result<json> parse_json_object(std::string_view text);

}  // namespace troupe::openai
