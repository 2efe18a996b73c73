#include "policies/gpu_profile.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace troupe::policies {
namespace {

/// A measured function of one variable, in ascending order of it.
using curve = std::vector<std::pair<double, double>>;

/// Sorted; rows of the same place become their mean.
curve make_curve(curve points) {
  std::sort(points.begin(), points.end());
  curve made;
  for (std::size_t i = 0; i < points.size();) {
    double sum = 0;
    std::size_t end = i;
    for (; end < points.size() && points[end].first == points[i].first; ++end)
      sum += points[end].second;
    made.emplace_back(points[i].first, sum / static_cast<double>(end - i));
    i = end;
  }
  return made;
}

/// Linear between points, constant below the first, in proportion above the last.
double value_at(const curve& points, double x) {
  const auto above = std::lower_bound(points.begin(), points.end(), x,
                                      [](const auto& point, double value) { return point.first < value; });
  if (above == points.end()) return points.back().second * x / points.back().first;
  if (above == points.begin()) return above->second;
  const auto below = above - 1;
  return below->second + (above->second - below->second) * (x - below->first) / (above->first - below->first);
}

/// The tables of one model at one degree, as functions of the tokens in the batch.
struct layer_profile {
  curve layer;       // ms, all operators
  curve emb;         // ms
  curve all_reduce;  // ms by bytes; empty: not split
  gpu_facts gpu;
  profiled_model model;
  double degree = 1;

  double tokens_ms(double tokens) const {
    double layer_ms = value_at(layer, tokens);
    if (!all_reduce.empty()) layer_ms += 2.0 * value_at(all_reduce, tokens * model.n_embd * model.bytes_per_value);
    const double output_ms = 1e3 * static_cast<double>(model.n_vocab) * model.n_embd * model.bytes_per_value / degree /
                             gpu.memory_bytes_per_s;
    return model.n_layer * layer_ms + value_at(emb, tokens) + output_ms;
  }
  double prompt_attention_ms(double tokens_squared) const {
    const double operations = 2.0 * model.n_embd * tokens_squared * model.n_layer / degree;
    return 1e3 * operations / (gpu.peak_fp16_flops * prompt_attention_efficiency);
  }
  double decoding_attention_ms(double context) const {
    const double bytes = context * static_cast<double>(model.kv_bytes_per_token()) / degree;
    return 1e3 * bytes / (gpu.memory_bytes_per_s * decoding_attention_efficiency);
  }
};

/// Steps over the range of the tables, for the fit.
std::vector<step_sample> steps_of(const layer_profile& profile) {
  std::vector<step_sample> samples;
  const double last = profile.layer.back().first;
  for (double tokens = 32; tokens <= last; tokens *= 1.25) {
    step_sample sample;
    sample.shape.add_prompt(0, static_cast<std::uint64_t>(tokens));
    sample.time_ms = profile.tokens_ms(static_cast<double>(sample.shape.prompt_tokens)) +
                     profile.prompt_attention_ms(static_cast<double>(sample.shape.prompt_tokens_squared));
    samples.push_back(sample);
  }
  for (const std::uint32_t batch : {1, 2, 4, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384})
    for (const std::uint32_t context : {64, 256, 512, 1024, 2048}) {
      step_sample sample;
      for (std::uint32_t i = 0; i < batch; ++i)
        sample.shape.add_decoding(context);
      sample.time_ms =
          profile.tokens_ms(batch) + profile.decoding_attention_ms(static_cast<double>(sample.shape.context));
      samples.push_back(sample);
    }
  return samples;
}

error bad(std::string field, std::string message) {
  return make_error(errc::invalid_argument, std::move(message), std::move(field));
}

}  // namespace

double operator_row::layer_ms() const {
  return attn_pre_proj_ms + attn_rope_ms + attn_post_proj_ms + mlp_up_proj_ms + mlp_act_ms + mlp_down_proj_ms +
         input_layernorm_ms + post_attention_layernorm_ms + add_ms;
}

std::uint64_t profiled_model::kv_bytes_per_token() const {
  return std::uint64_t{2} * n_layer * n_kv_head * (n_embd / n_head) * bytes_per_value;
}

result<step_cost_fit> profile_step_cost(std::span<const operator_row> rows, std::span<const link_row> all_reduce,
                                        const gpu_facts& gpu, const profiled_model& model,
                                        std::uint32_t tensor_parallel) {
  if (model.n_layer == 0 || model.n_embd == 0 || model.n_head == 0 || model.n_kv_head == 0)
    return bad("model", "a model has at least one layer, dimension, head and KV head.");
  if (tensor_parallel == 0 || model.n_head % tensor_parallel != 0 || model.n_kv_head % tensor_parallel != 0)
    return bad("tensor_parallel", "a tensor-parallel degree of " + std::to_string(tensor_parallel) +
                                      " does not divide " + std::to_string(model.n_head) + " heads and " +
                                      std::to_string(model.n_kv_head) + " KV heads.");
  curve layer, emb, reduce;
  for (const auto& row : rows) {
    if (row.tensor_parallel != tensor_parallel) continue;
    layer.emplace_back(row.num_tokens, row.layer_ms());
    emb.emplace_back(row.num_tokens, row.emb_ms);
  }
  for (const auto& row : all_reduce)
    if (tensor_parallel > 1 && row.num_workers == tensor_parallel)
      reduce.emplace_back(static_cast<double>(row.bytes), row.ms);
  const layer_profile profile{
      make_curve(std::move(layer)),        make_curve(std::move(emb)), make_curve(std::move(reduce)), gpu, model,
      static_cast<double>(tensor_parallel)};
  if (profile.layer.size() < 2)
    return bad("rows",
               "no operator times of two batch sizes at tensor parallel " + std::to_string(tensor_parallel) + ".");
  if (tensor_parallel > 1 && profile.all_reduce.size() < 2)
    return bad("all_reduce", "no all-reduce times of two sizes over " + std::to_string(tensor_parallel) + " workers.");
  return fit_step_cost(steps_of(profile), profile_large_batch);
}

result<double> transfer_ms(std::span<const link_row> send_recv, std::uint64_t bytes) {
  if (send_recv.empty()) return bad("send_recv", "no measured transfers.");
  curve points;
  for (const auto& row : send_recv)
    points.emplace_back(static_cast<double>(row.bytes), row.ms);
  return value_at(make_curve(std::move(points)), static_cast<double>(bytes));
}

step_cost distserve_13b_a100() {
  return {.prompt = {18.10, 0.1019, 7.12e-6},
          .decoding = {19.93, 6.27e-4, 0.0385},
          .large = {7.17, 5.80e-4, 0.158},
          .large_batch = 95};
}

step_cost distserve_13b_a100_colocated() {
  return {.prompt = {22.05, 0.1405, 8.08e-6},
          .decoding = {23.48, 5.93e-4, 0.0607},
          .large = {20.2, 4.9e-4, 0.12},
          .large_batch = 95};
}

}  // namespace troupe::policies
