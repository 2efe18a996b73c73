#include "cli/simulation_report.hpp"

#include "base/build_info.hpp"
#include "simulator/plots.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include <nlohmann/json.hpp>

namespace troupe::cli {
namespace {

using simulator::outcome_summary;

struct metric {
  const char* name;   // in JSON, with its unit
  const char* title;  // of the column; nullptr: in JSON alone
  int decimals;
  double (*number)(const outcome_summary&);
};

constexpr metric metrics[] = {
    {"ttft_p50_s", "TTFT p50 s", 3, [](const outcome_summary& s) { return s.ttft.p50_s; }},
    {"ttft_p99_s", "TTFT p99 s", 3, [](const outcome_summary& s) { return s.ttft.p99_s; }},
    {"ttft_mean_s", nullptr, 3, [](const outcome_summary& s) { return s.ttft.mean_s; }},
    {"tpot_p50_ms", "TPOT p50 ms", 1, [](const outcome_summary& s) { return 1e3 * s.tpot.p50_s; }},
    {"tpot_p99_ms", "TPOT p99 ms", 1, [](const outcome_summary& s) { return 1e3 * s.tpot.p99_s; }},
    {"tpot_mean_ms", nullptr, 1, [](const outcome_summary& s) { return 1e3 * s.tpot.mean_s; }},
    {"e2e_p50_s", "e2e p50 s", 2, [](const outcome_summary& s) { return s.e2e.p50_s; }},
    {"e2e_p99_s", "e2e p99 s", 2, [](const outcome_summary& s) { return s.e2e.p99_s; }},
    {"e2e_mean_s", nullptr, 2, [](const outcome_summary& s) { return s.e2e.mean_s; }},
    {"program_e2e_p50_s", nullptr, 2, [](const outcome_summary& s) { return s.program_e2e.p50_s; }},
    {"program_e2e_p99_s", nullptr, 2, [](const outcome_summary& s) { return s.program_e2e.p99_s; }},
    {"attainment_percent", "attained %", 1, [](const outcome_summary& s) { return 100 * s.attainment; }},
    {"ttft_attainment_percent", nullptr, 1, [](const outcome_summary& s) { return 100 * s.ttft_attainment; }},
    {"tpot_attainment_percent", nullptr, 1, [](const outcome_summary& s) { return 100 * s.tpot_attainment; }},
    {"tokens_per_s", nullptr, 0, [](const outcome_summary& s) { return s.tokens_per_s; }},
    {"token_goodput_percent", nullptr, 1, [](const outcome_summary& s) { return 100 * s.token_goodput; }},
    {"goodput_tokens_per_s", "goodput tok/s", 0, [](const outcome_summary& s) { return s.goodput_tokens_per_s; }},
    {"failed", "failed", 0, [](const outcome_summary& s) { return static_cast<double>(s.failed); }},
    {"preemptions", "preempted", 0, [](const outcome_summary& s) { return static_cast<double>(s.preemptions); }},
    {"preemption_loss_s", nullptr, 3, [](const outcome_summary& s) { return s.preemption_loss_s; }},
    {"moved", "moved", 0, [](const outcome_summary& s) { return static_cast<double>(s.moved); }},
    {"instance_seconds", "instance s", 0, [](const outcome_summary& s) { return s.instance_seconds; }},
};

std::string fixed(double value, int decimals) {
  char text[64];
  (void)std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string shown(const simulator::estimate& of, int decimals, bool with_width) {
  return fixed(of.mean, decimals) + (with_width ? " ±" + fixed(of.half_width, decimals) : "");
}

/// Columns on a terminal: a two-byte ± is one.
std::size_t columns_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string aligned(const std::vector<std::vector<std::string>>& rows, std::size_t n_left) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], columns_of(row[i]));
  std::string made;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - columns_of(row[i]), ' ');
      line += (i == 0 ? "" : "  ") + (i < n_left ? row[i] + space : space + row[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    made += line + "\n";
  }
  return made;
}

bool is_compared(const simulator::scenario& of) {
  return std::ranges::any_of(of.cases, [](const auto& each) { return !each.label.empty(); });
}

nlohmann::ordered_json null_if_empty(const std::string& text) {
  return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
}

nlohmann::ordered_json json_of(const outcome_summary& of) {
  nlohmann::ordered_json made{{"programs", of.programs}, {"calls", of.calls}};
  for (const auto& each : metrics)
    made[each.name] = each.number(of);
  return made;
}

