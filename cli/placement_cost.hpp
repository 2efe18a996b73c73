// What a step takes on the machines a plan is for: measured here, read from a file, put together from Vidur's tables,
// or reckoned from a data sheet.
#pragma once

#include "base/result.hpp"
#include "cli/placement_inputs.hpp"
#include "policies/step_cost.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace troupe::cli {

struct cost_request {
  std::string name;               // cpu, a100, a40, or a file: of `troupe bench engine`, or of write_cost
  std::filesystem::path table;    // Vidur's operators, for a100 and a40; empty: reckoned
  std::filesystem::path network;  // Vidur's all-reduces, for tensor-parallel degrees above 1
  std::filesystem::path model;    // to be measured
  std::uint32_t threads = 1;
  std::string isa;
};

struct placement_cost {
  std::function<policies::step_cost(std::uint32_t tensor_parallel)> cost;
  std::vector<std::uint32_t> tp;  // degrees it knows; empty: all
  std::string source;             // a sentence: where it comes from and how exact it is
  // Memory and bandwidths of such a device; zeros: not known.
  policies::cluster_facts device{};
};

result<placement_cost> find_cost(const cost_request& wanted, const model_description& model);

/// The cost on one device, to be read again as a file.
result<> write_cost(const policies::step_cost& cost, const std::filesystem::path& file);

}  // namespace troupe::cli
