#include "cli/placement_file.hpp"

#include <algorithm>
#include <fstream>
#include <iomanip>
#include <sstream>
#include <tuple>
#include <utility>

#include <toml++/toml.h>

namespace troupe::cli {
namespace {

using policies::unit_kind;

/// The instances of one unit: role, split and the host of the first stage.
void add_workers(const planned_cluster& planned, const policies::placed_unit& placed, std::vector<launch_host>& all) {
  const auto& unit = placed.scored.unit;
  for (const auto& stage : placed.stages) {
    if (stage.stage != 0) continue;
    const auto& split = stage.decodes ? unit.decode : unit.prefill;
    const auto& host = planned.hosts.at(stage.node);
    const std::string roles = unit.kind != unit_kind::disaggregated ? "worker" : stage.decodes ? "decode" : "prefill";
    const auto same = std::ranges::find_if(all, [&](const launch_host& of) {
      return of.host == host.host && of.roles == roles && of.tensor_parallel == split.tp &&
             of.pipeline_parallel == split.pp;
    });
    if (same != all.end()) {
      ++same->slots;
      same->devices += split.gpus();
      continue;
    }
    launch_host made = host;
    made.slots = 1;
    made.devices = split.gpus();
    made.roles = roles;
    made.tensor_parallel = split.tp;
    made.pipeline_parallel = split.pp;
    all.push_back(made);
  }
}

/// Written here and not by the TOML library, which gives every decimal 17 digits.
std::string decimal(double value) {
  std::ostringstream digits;
  digits << std::setprecision(6) << value;
  auto text = digits.str();
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

std::string quoted(const std::string& text) {
  std::ostringstream out;
  out << toml::value<std::string>(text);
  return out.str();
}

void print(std::ostream& out, const launch_host& host) {
  out << "\n[[node]]\nhost = " << quoted(host.host) << "\nslots = " << host.slots << "\nroles = " << quoted(host.roles)
      << "\ndevices = " << host.devices << '\n';
  if (host.threads != 0) out << "threads = " << host.threads << '\n';
  if (host.memory_gib > 0) out << "memory_gib = " << decimal(host.memory_gib) << '\n';
  if (host.within_gb_s > 0) out << "within_gb_s = " << decimal(host.within_gb_s) << '\n';
  if (host.between_gb_s > 0) out << "between_gb_s = " << decimal(host.between_gb_s) << '\n';
  if (host.tensor_parallel > 1) out << "tensor_parallel = " << host.tensor_parallel << '\n';
  if (host.pipeline_parallel > 1) out << "pipeline_parallel = " << host.pipeline_parallel << '\n';
}

toml::table& section(toml::table& root, const char* name) {
  if (root[name].as_table() == nullptr) root.insert_or_assign(name, toml::table{});
  return *root[name].as_table();
}

void print(std::ostream& out, const planned_cluster& planned) {
  const auto& record = planned.record;
  out << "\n[plan]\nunits = [";
  for (const auto& placed : planned.plan.units)
    out << (&placed == &planned.plan.units.front() ? "" : ", ") << quoted(policies::to_string(placed.scored.unit));
  out << "]\ngoodput = " << decimal(record.goodput) << "\nttft_ms = " << decimal(record.slo.ttft_s * 1e3)
      << "\ntpot_ms = " << decimal(record.slo.tpot_s * 1e3) << "\nattainment = " << decimal(record.slo.attainment)
      << "\nrequests = " << record.workload.requests << "\nrate = " << decimal(record.workload.rate)
      << "\nmean_prompt_tokens = " << decimal(record.workload.mean_prompt_tokens)
      << "\nmean_output_tokens = " << decimal(record.workload.mean_output_tokens) << '\n';
}

/// Both kinds of co-located unit are a matter of the local order.
void set_local_order(toml::table& root, const policies::placement& plan) {
  if (plan.units.empty()) return;
  const auto& unit = plan.units.front().scored.unit;
  if (unit.kind == unit_kind::prefill_first) section(root, "scheduler").insert_or_assign("policy", "prefill_first");
  if (unit.kind != unit_kind::chunked_prefill) return;
  section(root, "scheduler").insert_or_assign("policy", "fcfs");
  section(root, "worker").insert_or_assign("interleaved_prefill_tokens", std::int64_t{unit.chunk_tokens});
}

result<toml::table> parse(const std::filesystem::path& file, const char* field) {
  if (!std::filesystem::exists(file))
    return make_error(errc::invalid_argument, "There is no file '" + file.string() + "'.", field);
  try {
    return toml::parse_file(file.string());
  } catch (const toml::parse_error& e) {
    return make_error(errc::invalid_argument,
                      file.string() + ":" + std::to_string(e.source().begin.line) + ": " + std::string(e.description()),
                      field);
  }
}

}  // namespace

std::vector<launch_host> workers_of(const planned_cluster& planned) {
  std::vector<launch_host> all;
  for (const auto& placed : planned.plan.units)
    add_workers(planned, placed, all);
  return all;
}

std::string count_roles(const std::vector<launch_host>& workers) {
  std::map<std::string, std::uint32_t> counts;
  for (const auto& of : workers)
    counts[of.roles] += of.slots;
  std::string text;
  for (const char* role : {"worker", "prefill", "decode"})
    if (counts[role] > 0) text += (text.empty() ? "" : ", ") + std::to_string(counts[role]) + " x " + role;
  return text.empty() ? "none" : text;
}

result<> write_plan(const planned_cluster& planned, const std::filesystem::path& base,
                    const std::filesystem::path& file) {
  toml::table root;
  if (!base.empty()) {
    auto parsed = parse(base, "cluster");
    if (!parsed) return parsed.error();
    root = *std::move(parsed);
  }
  auto& model = section(root, "model");
  if (!planned.model.empty()) model.insert_or_assign("path", planned.model);
  set_local_order(root, planned.plan);
  root.erase("plan");
  root.erase("node");
  std::ofstream out(file);
  out << "# Written by `troupe place`; start it with: troupe up -f " << file.filename().string() << "\n\n"
      << root << '\n';
  print(out, planned);
  for (const auto& host : workers_of(planned))
    print(out, host);
  out.close();
  if (!out) return make_error(errc::invalid_argument, "Cannot write '" + file.string() + "'.", "output");
  return {};
}

result<plan_record> read_plan(const std::filesystem::path& file) {
  const auto root = parse(file, "current");
  if (!root) return root.error();
  const auto* table = (*root)["plan"].as_table();
  if (table == nullptr)
    return make_error(errc::invalid_argument, file.string() + " has no [plan]; `troupe place --output` writes it.",
                      "current");
  plan_record made;
  double ttft_ms = 0, tpot_ms = 0, requests = 0;
  for (const auto& [key, value, least] :
       {std::tuple{"ttft_ms", &ttft_ms, 1e-3}, std::tuple{"tpot_ms", &tpot_ms, 1e-3},
        std::tuple{"attainment", &made.slo.attainment, 1e-3}, std::tuple{"requests", &requests, 1.0},
        std::tuple{"rate", &made.workload.rate, 0.0}, std::tuple{"goodput", &made.goodput, 0.0},
        std::tuple{"mean_prompt_tokens", &made.workload.mean_prompt_tokens, 1.0},
        std::tuple{"mean_output_tokens", &made.workload.mean_output_tokens, 1.0}}) {
    const auto found = (*table)[key].value<double>();
    if (!found || !(*found >= least))
      return make_error(errc::invalid_argument, file.string() + ": plan." + key + " is no number that a plan has.",
                        std::string("plan.") + key);
    *value = *found;
  }
  made.slo.ttft_s = ttft_ms * 1e-3;
  made.slo.tpot_s = tpot_ms * 1e-3;
  made.workload.requests = static_cast<std::uint64_t>(requests);
  return made;
}

}  // namespace troupe::cli
