#include "base/failpoint.hpp"

#include <charconv>
#include <map>
#include <mutex>
#include <string>

namespace troupe {
namespace detail {

std::atomic<std::uint32_t> armed_failpoints{0};

}  // namespace detail

namespace {

struct registry {
  std::mutex mutex;
  std::map<std::string, std::uint32_t, std::less<>> visits_left;
};

registry& points() {
  static registry instance;
  return instance;
}

}  // namespace

bool detail::visit_failpoint(std::string_view name) {
  auto& r = points();
  std::lock_guard lock(r.mutex);
  auto it = r.visits_left.find(name);
  if (it == r.visits_left.end() || --it->second != 0) return false;
  r.visits_left.erase(it);
  armed_failpoints.store(static_cast<std::uint32_t>(r.visits_left.size()), std::memory_order_relaxed);
  return true;
}

void arm_failpoint(std::string_view name, std::uint32_t nth_visit) {
  if (nth_visit == 0) return;
  auto& r = points();
  std::lock_guard lock(r.mutex);
  r.visits_left.insert_or_assign(std::string(name), nth_visit);
  detail::armed_failpoints.store(static_cast<std::uint32_t>(r.visits_left.size()), std::memory_order_relaxed);
}

void disarm_failpoints() {
  auto& r = points();
  std::lock_guard lock(r.mutex);
  r.visits_left.clear();
  detail::armed_failpoints.store(0, std::memory_order_relaxed);
}

void arm_failpoints_from(std::string_view list) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    const auto entry = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    const auto equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    const auto number = entry.substr(equals + 1);
    std::uint32_t nth = 0;
    const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), nth);
    if (failed == std::errc{} && end == number.data() + number.size()) arm_failpoint(entry.substr(0, equals), nth);
  }
}

}  // namespace troupe
