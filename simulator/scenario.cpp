#include "simulator/scenario.hpp"

#include "simulator/csv_file.hpp"
#include "simulator/scenario_sections.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace troupe::simulator {
namespace {

constexpr std::uint32_t most_requests = 100'000'000;
constexpr std::size_t most_cases = 10'000;

/// [run] without what it compares.
struct run_section {
  std::vector<std::uint64_t> seeds;
  std::uint32_t requests = 0;
  std::string key;  // of the sweep
  const toml::array* values = nullptr;
};

std::vector<std::uint64_t> read_seeds(toml_section& of) {
  std::vector<std::uint64_t> made;
  const auto* const node = of.take("seeds");
  if (const auto* const list = node == nullptr ? nullptr : node->as_array()) {
    std::set<std::int64_t> seen;
    for (const auto& each : *list) {
      const auto seed = each.is_integer() ? each.value<std::int64_t>() : std::nullopt;
      if (!seed || *seed < 0 || !seen.insert(*seed).second) {
        of.complain("seeds", to_text(each) + " is no seed, or there twice; seeds are whole numbers of at least 0");
        return {};
      }
      made.push_back(static_cast<std::uint64_t>(*seed));
    }
    if (made.empty()) of.complain("seeds", "there is no seed");
    return made;
  }
  std::uint32_t n = 1;
  of.read("seeds", n, 1, 10'000);
  for (std::uint64_t seed = 1; seed <= n; ++seed)
    made.push_back(seed);
  return made;
}

run_section read_run(toml_section& of) {
  run_section made;
  made.seeds = read_seeds(of);
  of.read("requests", made.requests, 1, most_requests);
  auto sweep = of.table("sweep");
  if (of.has("sweep")) {
    sweep.read("key", made.key);
    if (made.key.empty())
      sweep.complain("key", "a sweep has the key of a value: rate, or a path like instances[0].count");
    const auto* const values = sweep.take("values");
    made.values = values == nullptr ? nullptr : values->as_array();
    if (made.values == nullptr || made.values->empty()) sweep.complain("values", "a sweep has a list of values");
    sweep.finish();
  }
  return made;
}

std::string sweep_place(std::size_t value) {
  return "run.sweep.values[" + std::to_string(value) + "]";
}

/// One case, of a file in which the sweep's value is already, unless it is `rate`.
scenario_case read_case(const toml::table& file, const toml_section::layer& compared, trace_shelf& shelf,
                        std::optional<double> total_rate, first_error& problems) {
  scenario_case made;
  toml_section root({{&file, ""}}, problems);
  for (const auto* const key : {"title", "run"})
    root.take(key);
  root.table("cluster");  // is one
  const auto* const cluster = file.get_as<toml::table>("cluster");
  read_cluster(toml_section({compared, {cluster, "cluster"}}, problems), made.cluster);
  read_network(root.table("network"), made.cluster);
  made.cluster.instances = read_instances(root, shelf.folder);
  made.workloads = read_workloads(root, shelf, total_rate);
  root.finish();
  return made;
}

/// The file as it is for one of those compared: with what its `set` puts elsewhere.
toml::table put_in(const toml::table& file, const toml_section::layer& compared, first_error& problems) {
  toml::table made = file;
  const auto* const node = compared.table == nullptr ? nullptr : compared.table->get("set");
  if (node == nullptr) return made;
  const std::string path = compared.path + ".set";
  if (!node->is_table()) {
    problems.tell(node, path, "this has to be a table of paths and values");
    return made;
  }
  for (const auto& [key, value] : *node->as_table())
    if (const auto put = set_value(made, key.str(), value); !put)
      problems.tell(path + "." + std::string(key.str()), put.error());
  return made;
}

class scenario_reader {
 public:
  scenario_reader(toml::table& file, const std::string& name, const std::filesystem::path& folder)
      : file_(file), problems_(name, &file), shelf_{folder, {}} {}

  result<scenario> read() {
    toml_section root({{&file_, ""}}, problems_);
    root.read("title", made_.title);
    auto run = root.table("run");
    run_ = read_run(run);
    auto compared = run.tables("compare");
    run.finish();
    made_.seeds = run_.seeds;
    made_.requests = run_.requests;
    made_.sweep_key = run_.key;
    made_.sweep_unit = run_.key == "rate" || run_.key.ends_with(".rate") ? "requests/s" : "";
    const std::size_t n_values = run_.values == nullptr ? 1 : run_.values->size();
    if (std::max<std::size_t>(compared.size(), 1) * n_values > most_cases)
      run.complain("sweep", "these are more cases than " + std::to_string(most_cases));
    // By itself too: what is compared may hide what is wrong with it.
    simulated_cluster_options unused;
    read_cluster(root.table("cluster"), unused);
    if (compared.empty()) read_values({nullptr, "run.compare"}, "");
    for (std::size_t i = 0; i < compared.size() && !problems_; ++i) {
      std::string label;
      compared[i].read("label", label);
      if (label.empty()) compared[i].complain("label", "what is compared needs a label");
      if (!labels_.insert(label).second) compared[i].complain("label", "'" + label + "' is there twice");
      read_values({compared[i].front(), "run.compare[" + std::to_string(i) + "]"}, label);
    }
    if (problems_) return problems_.get();
    return std::move(made_);
  }

 private:
  /// All cases of one of those compared.
  void read_values(const toml_section::layer& compared, const std::string& label) {
    if (problems_) return;
    // The file itself, if it can be: a copy does not know its lines.
    const bool is_changed = run_.values != nullptr || (compared.table != nullptr && compared.table->contains("set"));
    toml::table changed;
    if (is_changed) changed = put_in(file_, compared, problems_);
    const toml::table& file = is_changed ? changed : file_;
    if (run_.values == nullptr) return add(read_case(file, compared, shelf_, std::nullopt, problems_), label);
    for (std::size_t i = 0; i < run_.values->size() && !problems_; ++i) {
      const auto& value = *run_.values->get(i);
      const auto number = value.is_number() ? value.value<double>() : std::nullopt;
      std::optional<double> total_rate;
      if (run_.key == "rate") {
        total_rate = number;
        if (!number || !(*number > 0 && *number <= 1e6))
          problems_.tell(&value, sweep_place(i), to_text(value) + " is no rate above 0 and up to 1e+06");
      } else if (const auto put = set_value(changed, run_.key, value); !put) {
        problems_.tell("run.sweep.key", put.error());
      }
      if (problems_) return;
      auto made = read_case(file, compared, shelf_, total_rate, problems_);
      made.value = value.is_string() ? *value.value<std::string>() : to_text(value);
      made.number = number;
      add(std::move(made), label);
    }
  }

  void add(scenario_case made, const std::string& label) {
    made.label = label;
    made_.cases.push_back(std::move(made));
  }

  toml::table& file_;
  first_error problems_;
  trace_shelf shelf_;
  run_section run_;
  std::set<std::string> labels_;
  scenario made_;
};

/// The value of a setting, or its text.
result<> put_setting(toml::table& file, const scenario_setting& setting) {
  try {
    const auto parsed = toml::parse("value = " + setting.value);
    if (parsed.size() == 1) return set_value(file, setting.key, *parsed.get("value"));
  } catch (const toml::parse_error&) {
    // A word, then.
  }
  return set_value(file, setting.key, toml::value<std::string>(setting.value));
}

}  // namespace

result<scenario> parse_scenario(std::string_view text, const std::string& name, const std::filesystem::path& folder,
                                const std::vector<scenario_setting>& settings) {
  toml::table file;
  try {
    file = toml::parse(text, name);
  } catch (const toml::parse_error& e) {
    return make_error(errc::invalid_argument,
                      name + ":" + std::to_string(e.source().begin.line) + ": " + std::string(e.description()) + ".",
                      "scenario");
  }
  for (const auto& setting : settings)
    if (const auto put = put_setting(file, setting); !put) return put.error();
  return scenario_reader(file, name, folder).read();
}

result<scenario> read_scenario(const std::filesystem::path& file, const std::vector<scenario_setting>& settings) {
  const auto text = read_whole_file(file);
  if (!text) return make_error(errc::invalid_argument, text.error().message, "scenario");
  return parse_scenario(*text, file.string(), file.parent_path(), settings);
}

}  // namespace troupe::simulator
