#include "base/build_info.hpp"

namespace troupe {

std::string_view version() {
  return TROUPE_VERSION;
}
std::string_view commit() {
  return TROUPE_COMMIT;
}
std::string_view compiler() {
  return TROUPE_COMPILER;
}

}  // namespace troupe
