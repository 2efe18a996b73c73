#include "simulator/cost_models.hpp"

#include "base/join.hpp"
#include "simulator/csv_file.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace troupe::simulator {
namespace {

using policies::step_cost;

constexpr std::uint32_t most = 1u << 30;

struct named_model {
  std::string_view name;
  step_cost (*make)();
};

constexpr named_model models[] = {
    {"distserve-a100-13b", policies::distserve_13b_a100},
    {"vllm-a100-13b", policies::distserve_13b_a100_colocated},
    // A decode step takes 24 ms alone and 2.6 times that with 8,000 tokens of context, as figure 4 of Llumnix has it.
    {"llama-7b-a10",
     [] {
       return step_cost{.prompt = {22, 0.22, 1.5e-6}, .decoding = {24, 0.004, 0.1}, .large = {}, .large_batch = 0};
     }},
    {"cpu",
     [] {
       return step_cost{.prompt = {10, 2.5, 0}, .decoding = {10, 0, 3}, .large = {}, .large_batch = 0};
     }},
};

result<policies::operator_row> read_operators(const csv_file& file, std::size_t row) {
  policies::operator_row made;
  const std::pair<std::string_view, std::uint32_t*> counts[] = {{"num_tokens", &made.num_tokens},
                                                                {"tensor_parallel", &made.tensor_parallel}};
  for (const auto& [column, into] : counts) {
    const auto value = file.count(row, column, 1, most);
    if (!value) return value.error();
    *into = *value;
  }
  const std::pair<std::string_view, double*> times[] = {
      {"attn_pre_proj_median_ms", &made.attn_pre_proj_ms},
      {"attn_rope_median_ms", &made.attn_rope_ms},
      {"attn_post_proj_median_ms", &made.attn_post_proj_ms},
      {"mlp_up_proj_median_ms", &made.mlp_up_proj_ms},
      {"mlp_act_median_ms", &made.mlp_act_ms},
      {"mlp_down_proj_median_ms", &made.mlp_down_proj_ms},
      {"input_layernorm_median_ms", &made.input_layernorm_ms},
      {"post_attention_layernorm_median_ms", &made.post_attention_layernorm_ms},
      {"add_median_ms", &made.add_ms},
      {"emb_median_ms", &made.emb_ms}};
  for (const auto& [column, into] : times) {
    if (!file.has(column)) continue;  // not every model has every operator
    const auto value = file.number(row, column);
    if (!value) return value.error();
    *into = *value;
  }
  return made;
}

}  // namespace

std::vector<std::string> cost_model_names() {
  std::vector<std::string> names;
  for (const auto& model : models)
    names.emplace_back(model.name);
  return names;
}

result<step_cost> find_cost_model(std::string_view name) {
  const auto* const found = std::ranges::find(models, name, &named_model::name);
  if (found != std::end(models)) return found->make();
  return make_error(
      errc::invalid_argument,
      "'" + std::string(name) + "' is no model of what steps cost; there are: " + join(cost_model_names()) + ".",
      "cost");
}

result<std::vector<policies::link_row>> read_link_table(const std::filesystem::path& path) {
  constexpr std::string_view columns[] = {"num_workers", "devices_per_node", "size_bytes", "median_ms"};
  const auto file = csv_file::read_with(path, columns);
  if (!file) return file.error();
  std::vector<policies::link_row> made;
  for (std::size_t row = 0; row < file->rows(); ++row) {
    const auto workers = file->count(row, "num_workers", 1, most);
    if (!workers) return workers.error();
    const auto devices = file->count(row, "devices_per_node", 1, most);
    if (!devices) return devices.error();
    const auto bytes = file->number(row, "size_bytes");
    if (!bytes) return bytes.error();
    const auto ms = file->number(row, "median_ms");
    if (!ms) return ms.error();
    if (*workers == *devices) made.push_back({*workers, static_cast<std::uint64_t>(*bytes), *ms});
  }
  return made;
}

result<profile_table> read_operator_table(const std::filesystem::path& path) {
  constexpr std::string_view columns[] = {"num_tokens", "tensor_parallel", "n_embd",
                                          "n_head",     "n_kv_head",       "attn_pre_proj_median_ms"};
  const auto file = csv_file::read_with(path, columns);
  if (!file) return file.error();
  profile_table made;
  const std::pair<std::string_view, std::uint32_t*> widths[] = {
      {"n_embd", &made.n_embd}, {"n_head", &made.n_head}, {"n_kv_head", &made.n_kv_head}};
  for (const auto& [column, into] : widths) {
    const auto value = file->count(0, column, 1, most);
    if (!value) return value.error();
    *into = *value;
  }
  for (std::size_t row = 0; row < file->rows(); ++row) {
    const auto read = read_operators(*file, row);
    if (!read) return read.error();
    made.operators.push_back(*read);
  }
  return made;
}

result<step_cost> read_profile(const profile_files& files) {
  const auto table = read_operator_table(files.operators);
  if (!table) return table.error();
  const policies::profiled_model model{.n_layer = files.layers,
                                       .n_embd = table->n_embd,
                                       .n_head = table->n_head,
                                       .n_kv_head = table->n_kv_head,
                                       .n_vocab = files.vocabulary};
  std::vector<policies::link_row> all_reduce;
  if (!files.all_reduce.empty()) {
    auto read = read_link_table(files.all_reduce);
    if (!read) return read.error();
    all_reduce = std::move(*read);
  }
  if (files.gpu != "a100" && files.gpu != "a40")
    return make_error(errc::invalid_argument, "'" + files.gpu + "' is no GPU; there are a100 and a40.", "gpu");
  const auto fit =
      policies::profile_step_cost(table->operators, all_reduce, files.gpu == "a40" ? policies::a40 : policies::a100_80g,
                                  model, files.tensor_parallel);
  if (!fit)
    return make_error(fit.error().code, files.operators.string() + ": " + fit.error().message, fit.error().param);
  return fit->cost;
}

result<step_cost> fit_step_times(std::span<const step_time> rows, std::string_view gpu) {
  // Minimises the sum of (a in + b out - t)^2 / t^2.
  double in_in = 0, in_out = 0, out_out = 0, in = 0, out = 0;
  for (const auto& row : rows) {
    const auto found = std::ranges::find(row.seconds, gpu, &std::pair<std::string, double>::first);
    if (found == row.seconds.end())
      return make_error(errc::invalid_argument, "There are no times of '" + std::string(gpu) + "'.", "gpu");
    const double ms = 1e3 * found->second;
    const double x = row.input_tokens / ms, y = row.output_tokens / ms;
    in_in += x * x;
    in_out += x * y;
    out_out += y * y;
    in += x;
    out += y;
  }
  const double determinant = in_in * out_out - in_out * in_out;
  if (determinant <= 1e-9 * in_in * out_out)
    return make_error(errc::invalid_argument, "The times do not tell prompts from answers.", "step_times");
  const double prompt_ms = std::max((in * out_out - out * in_out) / determinant, 0.0);
  const double answer_ms = std::max((out * in_in - in * in_out) / determinant, 0.0);
  return step_cost{.prompt = {0, prompt_ms, 0}, .decoding = {answer_ms, 0, 0}, .large = {}, .large_batch = 0};
}

}  // namespace troupe::simulator
