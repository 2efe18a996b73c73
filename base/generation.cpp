#include "base/generation.hpp"

#include <cmath>

namespace troupe {
namespace {

// Written so that NaN is out of every range.
bool within(float value, float low, float high) {
  return value >= low && value <= high;
}

}  // namespace

result<> validate(const sampling_params& p) {
  const auto refuse = [](const char* param, const char* message) {
    return make_error(errc::invalid_argument, message, param);
  };
  if (!(p.temperature >= 0.0f) || !std::isfinite(p.temperature))
    return refuse("temperature", "temperature must be a finite number of 0 or more.");
  if (!(p.top_p > 0.0f && p.top_p <= 1.0f)) return refuse("top_p", "top_p must be above 0 and at most 1.");
  if (!within(p.min_p, 0.0f, 1.0f)) return refuse("min_p", "min_p must be between 0 and 1.");
  if (!within(p.presence_penalty, -2.0f, 2.0f))
    return refuse("presence_penalty", "presence_penalty must be between -2 and 2.");
  if (!within(p.frequency_penalty, -2.0f, 2.0f))
    return refuse("frequency_penalty", "frequency_penalty must be between -2 and 2.");
  if (!(p.repetition_penalty > 0.0f) || !std::isfinite(p.repetition_penalty))
    return refuse("repetition_penalty", "repetition_penalty must be a finite number above 0.");
  if (p.min_tokens > p.max_tokens) return refuse("min_tokens", "min_tokens must not exceed max_tokens.");
  for (const auto& [token, bias] : p.logit_bias)
    if (!within(bias, -100.0f, 100.0f)) return refuse("logit_bias", "logit_bias values must be between -100 and 100.");
  for (const auto& stop : p.stop)
    if (stop.empty()) return refuse("stop", "a stop string must not be empty.");
  return {};
}

std::string_view to_string(finish_reason reason) {
  switch (reason) {
    case finish_reason::unfinished:
      return "unfinished";
    case finish_reason::stop:
      return "stop";
    case finish_reason::length:
      return "length";
    case finish_reason::cancelled:
      return "cancelled";
    case finish_reason::failed:
      return "failed";
  }
  return "unknown";
}

}  // namespace troupe
