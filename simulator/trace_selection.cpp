#include "simulator/trace_selection.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::simulator {
namespace {

double seconds(duration of) {
  return std::chrono::duration<double>(of).count();
}

std::uint32_t scaled(std::uint32_t tokens, double scale, std::uint32_t longest) {
  const double most = longest == 0 ? std::numeric_limits<std::uint32_t>::max() : longest;
  return static_cast<std::uint32_t>(std::clamp(std::round(tokens * scale), 1.0, most));
}

/// The names of a prompt that was `before` tokens long.
std::vector<std::uint64_t> renamed(const std::vector<std::uint64_t>& names, std::uint32_t before, std::uint32_t after,
                                   double scale) {
  if (names.empty() || (before == after && scale == 1)) return names;
  std::vector<std::uint64_t> made;
  for (std::uint32_t first = 0; first < after; first += prefix_block_tokens) {
    const double end = std::min((first + prefix_block_tokens) / scale, static_cast<double>(before));
    const auto old = static_cast<std::size_t>(std::ceil(end / prefix_block_tokens)) - 1;
    if (old >= names.size()) break;  // only the first blocks had names
    made.push_back(names[old]);
  }
  return made;
}

}  // namespace

result<workload> select(const workload& trace, const trace_selection& wanted) {
  workload made;
  std::size_t left_to_skip = wanted.skip;
  for (const auto& program : trace) {
    const double at = seconds(program.arrival);
    if (at < wanted.from_s || at >= wanted.until_s) continue;
    if (left_to_skip > 0) {
      --left_to_skip;
      continue;
    }
    if (wanted.limit > 0 && made.size() == wanted.limit) break;
    made.push_back(program);
  }
  if (made.empty())
    return make_error(errc::invalid_argument, "Nothing of the trace is within what was asked of it.", "trace");
  const duration begin = made.front().arrival;
  for (auto& program : made) {
    program.arrival = std::chrono::duration_cast<duration>(
        std::chrono::duration<double>(seconds(program.arrival - begin) / wanted.speed_up));
    for (auto& stage : program.stages)
      for (auto& call : stage) {
        const std::uint32_t before = call.prompt_tokens;
        call.prompt_tokens = scaled(before, wanted.prompt_scale, wanted.longest_prompt);
        call.output_tokens = scaled(call.output_tokens, wanted.answer_scale, wanted.longest_answer);
        call.prefix = renamed(call.prefix, before, call.prompt_tokens, wanted.prompt_scale);
      }
  }
  return made;
}

double mean_rate(const workload& of) {
  if (of.size() < 2) return 0;
  const double took = seconds(of.back().arrival - of.front().arrival);
  return took > 0 ? static_cast<double>(of.size() - 1) / took : 0;
}

}  // namespace troupe::simulator
