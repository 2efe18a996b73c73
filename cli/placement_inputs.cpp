#include "cli/placement_inputs.hpp"

#include "base/join.hpp"
#include "base/normal.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/model/model_config.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <sstream>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace troupe::cli {
namespace {

error wrong(const std::string& field, std::string message) {
  return make_error(errc::invalid_argument, std::move(message), field);
}

std::optional<double> parse_number(std::string_view text) {
  while (!text.empty() && (text.back() == '\r' || text.back() == ' '))
    text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::vector<std::string> split(const std::string& line, char at) {
  std::vector<std::string> parts;
  std::istringstream stream(line);
  for (std::string part; std::getline(stream, part, at);) {
    while (!part.empty() && (part.back() == '\r' || part.back() == ' '))
      part.pop_back();
    parts.push_back(part);
  }
  return parts;
}

/// "a=1,b=2" with known names, each given once at most.
result<std::map<std::string, std::string>> parse_pairs(const std::string& text, const std::string& field,
                                                       std::initializer_list<const char*> names) {
  std::map<std::string, std::string> pairs;
  for (const auto& item : split(text, ',')) {
    const auto equals = item.find('=');
    const auto name = item.substr(0, equals);
    if (equals == std::string::npos || std::ranges::find(names, name) == names.end())
      return wrong(field, "'" + item + "' is not NAME=VALUE with one of the names " + join(names) + ".");
    if (!pairs.emplace(name, item.substr(equals + 1)).second) return wrong(field, "'" + name + "' is there twice.");
  }
  return pairs;
}

double kv_bytes_of_value(const std::string& type) {
  if (type == "f32") return 4.0;
  if (type == "q8_0") return 34.0 / 32.0;
  return 2.0;
}

void finish(model_description& model, double kv_dim, double kv_value_bytes) {
  const auto& sizes = model.sizes;
  model.facts.n_layer = sizes.n_layer;
  model.facts.n_head = sizes.n_head;
  model.facts.n_kv_head = sizes.n_kv_head;
  model.facts.kv_bytes_per_token = 2.0 * sizes.n_layer * kv_dim * kv_value_bytes;
  model.facts.activation_bytes_per_token = static_cast<double>(sizes.n_embd) * sizes.bytes_per_value;
}

result<model_description> describe_gguf(const std::filesystem::path& path, const std::string& kv_cache_type) {
  const auto file = gguf_file::open(path);
  if (!file) return file.error();
  const auto config = read_model_config(**file);
  if (!config) return config.error();
  model_description made;
  made.name = config->name;
  made.is_gguf = true;
  for (std::size_t i = 0; i < (*file)->n_tensors(); ++i) {
    const auto tensor = (*file)->tensor(i);
    double n = 1;
    for (const auto size : tensor.dims)
      n *= static_cast<double>(size);
    made.parameters += n;
    made.facts.weight_bytes += static_cast<double>(tensor.data.size());
  }
  made.sizes = {config->n_layers, config->n_embd, config->n_heads, config->n_kv_heads, config->n_vocab};
  const double weights = made.facts.weight_bytes;
  finish(made, config->kv_dim(), kv_bytes_of_value(kv_cache_type));
  made.facts.weight_bytes = weights;
  return made;
}

result<model_description> describe_config(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) return wrong("model", "Cannot read '" + path.string() + "'.");
  const auto root = nlohmann::json::parse(in, nullptr, false);
  if (!root.is_object()) return wrong("model", path.string() + " holds no JSON object.");
  std::string missing;
  const auto count = [&](const char* key, std::uint32_t otherwise = 0) -> std::uint32_t {
    const auto found = root.find(key);
    const bool good = found != root.end() && found->is_number_unsigned() && found->get<std::uint64_t>() > 0 &&
                      found->get<std::uint64_t>() < (1u << 24);
    if (good) return found->get<std::uint32_t>();
    if (otherwise == 0 && missing.empty()) missing = key;
    return otherwise;
  };
  model_description made;
  made.name = path.string();
  auto& sizes = made.sizes;
  sizes.n_layer = count("num_hidden_layers");
  sizes.n_embd = count("hidden_size");
  sizes.n_head = count("num_attention_heads");
  sizes.n_kv_head = count("num_key_value_heads", std::max(sizes.n_head, 1u));
  sizes.n_vocab = count("vocab_size");
  const std::uint32_t n_ff = count("intermediate_size");
  if (!missing.empty()) return wrong("model", path.string() + ": '" + missing + "' is no positive number.");
  const std::uint32_t head_dim = count("head_dim", std::max(1u, sizes.n_embd / sizes.n_head));
  const double kv_dim = static_cast<double>(head_dim) * sizes.n_kv_head;
  const double q_dim = static_cast<double>(head_dim) * sizes.n_head;
  const double embd = sizes.n_embd;
  const bool tied = root.value("tie_word_embeddings", false);
  made.parameters =
      sizes.n_layer * (embd * (2 * q_dim + 2 * kv_dim) + 3.0 * embd * n_ff) + (tied ? 1.0 : 2.0) * embd * sizes.n_vocab;
  finish(made, kv_dim, sizes.bytes_per_value);
  made.facts.weight_bytes = made.parameters * sizes.bytes_per_value;
  return made;
}

/// A file of numbers with a header line; all columns that are asked for are there.
class csv_table {
 public:
  static result<csv_table> read(const std::filesystem::path& file, const std::string& field);
  bool has(const std::string& column) const { return columns_.contains(column); }
  std::size_t rows() const { return n_rows_; }
  /// 0 where the table has no such column.
  double at(const std::string& column, std::size_t row) const;

