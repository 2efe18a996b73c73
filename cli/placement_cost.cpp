#include "cli/placement_cost.hpp"

#include "bench/engine_alone.hpp"
#include "bench/step_times.hpp"
#include "policies/step_cost_fit.hpp"
#include "simulator/cost_models.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe::cli {
namespace {

using policies::step_cost;
using policies::step_sample;

error wrong(std::string message, const char* field = "cost") {
  return make_error(errc::invalid_argument, std::move(message), field);
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

// --- measured here

/// Others compute on this machine, too: of several steps of a shape the quickest is the one that was left alone.
result<step_sample> time_quickest(cpu_engine& engine, const bench::step_recipe& recipe) {
  const auto by = engine.n_threads() == 1 ? bench::step_clock::thread : bench::step_clock::wall;
  const auto samples = bench::time_step(engine, recipe, 3, by);
  if (!samples) return samples.error();
  return *std::ranges::min_element(*samples, {}, &step_sample::time_ms);
}

result<placement_cost> measure(const cost_request& wanted) {
  auto engine = bench::load_engine(wanted.model, wanted.isa, wanted.threads);
  if (!engine) return engine.error();
  std::vector<bench::step_recipe> recipes;
  for (const std::uint32_t n : {24u, 48u, 96u, 192u, 288u, 384u})
    recipes.push_back(bench::whole_prompt(n));
  for (const std::uint32_t context : {64u, 256u})
    for (const std::uint32_t n : {1u, 4u, 10u})
      recipes.push_back(bench::decoding_batch(n, context));
  std::vector<step_sample> samples;
  if (auto warm = time_quickest(**engine, recipes.front()); !warm) return warm.error();
  for (const auto& recipe : recipes) {
    const auto sample = time_quickest(**engine, recipe);
    if (!sample) return sample.error();
    samples.push_back(*sample);
  }
  const auto fit = policies::fit_step_cost(samples);
  if (!fit) return fit.error();
  placement_cost made;
  made.cost = [cost = fit->cost](std::uint32_t) { return cost; };
  made.tp = {1};
  made.source = "measured here with " + std::to_string(wanted.threads) + " threads; the fit is off by " +
                percent(fit->median_error) + " (median), " + percent(fit->p90_error) + " (P90)";
  return made;
}

// --- from a file

constexpr std::pair<const char*, double policies::prompt_cost::*> prompt_keys[] = {
    {"base_ms", &policies::prompt_cost::base_ms},
    {"per_token_ms", &policies::prompt_cost::per_token_ms},
    {"per_token_squared_ms", &policies::prompt_cost::per_token_squared_ms}};
constexpr std::pair<const char*, double policies::decoding_cost::*> decoding_keys[] = {
    {"base_ms", &policies::decoding_cost::base_ms},
    {"per_context_ms", &policies::decoding_cost::per_context_ms},
    {"per_sequence_ms", &policies::decoding_cost::per_sequence_ms}};

template <class Part, class Keys>
result<> read_part(const nlohmann::json& root, const char* name, Part& part, const Keys& keys) {
  const auto found = root.find(name);
  if (found == root.end() || !found->is_object()) return wrong(std::string("it has no '") + name + "'.");
  for (const auto& [key, member] : keys) {
    const auto value = found->find(key);
    if (value == found->end() || !value->is_number() || !(value->template get<double>() >= 0))
      return wrong(std::string(name) + "." + key + " is no number of ms.");
    part.*member = value->template get<double>();
  }
  return {};
}

result<step_cost> read_coefficients(const nlohmann::json& root) {
  step_cost cost;
  if (auto read = read_part(root, "prompt", cost.prompt, prompt_keys); !read) return read.error();
  if (auto read = read_part(root, "decoding", cost.decoding, decoding_keys); !read) return read.error();
  if (!root.contains("large")) return cost;
  if (auto read = read_part(root, "large", cost.large, decoding_keys); !read) return read.error();
  const auto batch = root.find("large_batch");
  if (batch == root.end() || !batch->is_number_unsigned()) return wrong("large_batch is no number of sequences.");
  cost.large_batch = batch->get<std::uint32_t>();
  return cost;
}

/// The rates that `troupe bench engine --json` writes, each as so many steps of its kind.
result<step_cost> read_bench(const nlohmann::json& root) {
  std::vector<step_sample> samples;
  const auto add = [&](const step_sample& sample) { samples.insert(samples.end(), 6, sample); };
  for (const auto& claim : root["claims"]) {
    if (!claim.is_object() || !claim.contains("claim") || !claim["claim"].is_string()) continue;
    const auto name = claim["claim"].get<std::string>();
    const auto value = claim.find("value");
    if (value == claim.end() || !value->is_number() || !(value->get<double>() > 0)) continue;
    const double rate = value->get<double>();
    unsigned sequences = 0, context = 0, prompt = 0;
    step_sample sample;
    if (std::sscanf(name.c_str(), "decode_batch%u_context%u", &sequences, &context) == 2 && sequences > 0) {
      for (unsigned i = 0; i < sequences; ++i)
        sample.shape.add_decoding(context + 32);  // the middle of its answers
      sample.time_ms = 1e3 * sequences / rate;
      add(sample);
    } else if (std::sscanf(name.c_str(), "prefill_%u", &prompt) == 1 && prompt > 0) {
      // Steps of at most 512 tokens, whose bases are in the rate.
      sample.shape.add_prompt(0, prompt);
      sample.time_ms = 1e3 * prompt / rate;
      add(sample);
    }
  }
  const auto fit = policies::fit_step_cost(samples);
  if (!fit)
    return wrong("its claims do not say what a step takes (" + fit.error().message +
                 "); write them with `troupe bench engine` without --quick and --only.");
  return fit->cost;
}

result<placement_cost> read_cost_file(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) return wrong("'" + file.string() + "' is neither cpu, a100 nor a40, nor a file that can be read.");
  auto root = nlohmann::json::parse(in, nullptr, false);
  if (root.is_array() && !root.empty()) root = nlohmann::json(root.front());  // several reports
  if (!root.is_object()) return wrong(file.string() + " holds no JSON object.");
  const auto cost = root.contains("claims") && root["claims"].is_array() ? read_bench(root) : read_coefficients(root);
  if (!cost) return wrong(file.string() + ": " + cost.error().message);
  placement_cost made;
  made.cost = [cost = *cost](std::uint32_t) { return cost; };
  made.tp = {1};
  made.source = "from " + file.string();
  return made;
}

// --- of a GPU

result<placement_cost> read_profile(const cost_request& wanted, const policies::gpu_facts& gpu,
                                    const model_description& model) {
  const auto table = simulator::read_operator_table(wanted.table);
  if (!table) return wrong(table.error().message, "profile");
  const std::tuple<const char*, std::uint32_t, std::uint32_t> widths[] = {
      {"n_embd", table->n_embd, model.sizes.n_embd},
      {"n_head", table->n_head, model.sizes.n_head},
      {"n_kv_head", table->n_kv_head, model.sizes.n_kv_head}};
  for (const auto& [column, there, own] : widths)
    if (there != own)
      return wrong(wanted.table.string() + " is of another model: its " + column + " is " + std::to_string(there) +
                       ", this one's is " + std::to_string(own) + ".",
                   "profile");
  std::vector<policies::link_row> links;
  if (!wanted.network.empty()) {
    auto read = simulator::read_link_table(wanted.network);
    if (!read) return wrong(read.error().message, "network");
    links = *std::move(read);
  }
  std::map<std::uint32_t, step_cost> costs;
  placement_cost made;
  double worst = 0;
  std::optional<error> objection;
  for (const std::uint32_t tp : {1u, 2u, 4u, 8u}) {
    const auto fit = policies::profile_step_cost(table->operators, links, gpu, model.sizes, tp);
    if (!fit) {
      if (!objection) objection = fit.error();
      continue;
    }
    costs[tp] = fit->cost;
    made.tp.push_back(tp);
    worst = std::max(worst, fit->median_error);
  }
  if (costs.empty()) return wrong(wanted.table.string() + ": " + objection->message, "profile");
  made.cost = [costs](std::uint32_t tp) { return costs.at(tp); };
  made.source =
      "Vidur's tables of an " + std::string(gpu.name) + "; the form is off by " + percent(worst) + " at most (median)";
  return made;
}

/// Weights once a step from memory, and every token by them; attention as in policies/gpu_profile. A doubling of GPUs
/// is taken to be 1.7 times as fast.
placement_cost reckon(const policies::gpu_facts& gpu, const model_description& model) {
  constexpr double matrix_efficiency = 0.5, reading_efficiency = 0.8;
  const double per_token = 1e3 * 2 * model.parameters / (gpu.peak_fp16_flops * matrix_efficiency);
  const double reading = 1e3 * model.facts.weight_bytes / (gpu.memory_bytes_per_s * reading_efficiency);
  const step_cost one{.prompt = {reading, per_token,
                                 1e3 * 2.0 * model.sizes.n_embd * model.sizes.n_layer /
                                     (gpu.peak_fp16_flops * policies::prompt_attention_efficiency)},
                      .decoding = {reading,
                                   1e3 * model.facts.kv_bytes_per_token /
                                       (gpu.memory_bytes_per_s * policies::decoding_attention_efficiency),
                                   per_token}};
  placement_cost made;
  made.cost = [one](std::uint32_t tp) {
    const double faster = std::pow(1.7, std::log2(static_cast<double>(tp)));
    step_cost cost = one;
    for (const auto& [key, member] : prompt_keys)
      cost.prompt.*member /= faster;
    for (const auto& [key, member] : decoding_keys)
      cost.decoding.*member /= faster;
    return cost;
  };
  made.source = "reckoned from the data sheet of an " + std::string(gpu.name) +
                ", no measurement; --profile gives Vidur's tables";
  return made;
}

}  // namespace

