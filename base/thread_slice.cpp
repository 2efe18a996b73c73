#include "base/thread_slice.hpp"

#include <cstdint>

#include <sys/syscall.h>
#include <unistd.h>

namespace troupe {
namespace {

/// The kernel's struct sched_attr, version 0: C libraries have it since glibc 2.41 only.
struct scheduling {
  std::uint32_t size = sizeof(scheduling);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0;  // of the ordinary policy: the length of a turn
  std::uint64_t deadline_ns = 0;
  std::uint64_t period_ns = 0;
};
static_assert(sizeof(scheduling) == 48);

constexpr std::uint32_t ordinary_policy = 0;  // SCHED_OTHER
constexpr std::uint64_t shortest_turn_ns = 100'000;

/// 0: as long as the kernel likes.
void set_turn(std::uint64_t length_ns) {
  scheduling now;
  if (::syscall(SYS_sched_getattr, 0, &now, sizeof now, 0) != 0 || now.policy != ordinary_policy) return;
  now.size = sizeof now;
  now.runtime_ns = length_ns;
  (void)::syscall(SYS_sched_setattr, 0, &now, 0);
}

}  // namespace

void take_short_turns() {
  set_turn(shortest_turn_ns);
}

void take_ordinary_turns() {
  set_turn(0);
}

}  // namespace troupe
