#include "cli/exit_codes.hpp"

#include <cstdio>

namespace troupe::cli {

int fail(const error& failure) {
  const std::string where = failure.param.empty() ? "" : " [" + failure.param + "]";
  std::fprintf(stderr, "troupe: %s%s\n", failure.message.c_str(), where.c_str());
  switch (failure.code) {
    case errc::unavailable:
    case errc::overloaded:
      return exit_unavailable;
    case errc::invalid_argument:
      return exit_usage;
    default:
      return exit_failed;
  }
}

int fail_to_start(const error& failure) {
  const int code = fail(failure);
  return failure.param.empty() ? code : exit_configuration;
}

}  // namespace troupe::cli
