// TROUPE_ASSERT: checks that a programmer kept a promise. On in every build, because the state after a broken promise
// is worth less than the request that met it: the supervisor starts the actor anew. What a caller, a file or a network
// may get wrong is never asserted; it is a result<T>.
#pragma once

namespace troupe {

/// Throws std::logic_error with the place, the condition and the message, so that an actor dies with a reason instead
/// of taking the process with it.
[[noreturn]] void fail_assertion(const char* condition, const char* message, const char* file, int line);

}  // namespace troupe

#define TROUPE_ASSERT(condition, message)                                \
  do {                                                                   \
    if (!(condition)) [[unlikely]]                                       \
      ::troupe::fail_assertion(#condition, message, __FILE__, __LINE__); \
  } while (false)