std::string hash_text(std::uint64_t hash) {
  char text[24];
  (void)std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

nlohmann::ordered_json json_of(const simulator::case_result& of) {
  nlohmann::ordered_json made;
  auto& means = made["means"];
  for (const auto& each : metrics) {
    const auto estimated = simulator::estimate_over(of, each.number);
    means[each.name] = {{"mean", estimated.mean}, {"half_width_95", estimated.half_width}};
  }
  for (const auto& seed : of.seeds) {
    nlohmann::ordered_json one{{"seed", seed.seed},
                               {"trace_hash", hash_text(seed.trace_hash)},
                               {"duration_s", seed.duration_s},
                               {"wall_s", seed.wall_s},
                               {"all", json_of(seed.all)}};
    for (const auto& [kind, summary] : seed.by_kind)
      one["kinds"][kind] = json_of(summary);
    made["seeds"].push_back(std::move(one));
  }
  return made;
}

/// For file names: letters, digits and what cannot do harm.
std::string file_name(std::string text) {
  for (char& c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '.') c = '_';
  return text.empty() ? "all" : text;
}

/// Labels in the order of the scenario.
std::vector<std::string> labels_of(const simulator::scenario& of) {
  std::vector<std::string> made;
  for (const auto& each : of.cases)
    if (std::ranges::find(made, each.label) == made.end()) made.push_back(each.label);
  return made;
}

std::vector<std::string> values_of(const simulator::scenario& of) {
  std::vector<std::string> made;
  for (const auto& each : of.cases)
    if (std::ranges::find(made, each.value) == made.end()) made.push_back(each.value);
  return made;
}

std::string name_of(const std::string& label) {
  return label.empty() ? "all" : label;
}

std::string axis_of(const simulator::scenario& of) {
  return of.sweep_key + (of.sweep_unit.empty() ? "" : " (" + of.sweep_unit + ")");
}

struct sweep_plot {
  const char* file;
  const char* title;
  const char* y_label;
  const char* metric;
  bool is_percent;
};

constexpr sweep_plot sweep_plots[] = {
    {"attainment.svg", "Programs inside all their objectives", "attainment (%)", "attainment_percent", true},
    {"goodput.svg", "Tokens that count", "goodput (tokens/s)", "goodput_tokens_per_s", false},
    {"ttft_p99.svg", "Time to first token, 99th percentile", "TTFT p99 (s)", "ttft_p99_s", false},
    {"tpot_p99.svg", "Time per output token, 99th percentile", "TPOT p99 (ms)", "tpot_p99_ms", false},
    {"e2e_p99.svg", "End-to-end latency of calls, 99th percentile", "latency p99 (s)", "e2e_p99_s", false},
};

std::string draw_sweep(const simulator::scenario& of, const simulator::experiment_result& ran,
                       const sweep_plot& wanted) {
  simulator::line_chart chart{
      of.title.empty() ? wanted.title : of.title + ": " + wanted.title, axis_of(of), wanted.y_label, {}};
  if (wanted.is_percent) {
    chart.y_least = 0;
    chart.y_most = 100;
  }
  const auto* const number =
      std::ranges::find_if(metrics, [&](const metric& m) { return std::string_view(m.name) == wanted.metric; });
  for (const auto& label : labels_of(of)) {
    std::vector<std::pair<double, simulator::estimate>> points;
    for (std::size_t i = 0; i < of.cases.size(); ++i)
      if (of.cases[i].label == label)
        points.emplace_back(*of.cases[i].number, simulator::estimate_over(ran.cases[i], number->number));
    std::ranges::sort(points, {}, &std::pair<double, simulator::estimate>::first);
    auto& series = chart.series.emplace_back();
    series.name = name_of(label);
    for (const auto& [x, estimated] : points) {
      series.x.push_back(x);
      series.y.push_back(estimated.mean);
      if (of.seeds.size() > 1) series.half_width.push_back(estimated.half_width);
    }
  }
  return draw_lines(chart);
}

struct distribution_plot {
  const char* file;
  const char* title;
  const char* x_label;
  std::vector<double> simulator::seed_result::*samples;
  double scale;
};

constexpr distribution_plot distribution_plots[] = {
    {"ttft", "Time to first token", "TTFT (s)", &simulator::seed_result::ttft, 1},
    {"tpot", "Time per output token", "TPOT (ms)", &simulator::seed_result::tpot, 1e3},
    {"e2e", "End-to-end latency of calls", "latency (s)", &simulator::seed_result::e2e, 1},
};

void add_distributions(const simulator::scenario& of, const simulator::experiment_result& ran, const std::string& value,
                       std::vector<named_plot>& into) {
  for (const auto& wanted : distribution_plots) {
    std::vector<simulator::plot_samples> all;
    for (std::size_t i = 0; i < of.cases.size(); ++i) {
      if (of.cases[i].value != value) continue;
      auto& one = all.emplace_back();
      one.name = name_of(of.cases[i].label);
      for (const auto& seed : ran.cases[i].seeds)
        for (const double sample : seed.*wanted.samples)
          one.samples.push_back(sample * wanted.scale);
    }
    const std::string at = value.empty() ? "" : ", " + of.sweep_key + " " + value;
    const std::string suffix = value.empty() ? "" : "_" + file_name(value);
    into.emplace_back(wanted.file + std::string("_cdf") + suffix + ".svg",
                      draw_distributions(wanted.title + at, wanted.x_label, all));
  }
}

}  // namespace