 private:
  std::map<std::string, std::vector<double>> columns_;
  std::size_t n_rows_ = 0;
};

result<csv_table> csv_table::read(const std::filesystem::path& file, const std::string& field) {
  std::ifstream in(file);
  if (!in) return wrong(field, "Cannot read '" + file.string() + "'.");
  csv_table made;
  std::string line;
  if (!std::getline(in, line)) return wrong(field, file.string() + " is empty.");
  const auto names = split(line, ',');
  std::vector<std::vector<double>*> columns;
  for (const auto& name : names)
    columns.push_back(&made.columns_[name]);
  for (std::size_t number = 2; std::getline(in, line); ++number) {
    if (line.empty() || line == "\r") continue;
    const auto cells = split(line, ',');
    if (cells.size() > names.size())
      return wrong(field, file.string() + ":" + std::to_string(number) + ": more cells than the header has columns.");
    // What is no number here is missed where it is asked for.
    for (std::size_t i = 0; i < names.size(); ++i)
      columns[i]->push_back(i < cells.size() ? parse_number(cells[i]).value_or(std::nan("")) : std::nan(""));
    ++made.n_rows_;
  }
  if (made.n_rows_ == 0) return wrong(field, file.string() + " has no rows.");
  return made;
}

double csv_table::at(const std::string& column, std::size_t row) const {
  const auto found = columns_.find(column);
  return found == columns_.end() ? 0.0 : found->second[row];
}

const char* const prompt_columns[] = {"prompt_tokens", "context_tokens",     "prefill_tokens", "input_tokens",
                                      "ContextTokens", "num_prefill_tokens", "input_length",   "prompt"};
const char* const output_columns[] = {"output_tokens",   "generated_tokens",  "decode_tokens", "completion_tokens",
                                      "GeneratedTokens", "num_decode_tokens", "output_length", "output"};
const char* const arrival_columns[] = {"arrival_s", "arrived_at", "arrival", "timestamp"};

template <std::size_t N>
std::string find_column(const csv_table& table, const char* const (&names)[N]) {
  for (const char* name : names)
    if (table.has(name)) return name;
  return {};
}

/// A time in ms, or with one of the units us, ms and s; 0: none.
double parse_time_s(const std::string& text) {
  double unit = 1e-3;
  std::string_view digits = text;
  for (const auto& [name, seconds] : {std::pair{"us", 1e-6}, std::pair{"ms", 1e-3}, std::pair{"s", 1.0}})
    if (digits.ends_with(name)) {
      unit = seconds;
      digits.remove_suffix(std::string_view(name).size());
      break;
    }
  return parse_number(digits).value_or(0.0) * unit;
}

}  // namespace

