// This machine's name, for people.
#pragma once

#include <string>

namespace troupe {

/// "unknown" when it has none.
std::string host_name();

}  // namespace troupe
