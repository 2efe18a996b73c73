// The names of control tokens are tokens where the chat template wrote them and text where a client did. Templates and
// clients meet in one string, so what clients wrote is marked before it is rendered: a name comes to stand between two
// marks, which the encoder takes for "this is text" and leaves out again.
//
// The mark is U+FDD0, a noncharacter that Unicode reserves for such use. A client's own is written twice, so that no
// text is changed. The marks stand around the name and not in it: templates that look for "</think>" still find it.
#pragma once

#include "runtime/tokenizer/tokenizer.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace troupe {

/// The text with its control tokens' names between marks. Unchanged, as nearly always, when there are none.
std::string guard_names(const tokenizer& vocabulary, std::string_view text);
/// All strings inside a value, keys of objects included.
void guard_names(const tokenizer& vocabulary, nlohmann::ordered_json& value);

struct unguarded_text {
  std::vector<token_id> tokens;
  std::string text;  // without the marks
};

/// Encodes text in which guarded names are text and bare ones are their tokens.
unguarded_text encode_guarded(const tokenizer& vocabulary, std::string_view guarded);

}  // namespace troupe