result<model_description> describe_model(const std::filesystem::path& file, const std::string& kv_cache_type) {
  return file.extension() == ".json" ? describe_config(file) : describe_gguf(file, kv_cache_type);
}

result<workload> read_trace(const std::filesystem::path& file) {
  const auto table = csv_table::read(file, "trace");
  if (!table) return table.error();
  const auto prompt = find_column(*table, prompt_columns), output = find_column(*table, output_columns);
  const auto arrival = find_column(*table, arrival_columns);
  if (prompt.empty())
    return wrong("trace",
                 file.string() + " has no column of prompt tokens; it is named one of " + join(prompt_columns) + ".");
  if (output.empty())
    return wrong("trace",
                 file.string() + " has no column of answer tokens; it is named one of " + join(output_columns) + ".");
  workload made;
  double first = std::numeric_limits<double>::infinity(), last = -first;
  for (std::size_t row = 0; row < table->rows(); ++row) {
    const double tokens[] = {table->at(prompt, row), table->at(output, row)};
    for (const bool of_output : {false, true})
      if (!(tokens[of_output] >= 1 && tokens[of_output] <= 1e7))
        return wrong("trace", file.string() + ": row " + std::to_string(row + 1) + ": " +
                                  (of_output ? output : prompt) + " is no number of tokens from 1 to 10,000,000.");
    made.lengths.push_back({static_cast<std::uint32_t>(tokens[0]), static_cast<std::uint32_t>(tokens[1])});
    const double at = arrival.empty() ? std::nan("") : table->at(arrival, row);
    if (std::isfinite(at)) {
      first = std::min(first, at);
      last = std::max(last, at);
    }
  }
  if (last > first) made.rate = static_cast<double>(made.lengths.size()) / (last - first);
  return made;
}

result<workload> draw_lengths(const std::string& text) {
  const auto pairs = parse_pairs(text, "lengths", {"prompt", "output", "prompt-sigma", "output-sigma"});
  if (!pairs) return pairs.error();
  std::map<std::string, double> values{{"prompt-sigma", 0.5}, {"output-sigma", 0.5}};
  for (const auto& [name, value] : *pairs) {
    const bool is_sigma = name.ends_with("sigma");
    const auto number = parse_number(value);
    if (!number || !(is_sigma ? *number >= 0 && *number <= 3 : *number >= 1 && *number <= 1e6))
      return wrong("lengths", name + "=" + value + " is no " +
                                  (is_sigma ? "standard deviation of the logarithm, from 0 to 3."
                                            : "median number of tokens, from 1 to 1,000,000."));
    values[name] = *number;
  }
  for (const char* name : {"prompt", "output"})
    if (!values.contains(name)) return wrong("lengths", std::string("the median of ") + name + " is missing.");
  random_stream random(0);
  const auto draw = [&](double median, double sigma) {
    return static_cast<std::uint32_t>(std::clamp(std::round(median * std::exp(sigma * draw_normal(random))), 1.0, 1e7));
  };
  workload made;
  for (int i = 0; i < 2000; ++i) {
    const auto prompt = draw(values["prompt"], values["prompt-sigma"]);
    made.lengths.push_back({prompt, draw(values["output"], values["output-sigma"])});
  }
  return made;
}

