// Which build this is.
#pragma once

#include <string_view>

namespace troupe {

std::string_view version();   // "0.1.0"
std::string_view commit();    // abbreviated, as of the last configuration; "unknown" outside a checkout
std::string_view compiler();  // "GNU 12.2.0"

}  // namespace troupe
