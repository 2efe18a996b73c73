// [cluster], [network] and [[instances]] of a scenario.
#include "actors/protocols/membership.hpp"
#include "kernels/types.hpp"
#include "policies/local_order.hpp"
#include "simulator/cost_models.hpp"
#include "simulator/scenario_sections.hpp"

#include <algorithm>
#include <array>

namespace troupe::simulator {
namespace {

constexpr std::uint32_t most_instances = 1000;
constexpr std::uint32_t any = 1'000'000'000;

void read_jitserve(toml_section of, policies::jitserve_settings& into) {
  of.read("candidate_share", into.candidate_share, 0, 1);
  of.read("log_error", into.log_error, 0, 10);
  of.read("just_in_time", into.just_in_time, 0, 10);
  of.read("frame_steps", into.frame_steps, 1, any);
  of.read("length_grouping", into.length_grouping);
  of.read("stickiness", into.stickiness);
  of.finish();
}

void read_rescheduling(toml_section& of, simulated_cluster_options& into) {
  bool wanted = false;
  of.read("rescheduling", wanted);
  policies::rescheduling_settings settings;
  settings.headroom = into.dispatching.headroom;
  of.read("migrate_below", settings.migrate_below, 0, any);
  of.read("migrate_above", settings.migrate_above, 0, any);
  of.read_ms("reschedule_every_ms", into.reschedule_every);
  if (settings.migrate_below > settings.migrate_above)
    of.complain("migrate_below", "this is more than migrate_above: who takes requests would give them away");
  if (wanted) into.rescheduling = settings;
}

void read_scaling(toml_section& of, simulated_cluster_options& into) {
  policies::scaling_settings settings;
  settings.max_workers = 0;
  of.read("min_workers", settings.min_workers, 1, most_instances);
  of.read("max_workers", settings.max_workers, 1, most_instances);
  of.read("scale_up_below", settings.scale_up_below, 0, any);
  of.read("scale_down_above", settings.scale_down_above, 0, any);
  of.read_ms("scale_every_ms", into.scale_every);
  double start_s = std::chrono::duration<double>(into.start_time).count();
  of.read("start_s", start_s, 0, any);
  into.start_time = std::chrono::duration_cast<duration>(std::chrono::duration<double>(start_s));
  if (settings.max_workers == 0) {
    if (of.has("min_workers")) of.complain("min_workers", "there is no max_workers to go with it");
    return;
  }
  if (settings.min_workers > settings.max_workers) of.complain("min_workers", "this is more than max_workers");
  if (settings.scale_up_below >= settings.scale_down_above)
    of.complain("scale_up_below", "this has to be less than scale_down_above, or the cluster never rests");
  into.scaling = settings;
}

void read_lengths(toml_section& of, simulated_cluster_options& into) {
  constexpr std::array<std::string_view, 4> names{"none", "learned", "noisy", "exact"};
  std::string name(names[static_cast<std::size_t>(into.lengths)]);
  of.read("lengths", name);
  const auto* const found = std::ranges::find(names, name);
  if (found == names.end())
    of.complain("lengths", "'" + name + "' is not what schedulers can know; there are: none, learned, noisy, exact");
  else
    into.lengths = static_cast<length_knowledge>(found - names.begin());
  of.read("length_sigma", into.length_sigma, 0, 10);
  of.read("length_quantile", into.length_quantile, 0.01, 0.99);
}

void read_tenants(toml_section of, std::map<std::string, double>& into) {
  if (of.front() == nullptr) return;
  for (const auto& [tenant, weight] : *of.front()) {
    (void)weight;
    of.read_positive(tenant.str(), into[std::string(tenant.str())], any);
  }
}

void read_cost_terms(toml_section of, policies::prompt_cost& into) {
  of.read("base_ms", into.base_ms, 0, any);
  of.read("per_token_ms", into.per_token_ms, 0, any);
  of.read("per_token_squared_ms", into.per_token_squared_ms, 0, any);
  of.finish();
}

void read_cost_terms(toml_section of, policies::decoding_cost& into) {
  of.read("base_ms", into.base_ms, 0, any);
  of.read("per_context_ms", into.per_context_ms, 0, any);
  of.read("per_sequence_ms", into.per_sequence_ms, 0, any);
  of.finish();
}

/// prompt, decoding, large and large_batch, here or in a file of their own.
policies::step_cost read_cost_numbers(toml_section& of) {
  policies::step_cost made;
  for (const auto* const needed : {"prompt", "decoding"})
    if (!of.has(needed)) of.complain(needed, "a cost in numbers has prompt and decoding");
  read_cost_terms(of.table("prompt"), made.prompt);
  read_cost_terms(of.table("decoding"), made.decoding);
  read_cost_terms(of.table("large"), made.large);
  of.read("large_batch", made.large_batch, 0, any);
  if (made.large_batch > 0 && !of.has("large")) of.complain("large_batch", "there is no table large to go with it");
  if (made.decoding.base_ms + made.decoding.per_context_ms + made.decoding.per_sequence_ms <= 0)
    of.complain("decoding", "a step of decoding has to take some time");
  return made;
}

policies::step_cost read_cost_file(toml_section& of, const std::filesystem::path& folder) {
  std::string name;
  of.read("file", name);
  toml::table root;
  try {
    root = toml::parse_file((folder / name).string());
  } catch (const toml::parse_error& e) {
    of.complain("file", (folder / name).string() + ": " + std::string(e.description()));
    return {};
  }
  first_error problems((folder / name).string());
  toml_section file({{&root, ""}}, problems);
  const auto made = read_cost_numbers(file);
  file.finish();
  if (problems) of.complain("file", problems.get());
  return made;
}

policies::step_cost read_cost_profile(toml_section& of, const std::filesystem::path& folder) {
  profile_files files;
  std::string operators, all_reduce;
  of.read("profile", operators);
  of.read("all_reduce", all_reduce);
  of.read("gpu", files.gpu);
  of.read("layers", files.layers, 1, 10'000);
  of.read("vocabulary", files.vocabulary, 1, any);
  of.read("tensor_parallel", files.tensor_parallel, 1, 1024);
  if (of.problems()) return {};
  files.operators = folder / operators;
  if (!all_reduce.empty()) files.all_reduce = folder / all_reduce;
  const auto made = read_profile(files);
  if (made) return *made;
  const auto& param = made.error().param;
  of.complain(param == "tensor_parallel" || param == "all_reduce" || param == "gpu" ? param : "profile", made.error());
  return {};
}

policies::step_cost read_cost_step_times(toml_section& of, const std::filesystem::path& folder) {
  std::string file, gpu;
  of.read("step_times", file);
  of.read("gpu", gpu);
  if (of.problems()) return {};
  const auto rows = read_step_times(folder / file);
  if (!rows) {
    of.complain("step_times", rows.error());
    return {};
  }
  const auto made = fit_step_times(*rows, gpu);
  if (made) return *made;
  of.complain(made.error().param, made.error());
  return {};
}

policies::step_cost read_cost(toml_section& of, const std::filesystem::path& folder) {
  const auto* const node = of.take("cost");
  if (node == nullptr) {
    of.complain("cost", "the instance needs it: the name of a model, or a table");
    return {};
  }
  if (!node->is_table()) {
    std::string name;
    of.read("cost", name);
    const auto made = find_cost_model(name);
    if (made) return *made;
    of.complain("cost", made.error());
    return {};
  }
  auto table = of.table("cost");
  const auto made = table.has("file")         ? read_cost_file(table, folder)
                    : table.has("profile")    ? read_cost_profile(table, folder)
                    : table.has("step_times") ? read_cost_step_times(table, folder)
                                              : read_cost_numbers(table);
  table.finish();
  return made;
}

std::uint8_t read_roles(toml_section& of) {
  std::string text = "worker";
  of.read("roles", text);
  const auto roles = parse_roles(text);
  if (!roles) of.complain("roles", "'" + text + "' names no roles; there are worker, prefill and decode");
  return roles.value_or(std::uint8_t{worker_role::both});
}

instance_kind read_instance(toml_section& of, const std::filesystem::path& folder) {
  instance_kind made;
  of.read("name", made.name);
  if (made.name.empty()) of.complain("name", "a name has at least one letter");
  of.read("count", made.count, 1, most_instances);
  made.roles = read_roles(of);
  made.cost = read_cost(of, folder);
  of.read("blocks", made.blocks, 1, 100'000'000);
  const auto fits = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(std::uint64_t{made.blocks} * kernels::kv_block_tokens, 1'000'000'000));
  made.max_context = std::min(made.max_context, fits);
  of.read("max_context", made.max_context, 2, fits);
  of.read("max_batched_tokens", made.max_batched_tokens, 1, any);
  of.read("max_sequences", made.max_sequences, 1, 100'000);
  of.read("max_running", made.max_running, 1, 100'000);
  if (made.max_running > made.max_sequences) of.complain("max_running", "this is more than max_sequences");
  of.read("interleaved_prefill_tokens", made.interleaved_prefill_tokens, 1, any);
  of.read("prefix_caching", made.prefix_caching);
  of.finish();
  return made;
}

}  // namespace

void read_cluster(toml_section of, simulated_cluster_options& into) {
  of.take("label");
  of.take("set");
  of.read("dispatch", into.dispatch);
  of.read("alpha", into.dispatching.alpha, 0, 1);
  of.read("cumulative_work", into.dispatching.cumulative_work);
  of.read("headroom", into.dispatching.headroom, 0, any);
  of.read("balance_factor", into.dispatching.balance_factor, 1, any);
  if (const auto made = policies::make_dispatch_policy(into.dispatch); !made) of.complain("dispatch", made.error());
  of.read("scheduler", into.local_order);
  if (const auto made = policies::make_batching_policy(into.local_order); !made) of.complain("scheduler", made.error());
  read_jitserve(of.table("jitserve"), into.batching.jitserve);
  read_rescheduling(of, into);
  read_scaling(of, into);
  std::uint32_t queue = static_cast<std::uint32_t>(into.queue_capacity);
  of.read("queue", queue, 1, 100'000'000);
  into.queue_capacity = queue;
  of.read("backlog", into.worker_backlog, 1, 1'000'000);
  read_tenants(of.table("tenant_weights"), into.tenant_weights);
  read_lengths(of, into);
  double limit_s = std::chrono::duration<double>(into.limit).count();
  of.read_positive("limit_s", limit_s, any);
  into.limit = std::chrono::duration_cast<duration>(std::chrono::duration<double>(limit_s));
  of.finish();
}

void read_network(toml_section of, simulated_cluster_options& into) {
  double latency_us = std::chrono::duration<double, std::micro>(into.network.latency).count();
  double gbit_per_s = 0;
  // Beyond these bounds the members' handshakes time out.
  of.read("latency_us", latency_us, 0, 200'000);
  of.read("gbit_per_s", gbit_per_s, 1e-4, any);
  of.read("kv_bytes_per_token", into.kv_bytes_per_token, 0, any);
  into.network.latency = std::chrono::duration_cast<duration>(std::chrono::duration<double, std::micro>(latency_us));
  into.network.bytes_per_second = gbit_per_s * 1e9 / 8;
  of.finish();
}

std::vector<instance_kind> read_instances(toml_section& root, const std::filesystem::path& folder) {
  std::vector<instance_kind> made;
  std::uint64_t n = 0;
  std::uint8_t roles = 0;
  for (auto& of : root.tables("instances")) {
    made.push_back(read_instance(of, folder));
    n += made.back().count;
    roles |= made.back().roles;
  }
  if (made.empty()) root.complain("instances", "a cluster has at least one [[instances]]");
  if (n > most_instances) root.complain("instances", "these are more than " + std::to_string(most_instances));
  if (!made.empty() && roles != worker_role::both)
    root.complain("instances", "somebody has to compute prompts and somebody to decode; their roles say otherwise");
  return made;
}

}  // namespace troupe::simulator
