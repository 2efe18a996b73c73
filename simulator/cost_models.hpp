// What a step takes on the machines that scenarios name: models by name, and those that are put together from files of
// measurements.
#pragma once

#include "base/result.hpp"
#include "policies/gpu_profile.hpp"
#include "policies/step_cost.hpp"
#include "simulator/trace_files.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::simulator {

std::vector<std::string> cost_model_names();

/// "distserve-a100-13b", "vllm-a100-13b" (policies/gpu_profile.hpp), "llama-7b-a10" (what Llumnix serves, about as
/// fast), "cpu" (a small model on a few cores). Errors list the names.
result<policies::step_cost> find_cost_model(std::string_view name);

/// Vidur's compute_*.csv: the operators' times at each batch and degree, of one model.
struct profile_table {
  std::uint32_t n_embd = 0;
  std::uint32_t n_head = 0;
  std::uint32_t n_kv_head = 0;
  std::vector<policies::operator_row> operators;
};
result<profile_table> read_operator_table(const std::filesystem::path& path);
/// Vidur's net_*.csv: the rows of workers that are all on one node.
result<std::vector<policies::link_row>> read_link_table(const std::filesystem::path& path);

struct profile_files {
  std::filesystem::path operators;   // compute_*.csv of Vidur's tables
  std::filesystem::path all_reduce;  // net_*_all_reduce.csv; needed to split a model
  std::string gpu = "a100";          // or "a40"
  std::uint32_t layers = 32;
  std::uint32_t vocabulary = 32'000;
  std::uint32_t tensor_parallel = 1;
};

/// policies::profile_step_cost from the tables as files. The model's widths are the table's.
result<policies::step_cost> read_profile(const profile_files& files);

/// A model from HexGen's mean times of calls that are alone on a GPU, as so much for each token of the prompt and so
/// much for each of the answer, by least squares of the relative error. Nothing in them says what a batch costs: a step
/// takes as long for one sequence as for many. Errors: "gpu" when the rows have none of that name.
result<policies::step_cost> fit_step_times(std::span<const step_time> rows, std::string_view gpu);

}  // namespace troupe::simulator