result<policies::latency_targets> parse_targets(const std::string& text) {
  const auto pairs = parse_pairs(text, "slo", {"ttft", "tpot", "attainment"});
  if (!pairs) return pairs.error();
  policies::latency_targets made;
  for (const auto& [name, value] : *pairs) {
    if (name == "attainment") {
      made.attainment = parse_number(value).value_or(0.0);
      if (!(made.attainment > 0 && made.attainment <= 1))
        return wrong("slo.attainment", "'" + value + "' is no share above 0 and at most 1.");
      continue;
    }
    const double seconds = parse_time_s(value);
    if (!(seconds > 0)) return wrong("slo." + name, "'" + value + "' is no time; write 30, 30ms or 0.03s.");
    (name == "ttft" ? made.ttft_s : made.tpot_s) = seconds;
  }
  if (made.ttft_s == 0) return wrong("slo.ttft", "the target for TTFT is missing: --slo ttft=…,tpot=….");
  if (made.tpot_s == 0) return wrong("slo.tpot", "the target for TPOT is missing: --slo ttft=…,tpot=….");
  return made;
}

result<cluster_description> describe_cluster(const std::vector<launch_host>& hosts,
                                             const policies::cluster_facts& defaults) {
  cluster_description made;
  for (const auto& host : hosts) {
    auto node = std::ranges::find(made.nodes, host.host, &launch_host::host);
    const std::uint32_t devices = host.devices != 0 ? host.devices : host.slots;
    if (node == made.nodes.end()) {
      made.nodes.push_back(host);
      made.nodes.back().devices = devices;
      continue;
    }
    node->devices += devices;  // tables of one host for different roles
    if (node->threads == 0) node->threads = host.threads;
    for (auto key : {&launch_host::memory_gib, &launch_host::within_gb_s, &launch_host::between_gb_s})
      if ((*node).*key == 0) (*node).*key = host.*key;
  }
  auto& facts = made.facts;
  const auto& first = made.nodes.front();
  facts.nodes = static_cast<std::uint32_t>(made.nodes.size());
  facts.gpus_per_node = first.devices;
  for (const auto& node : made.nodes) {
    if (node.devices != first.devices)
      return wrong("node.devices", "plans are for hosts alike, and " + first.host + " has " +
                                       std::to_string(first.devices) + " devices, " + node.host + " has " +
                                       std::to_string(node.devices) + ".");
    for (auto key : {&launch_host::memory_gib, &launch_host::within_gb_s, &launch_host::between_gb_s})
      if (node.*key != first.*key)
        return wrong(key == &launch_host::memory_gib    ? "node.memory_gib"
                     : key == &launch_host::within_gb_s ? "node.within_gb_s"
                                                        : "node.between_gb_s",
                     "plans are for hosts alike, and " + first.host + " and " + node.host + " differ.");
  }
  const auto settle = [&](double said, double unit, double otherwise, double& value, const char* key,
                          const char* what) -> result<> {
    value = said > 0 ? said * unit : otherwise;
    if (value <= 0) return wrong(std::string("node.") + key, std::string("say the ") + what + " in [[node]].");
    if (said > 0) return {};
    char text[160];
    std::snprintf(text, sizeof text, "%s: %.3g %s (node.%s says it)", what, value / unit, unit == 1e9 ? "GB/s" : "GiB",
                  key);
    made.assumed.emplace_back(text);
    return {};
  };
  constexpr double gib = 1024.0 * 1024.0 * 1024.0;
  if (auto good = settle(first.memory_gib, gib, defaults.gpu_memory_bytes, facts.gpu_memory_bytes, "memory_gib",
                         "memory of a device");
      !good)
    return good.error();
  if (auto good = settle(first.within_gb_s, 1e9, defaults.within_node_bytes_per_s, facts.within_node_bytes_per_s,
                         "within_gb_s", "bandwidth between two devices of a host");
      !good)
    return good.error();
  if (facts.nodes == 1) return made;
  if (auto good = settle(first.between_gb_s, 1e9, defaults.between_nodes_bytes_per_s, facts.between_nodes_bytes_per_s,
                         "between_gb_s", "bandwidth between two hosts");
      !good)
    return good.error();
  return made;
}

double memory_here() {
  return static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace troupe::cli
