#include "policies/gpu_profile.hpp"

#include "approximately.hpp"
#include "catch.hpp"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::policies;

namespace {

const profiled_model llama_2_7b{.n_layer = 32, .n_embd = 4096, .n_head = 32, .n_kv_head = 32, .n_vocab = 32'000};

/// Every operator takes 0.001 ms and 0.0001 ms a token, on any number of GPUs.
std::vector<operator_row> linear_rows(std::uint32_t tensor_parallel) {
  std::vector<operator_row> rows;
  for (std::uint32_t tokens = 1; tokens <= 4096; tokens *= 2) {
    const double ms = 0.001 + 0.0001 * tokens;
    rows.push_back({tokens, tensor_parallel, ms, ms, ms, ms, ms, ms, ms, ms, ms, 0.0});
  }
  return rows;
}

using csv_row = std::map<std::string, double>;

std::vector<csv_row> read_csv(const std::string& name) {
  const char* shared = std::getenv("TROUPE_SHARED");
  std::ifstream file(std::string(shared != nullptr ? shared : ".") + "/data/vidur_profiles/" + name);
  std::vector<std::string> names;
  std::vector<csv_row> rows;
  for (std::string line; std::getline(file, line);) {
    std::istringstream cells(line);
    std::vector<std::string> values;
    for (std::string cell; std::getline(cells, cell, ',');)
      values.push_back(cell);
    if (names.empty()) {
      names = values;
      continue;
    }
    auto& row = rows.emplace_back();
    for (std::size_t i = 0; i < names.size() && i < values.size(); ++i)
      row[names[i]] = std::atof(values[i].c_str());
  }
  return rows;
}

operator_row operators_of(csv_row& row) {
  return {static_cast<std::uint32_t>(row["num_tokens"]),
          static_cast<std::uint32_t>(row["tensor_parallel"]),
          row["attn_pre_proj_median_ms"],
          row["attn_rope_median_ms"],
          row["attn_post_proj_median_ms"],
          row["mlp_up_proj_median_ms"],
          row["mlp_act_median_ms"],
          row["mlp_down_proj_median_ms"],
          row["input_layernorm_median_ms"],
          row["post_attention_layernorm_median_ms"],
          row["add_median_ms"],
          row["emb_median_ms"]};
}

}  // namespace

TEST_CASE("a step is its layers, its attention and its output projection", "[gpu_profile]") {
  const auto fit = profile_step_cost(linear_rows(1), {}, a100_80g, llama_2_7b, 1);
  REQUIRE(fit);
  CHECK(fit->p90_error < 0.05);
  // 32 layers of 9 operators.
  CHECK(fit->cost.prompt.per_token_ms == approximately(32 * 9 * 0.0001).epsilon(0.02));
  CHECK(fit->cost.decoding.per_sequence_ms == approximately(32 * 9 * 0.0001).epsilon(0.02));
  // 2 * 32 * 4096 * 2 bytes a token at 70 % of 2.039e12 bytes/s.
  CHECK(llama_2_7b.kv_bytes_per_token() == 524'288);
  CHECK(fit->cost.decoding.per_context_ms == approximately(1e3 * 524'288 / (0.7 * 2.039e12)).epsilon(0.02));
  CHECK(fit->cost.prompt.per_token_squared_ms == approximately(1e3 * 2.0 * 4096 * 32 / (0.5 * 312e12)).epsilon(0.02));
  const auto slower = profile_step_cost(linear_rows(1), {}, a40, llama_2_7b, 1);
  REQUIRE(slower);
  CHECK(slower->cost.decoding.per_context_ms > 2.5 * fit->cost.decoding.per_context_ms);
}

TEST_CASE("splitting adds two all-reduces a layer", "[gpu_profile]") {
  const std::vector<link_row> free{{2, 1024, 0.0}, {2, 1 << 26, 0.0}}, slow{{2, 1024, 0.01}, {2, 1 << 26, 0.01}};
  const auto without = profile_step_cost(linear_rows(2), free, a100_80g, llama_2_7b, 2);
  const auto with = profile_step_cost(linear_rows(2), slow, a100_80g, llama_2_7b, 2);
  REQUIRE(without);
  REQUIRE(with);
  step_shape lone;
  lone.add_decoding(100);
  CHECK(with->cost.time_ms(lone) - without->cost.time_ms(lone) == approximately(32 * 2 * 0.01).epsilon(0.05));
}

TEST_CASE("a profile names what it lacks", "[gpu_profile]") {
  const auto param = [](const auto& made) { return made ? std::string("none") : made.error().param; };
  CHECK(param(profile_step_cost({}, {}, a100_80g, llama_2_7b, 1)) == "rows");
  CHECK(param(profile_step_cost(linear_rows(1), {}, a100_80g, llama_2_7b, 2)) == "rows");
  CHECK(param(profile_step_cost(linear_rows(2), {}, a100_80g, llama_2_7b, 2)) == "all_reduce");
  CHECK(param(profile_step_cost(linear_rows(1), {}, a100_80g, llama_2_7b, 3)) == "tensor_parallel");
  CHECK(param(profile_step_cost(linear_rows(1), {}, a100_80g, llama_2_7b, 0)) == "tensor_parallel");
  CHECK(param(profile_step_cost(linear_rows(1), {}, a100_80g, {}, 1)) == "model");
  CHECK(param(transfer_ms({}, 1)) == "send_recv");
}

TEST_CASE("transfers are interpolated, and in proportion past the table", "[gpu_profile]") {
  const std::vector<link_row> rows{{2, 3000, 3.0}, {2, 1000, 2.0}};
  CHECK(*transfer_ms(rows, 10) == approximately(2.0));
  CHECK(*transfer_ms(rows, 2000) == approximately(2.5));
  CHECK(*transfer_ms(rows, 30'000) == approximately(30.0));
}

TEST_CASE("profiles from measured A100 operators", "[gpu_profile]") {
  std::vector<operator_row> rows;
  for (auto& row : read_csv("compute_a100_llama-2-7b-hf.csv"))
    rows.push_back(operators_of(row));
  std::vector<link_row> all_reduce;
  for (auto& row : read_csv("net_a100_dgx_all_reduce.csv"))
    if (row["num_workers"] == row["devices_per_node"])
      all_reduce.push_back({static_cast<std::uint32_t>(row["num_workers"]),
                            static_cast<std::uint64_t>(row["size_bytes"]), row["median_ms"]});
  if (rows.empty()) {
    WARN("no profiles in the shared data; nothing compared");
    return;
  }
  double last_prompt_ms = 1e9;
  for (const std::uint32_t tp : {1u, 2u, 4u, 8u}) {
    const auto fit = profile_step_cost(rows, all_reduce, a100_80g, llama_2_7b, tp);
    REQUIRE(fit);
    step_shape prompt, lone;
    prompt.add_prompt(0, 2048);
    lone.add_decoding(512);
    std::cout << "Llama-2-7B, A100, tensor parallel " << tp << ": prompt of 2,048 " << fit->cost.time_ms(prompt)
              << " ms, lone token " << fit->cost.time_ms(lone) << " ms; the form is off by " << 100 * fit->median_error
              << " % (median), " << 100 * fit->p90_error << " % (P90)\n";
    CHECK(fit->median_error < 0.1);
    CHECK(fit->cost.time_ms(prompt) < last_prompt_ms);
    last_prompt_ms = fit->cost.time_ms(prompt);
  }
}
