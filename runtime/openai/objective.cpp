#include "runtime/openai/objective.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

using std::chrono::milliseconds;

result<std::optional<std::int64_t>> header_integer(const http::request& request, std::string_view name,
                                                   std::int64_t low, std::int64_t high) {
  const auto text = request.header(name);
  if (!text) return std::optional<std::int64_t>{};
  std::int64_t value = 0;
  const auto [end, status] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (status != std::errc() || end != text->data() + text->size() || value < low || value > high)
    return make_error(
        errc::invalid_argument,
        std::string(name) + " must be an integer between " + std::to_string(low) + " and " + std::to_string(high) + ".",
        std::string(name));
  return std::optional(value);
}

}  // namespace

result<service_objective> objective_of_headers(const http::request& request) {
  service_objective objective;
  const std::pair<std::string_view, milliseconds*> durations[] = {{"x-troupe-ttft-ms", &objective.ttft},
                                                                  {"x-troupe-tpot-ms", &objective.tpot},
                                                                  {"x-troupe-ttlt-ms", &objective.ttlt},
                                                                  {"x-troupe-deadline-ms", &objective.deadline}};
  for (const auto& [name, out] : durations) {
    const auto value = header_integer(request, name, 1, max_objective_ms);
    if (!value) return value.error();
    if (*value) *out = milliseconds(**value);
  }
  const auto priority = header_integer(request, "x-troupe-priority", -max_priority, max_priority);
  if (!priority) return priority.error();
  if (*priority) objective.priority = static_cast<std::int32_t>(**priority);
  return objective;
}

result<program_call> call_of_headers(const http::request& request) {
  program_call call;
  const std::pair<std::string_view, std::string*> names[] = {
      {"x-troupe-program", &call.program}, {"x-troupe-workflow", &call.workflow}, {"x-troupe-step", &call.step}};
  for (const auto& [name, out] : names) {
    const auto text = request.header(name);
    if (!text) continue;
    if (text->size() > max_call_name)
      return make_error(errc::invalid_argument,
                        std::string(name) + " must have at most " + std::to_string(max_call_name) + " bytes.",
                        std::string(name));
    *out = *text;
  }
  return call;
}

void read_objective(field_reader& reader, service_objective& objective, program_call& call) {
  reader.read("priority", objective.priority, -max_priority, max_priority);
  const json* own = reader.read_object("troupe");
  if (own == nullptr) return;
  field_reader inner(*own, "troupe");
  const std::pair<std::string_view, milliseconds*> durations[] = {{"ttft_ms", &objective.ttft},
                                                                  {"tpot_ms", &objective.tpot},
                                                                  {"ttlt_ms", &objective.ttlt},
                                                                  {"deadline_ms", &objective.deadline}};
  for (const auto& [name, out] : durations) {
    std::optional<std::int64_t> value;
    inner.read(name, value, 1, max_objective_ms);
    if (value) *out = milliseconds(*value);
  }
  inner.read("priority", objective.priority, -max_priority, max_priority);
  const std::pair<const char*, std::string*> names[] = {
      {"program", &call.program}, {"workflow", &call.workflow}, {"step", &call.step}};
  for (const auto& [name, out] : names)
    inner.read(name, *out, max_call_name);
  constexpr std::array known = {"ttft_ms",  "tpot_ms", "ttlt_ms",  "deadline_ms",
                                "priority", "program", "workflow", "step"};
  for (const auto& [key, value] : own->items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      inner.refuse(key,
                   "troupe has ttft_ms, tpot_ms, ttlt_ms, deadline_ms, priority, program, workflow and step; it has no "
                   "such member.");
  if (!inner.ok()) reader.adopt(inner.outcome().error());
}

}  // namespace troupe::openai
