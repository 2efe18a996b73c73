// How parsing and building fail inside this room: a failure is thrown from whatever depth, and the border
// (compiled_grammar.cpp) turns it into a result<T>. Nothing is thrown across the border.
#pragma once

#include "base/result.hpp"

#include <string>
#include <utility>

namespace troupe::grammar {

struct failure {
  errc code;
  std::string message;
  std::string param;  // the JSON pointer of the part of a schema at fault
};

[[noreturn]] inline void fail(std::string message, errc code = errc::invalid_argument, std::string param = {}) {
  throw failure{code, std::move(message), std::move(param)};
}

[[noreturn]] inline void fail_too_large(std::string message) {
  fail(std::move(message), errc::too_large);
}

}  // namespace troupe::grammar