std::string simulation_table(const simulator::scenario& of, const simulator::experiment_result& ran) {
  const bool compared = is_compared(of), swept = !of.sweep_key.empty(), several = of.seeds.size() > 1;
  std::vector<std::vector<std::string>> rows(1);
  if (compared) rows[0].emplace_back("");
  if (swept) rows[0].push_back(of.sweep_key);
  const std::size_t n_left = rows[0].size();
  for (const auto& each : metrics)
    if (each.title != nullptr) rows[0].emplace_back(each.title);
  for (std::size_t i = 0; i < of.cases.size(); ++i) {
    auto& row = rows.emplace_back();
    if (compared) row.push_back(of.cases[i].label);
    if (swept) row.push_back(of.cases[i].value);
    for (const auto& each : metrics)
      if (each.title != nullptr)
        row.push_back(shown(simulator::estimate_over(ran.cases[i], each.number), each.decimals, several));
  }
  std::string made = of.title.empty() ? "" : of.title + "\n";
  made += aligned(rows, n_left);
  char last[256];
  (void)std::snprintf(last, sizeof last,
                      "%zu runs, %zu seed%s%s; %llu simulated requests in %.1f s of wall time: %.0f an hour\n",
                      of.cases.size() * of.seeds.size(), of.seeds.size(), several ? "s" : "",
                      several ? " (means ± half of the 95 % confidence interval)" : "",
                      static_cast<unsigned long long>(ran.calls), ran.wall_s, ran.requests_per_hour());
  return made + last;
}

std::string simulation_json(const simulator::scenario& of, const simulator::experiment_result& ran) {
  nlohmann::ordered_json made{{"title", of.title},
                              {"commit", commit()},
                              {"sweep", null_if_empty(of.sweep_key)},
                              {"requests_simulated", ran.calls},
                              {"wall_s", ran.wall_s},
                              {"requests_per_hour", ran.requests_per_hour()}};
  for (std::size_t i = 0; i < of.cases.size(); ++i) {
    const auto& with = of.cases[i];
    nlohmann::ordered_json one{{"label", null_if_empty(with.label)}, {"value", null_if_empty(with.value)}};
    one.update(json_of(ran.cases[i]));
    made["cases"].push_back(std::move(one));
  }
  return made.dump(1) + "\n";
}

std::vector<named_plot> simulation_plots(const simulator::scenario& of, const simulator::experiment_result& ran) {
  std::vector<named_plot> made;
  const bool of_numbers = std::ranges::all_of(of.cases, [](const auto& each) { return each.number.has_value(); });
  if (of_numbers && !of.sweep_key.empty())
    for (const auto& wanted : sweep_plots)
      made.emplace_back(wanted.file, draw_sweep(of, ran, wanted));
  const auto values = values_of(of);
  for (const auto& value : values)
    add_distributions(of, ran, value, made);
  for (std::size_t i = 0; i < of.cases.size(); ++i) {
    const auto& with = of.cases[i];
    if (with.value != values.back()) continue;
    const auto& seed = ran.cases[i].seeds.front();
    const std::string at = (with.label.empty() ? "" : ", " + with.label) +
                           (with.value.empty() ? "" : ", " + of.sweep_key + " " + with.value);
    made.emplace_back("instances_" + std::to_string(i + 1) + "_" + file_name(with.label) + ".svg",
                      draw_instances("Memory in use" + at, seed.instances, seed.duration_s));
  }
  return made;
}

}  // namespace troupe::cli
