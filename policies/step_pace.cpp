#include "policies/step_pace.hpp"

#include <algorithm>
#include <limits>

namespace troupe::policies {
namespace {

constexpr double weight_of_newest = 0.1;  // as JITServe: a window of ten
constexpr duration first_step = std::chrono::milliseconds(20);
constexpr duration first_token = std::chrono::milliseconds(1);

void average_in(double& average, double value) {
  average = average == 0 ? value : average + weight_of_newest * (value - average);
}

duration of_ms(double ms) {
  return std::chrono::duration_cast<duration>(std::chrono::duration<double, std::milli>(ms));
}

std::uint32_t whole_number(double value) {
  constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
  return value < most ? static_cast<std::uint32_t>(value) : most;
}

}  // namespace

void step_pace::observe(const step_shape& shape, duration took) {
  const double ms = std::chrono::duration<double, std::milli>(took).count();
  if (ms <= 0) return;  // a clock that was set back
  if (shape.prompt_tokens == 0) {
    if (shape.decoding > 0) average_in(step_ms_, ms);
    return;
  }
  const double of_prompt = std::max(ms - (shape.decoding > 0 ? step_ms_ : 0.0), 0.0);
  average_in(token_ms_, of_prompt / static_cast<double>(shape.prompt_tokens));
}

std::uint32_t step_pace::step_us() const {
  return whole_number(step_ms_ * 1e3);
}

std::uint32_t step_pace::token_ns() const {
  return whole_number(token_ms_ * 1e6);
}

duration step_pace::step_time() const {
  return step_ms_ == 0 ? first_step : of_ms(step_ms_);
}

duration step_pace::token_time() const {
  return token_ms_ == 0 ? first_token : of_ms(token_ms_);
}

}  // namespace troupe::policies
