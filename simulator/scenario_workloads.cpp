// [[workload]] of a scenario.
#include "simulator/scenario_sections.hpp"
#include "simulator/trace_files.hpp"
#include "simulator/trace_selection.hpp"

#include <algorithm>
#include <array>

namespace troupe::simulator {
namespace {

constexpr std::uint32_t any = 1'000'000'000;
constexpr std::uint32_t longest_length = 16u << 20;
constexpr std::int32_t most_priority = 1'000'000;  // as HTTP has it
constexpr double most_rate = 1e6;

/// A number, or a table of a distribution.
void read_lengths(toml_section& of, std::string_view key, lengths& into) {
  const auto* const node = of.take(key);
  if (node == nullptr) return;
  if (!node->is_table()) return of.read(key, into.tokens, 1, longest_length);
  constexpr std::array<std::string_view, 3> shapes{"fixed", "lognormal", "zipf"};
  auto table = of.table(key);
  std::string shape = "fixed";
  table.read("shape", shape);
  const auto* const found = std::ranges::find(shapes, shape);
  if (found == shapes.end())
    table.complain("shape", "'" + shape + "' is no distribution of lengths; there are: fixed, lognormal, zipf");
  else
    into.shape = static_cast<length_shape>(found - shapes.begin());
  table.read("tokens", into.tokens, 1, longest_length);
  table.read("sigma", into.sigma, 0, 10);
  table.read("exponent", into.exponent, 0, 10);
  into.longest = std::max(into.longest, into.tokens);
  table.read("longest", into.longest, 1, longest_length);
  table.finish();
}

/// All but the rate.
void read_arrivals(toml_section& of, arrivals& into) {
  constexpr std::array<std::string_view, 4> names{"poisson", "gamma", "bursty", "uniform"};
  std::string name(names[static_cast<std::size_t>(into.process)]);
  of.read("arrivals", name);
  const auto* const found = std::ranges::find(names, name);
  if (found == names.end())
    of.complain("arrivals", "'" + name + "' is no process of arrivals; there are: poisson, gamma, bursty, uniform");
  else
    into.process = static_cast<arrival_process>(found - names.begin());
  of.read("cv", into.cv, 0.01, 100);
  of.read_positive("burst_s", into.burst_s, any);
  of.read_positive("burst_every_s", into.burst_every_s, any);
  of.read("burst_factor", into.burst_factor, 1, 1000);
  if (into.burst_s >= into.burst_every_s) of.complain("burst_s", "a burst is shorter than burst_every_s");
  if (into.burst_s * into.burst_factor > into.burst_every_s && into.process == arrival_process::bursty)
    of.complain("burst_factor", "the bursts alone would be more than the rate");
}

void read_objective(toml_section& of, service_objective& into) {
  of.read_ms("ttft_ms", into.ttft);
  of.read_ms("tpot_ms", into.tpot);
  of.read_ms("ttlt_ms", into.ttlt);
  of.read_ms("deadline_ms", into.deadline);
  double priority = 0;
  if (const auto* const node = of.take("priority"); node != nullptr && !node->is_integer())
    of.complain("priority", to_text(*node) + " is no whole number");
  of.read("priority", priority, -most_priority, most_priority);
  into.priority = static_cast<std::int32_t>(priority);
}

std::shared_ptr<const workload> read_file(toml_section& of, trace_shelf& shelf, trace_format format,
                                          const std::string& file, const trace_settings& settings) {
  const auto path = shelf.folder / file;
  const std::string key = path.string() + "|" + std::to_string(static_cast<int>(format)) + "|" +
                          (settings.sort ? "sorted" : "") + "|" + settings.workflow;
  auto& known = shelf.traces[key];
  if (known) return known;
  auto read = read_trace(format, path, settings);
  if (!read) {
    of.complain("file", read.error());
    return nullptr;
  }
  known = std::make_shared<const workload>(std::move(*read));
  return known;
}

/// trace = { file, format, … }
void read_trace(toml_section of, trace_shelf& shelf, workload_recipe& into) {
  std::string file, name;
  of.read("file", file);
  if (!of.has("file")) of.complain("file", "a trace is a file");
  of.read("format", name);
  const auto format = parse_trace_format(name);
  if (!format) of.complain("format", format.error());
  trace_settings settings;
  of.read("sort", settings.sort);
  if (!into.workflow.empty()) settings.workflow = into.workflow;
  trace_selection wanted;
  of.read("from_s", wanted.from_s, 0, any);
  of.read_positive("until_s", wanted.until_s, any);
  if (wanted.until_s <= wanted.from_s) of.complain("until_s", "this has to be after from_s");
  std::uint32_t limit = 0;
  of.read("limit", limit, 1, any);
  wanted.limit = limit;
  of.read_positive("speed_up", wanted.speed_up, 1e6);
  double scale = 1;
  of.read_positive("scale", scale, 1000);
  wanted.prompt_scale = wanted.answer_scale = scale;
  of.read_positive("prompt_scale", wanted.prompt_scale, 1000);
  of.read_positive("answer_scale", wanted.answer_scale, 1000);
  of.read("longest_prompt", wanted.longest_prompt, 1, longest_length);
  of.read("longest_answer", wanted.longest_answer, 1, longest_length);
  of.read("from_start", into.from_start);
  of.finish();
  if (of.problems()) return;
  const auto whole = read_file(of, shelf, *format, file, settings);
  if (!whole) return;
  auto selected = select(*whole, wanted);
  if (!selected) return of.complain("file", selected.error());
  into.trace = std::make_shared<const workload>(std::move(*selected));
  into.replay = has_times(*format);
}

workload_recipe read_workload(toml_section& of, trace_shelf& shelf) {
  workload_recipe made;
  of.read("kind", made.kind);
  of.read("tenant", made.tenant);
  of.read("workflow", made.workflow);
  std::uint32_t requests = 0;
  of.read("requests", requests, 1, 100'000'000);
  made.requests = requests;
  read_objective(of, made.objective);
  read_arrivals(of, made.coming);
  if (of.has("trace")) {
    read_trace(of.table("trace"), shelf, made);
    for (const auto* const key : {"prompt_tokens", "answer_tokens", "stages", "calls"})
      if (of.has(key)) of.complain(key, "a trace has its own");
    if (of.has("arrivals")) made.replay = false;
  } else {
    for (const auto* const key : {"prompt_tokens", "answer_tokens"})
      if (!of.has(key)) of.complain(key, "a workload has a trace, or lengths of prompts and answers");
  }
  read_lengths(of, "prompt_tokens", made.prompts);
  read_lengths(of, "answer_tokens", made.answers);
  of.read("stages", made.stages, 1, 1000);
  of.read("calls", made.calls, 1, 1000);
  if (made.replay && made.trace) made.coming.rate = mean_rate(*made.trace);
  of.read_positive("rate", made.coming.rate, most_rate);
  return made;
}

}  // namespace

std::vector<workload_recipe> read_workloads(toml_section& root, trace_shelf& shelf, std::optional<double> total_rate) {
  std::vector<workload_recipe> made;
  double sum = 0;
  for (auto& of : root.tables("workload")) {
    made.push_back(read_workload(of, shelf));
    auto& recipe = made.back();
    if (!of.has("rate") && !recipe.replay && !total_rate)
      of.complain("rate", "the workload needs it: requests a second");
    if (recipe.replay && recipe.coming.rate <= 0) of.complain("trace", "all its requests come at once; say arrivals");
    sum += recipe.coming.rate;
    of.finish();
  }
  if (made.empty()) root.complain("workload", "there is no [[workload]]");
  if (total_rate)
    for (auto& recipe : made)
      recipe.coming.rate *= *total_rate / sum;
  return made;
}

}  // namespace troupe::simulator
