// How a template fails inside this room. An expression has fifty places that can fail at any depth, so here a failure
// is thrown; the border (chat_template.cpp) catches it, adds the line and hands out a result<T>. Nothing is thrown
// across the border.
#pragma once

#include "base/result.hpp"

#include <string>
#include <utility>

namespace troupe::jinja {

struct failure {
  errc code;
  std::string message;
  bool raised_by_template = false;  // raise_exception('…'): the message is the template's own
};

[[noreturn]] inline void fail(std::string message, errc code = errc::invalid_argument) {
  throw failure{code, std::move(message), false};
}

[[noreturn]] inline void fail_unsupported(std::string message) {
  fail(std::move(message), errc::unsupported);
}

}  // namespace troupe::jinja
