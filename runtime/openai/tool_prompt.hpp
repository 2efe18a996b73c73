// Tools for chat templates that know none: they are described in the system message, calls of earlier turns become the
// text that the model wrote, and what tools answered comes back as the user's words, as templates that know tools do.
#pragma once

#include "runtime/openai/json_parse.hpp"

namespace troupe::openai {

/// context: the template's variables; "tools" is taken out of them and "messages" rewritten. Without tools and calls
/// nothing changes.
void describe_tools(json& context);

}  // namespace troupe::openai
