#include "base/assert.hpp"

#include <cstdio>
#include <stdexcept>
#include <string>

namespace troupe {

void fail_assertion(const char* condition, const char* message, const char* file, int line) {
  const std::string text =
      std::string(file) + ":" + std::to_string(line) + ": assertion failed: " + condition + ": " + message;
  std::fprintf(stderr, "%s\n", text.c_str());
  throw std::logic_error(text);
}

}  // namespace troupe
