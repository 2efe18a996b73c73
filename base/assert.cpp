#include "base/assert.hpp"

#include <stdexcept>
#include <string>

namespace troupe {

void fail_assertion(const char* condition, const char* message, const char* file, int line) {
  throw std::logic_error(std::string(file) + ":" + std::to_string(line) + ": assertion failed: " + condition + ": " +
                         message);
}

}  // namespace troupe