result<placement_cost> find_cost(const cost_request& wanted, const model_description& model) {
  const bool is_gpu = wanted.name == "a100" || wanted.name == "a40";
  if (!is_gpu && !wanted.table.empty()) return wrong("tables are for --cost a100 or a40.", "profile");
  if (is_gpu) {
    const auto& gpu = wanted.name == "a100" ? policies::a100_80g : policies::a40;
    auto made = wanted.table.empty() ? result<placement_cost>(reckon(gpu, model)) : read_profile(wanted, gpu, model);
    if (!made) return made.error();
    made->device.gpu_memory_bytes = gpu.memory_bytes;
    made->device.within_node_bytes_per_s = wanted.name == "a100" ? 250e9 : 25e9;  // NVLink; PCIe 4
    return made;
  }
  if (wanted.name != "cpu") return read_cost_file(wanted.name);
  if (!model.is_gguf) return wrong("a processor's steps are measured with the model, and this is no GGUF file.");
  return measure(wanted);
}

result<> write_cost(const policies::step_cost& cost, const std::filesystem::path& file) {
  nlohmann::ordered_json root;
  for (const auto& [key, member] : prompt_keys)
    root["prompt"][key] = cost.prompt.*member;
  for (const auto& [key, member] : decoding_keys)
    root["decoding"][key] = cost.decoding.*member;
  if (cost.large_batch != 0) {
    for (const auto& [key, member] : decoding_keys)
      root["large"][key] = cost.large.*member;
    root["large_batch"] = cost.large_batch;
  }
  std::ofstream out(file);
  out << root.dump(2) << '\n';
  return out ? result<>{} : make_error(errc::invalid_argument, "Cannot write '" + file.string() + "'.", "save-cost");
}

}  // namespace troupe::cli
