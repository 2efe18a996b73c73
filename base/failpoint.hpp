// Failpoints: named places where a test may make the code fail. Free when none is armed (one relaxed load).
//
//   if (failpoint("request.assign")) return make_error(errc::unavailable, "failpoint request.assign");
//
// Armed from code (arm_failpoint) or from the environment at start: TROUPE_FAILPOINTS="request.assign=1,kv.allocate=3"
// fires the named point on its n-th visit, once.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace troupe {

namespace detail {
extern std::atomic<std::uint32_t> armed_failpoints;
bool visit_failpoint(std::string_view name);
}  // namespace detail

/// True exactly when the named point is armed and this is the visit it was armed for.
inline bool failpoint(std::string_view name) {
  return detail::armed_failpoints.load(std::memory_order_relaxed) != 0 && detail::visit_failpoint(name);
}

/// Fires on the nth visit from now (1 = the next), once.
void arm_failpoint(std::string_view name, std::uint32_t nth_visit = 1);
void disarm_failpoints();
/// Reads "name=n,name=n"; malformed entries are ignored.
void arm_failpoints_from(std::string_view list);

}  // namespace troupe
