#include "simulator/trace_files.hpp"

#include "base/join.hpp"
#include "simulator/csv_file.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe::simulator {
namespace {

constexpr std::array<std::string_view, 5> format_names{"azure", "mooncake", "hexgen", "lengths", "chat"};
constexpr std::uint32_t most_tokens = 16u << 20;
constexpr std::uint32_t most_calls = 100'000;
constexpr double last_second = 1e9;

duration of_seconds(double s) {
  return std::chrono::duration_cast<duration>(std::chrono::duration<double>(s));
}

/// In order already, or put into it. The line and the field are where time went backwards.
std::optional<std::size_t> first_out_of_order(const workload& of) {
  for (std::size_t i = 1; i < of.size(); ++i)
    if (of[i].arrival < of[i - 1].arrival) return i;
  return std::nullopt;
}

void put_in_order(workload& of) {
  std::ranges::stable_sort(of, {}, &workload_program::arrival);
}

result<workload> read_azure(const std::filesystem::path& path, const trace_settings& settings) {
  constexpr std::string_view columns[] = {"arrival_s", "context_tokens", "generated_tokens"};
  const auto file = csv_file::read(path, columns);
  if (!file) return file.error();
  workload made;
  for (std::size_t row = 0; row < file->rows(); ++row) {
    const auto at = file->number(row, "arrival_s");
    if (!at) return at.error();
    if (*at > last_second) return file->wrong(row, "arrival_s", "that is more than thirty years");
    const auto in = file->count(row, "context_tokens", 1, most_tokens);
    if (!in) return in.error();
    const auto out = file->count(row, "generated_tokens", 1, most_tokens);
    if (!out) return out.error();
    made.push_back(lone_request(of_seconds(*at), *in, *out));
  }
  if (settings.sort)
    put_in_order(made);
  else if (const auto row = first_out_of_order(made))
    return file->wrong(*row, "arrival_s", "time goes backwards");
  return made;
}

result<workload> read_lengths(const std::filesystem::path& path) {
  constexpr std::string_view columns[] = {"prefill_tokens", "decode_tokens"};
  const auto file = csv_file::read(path, columns);
  if (!file) return file.error();
  workload made;
  for (std::size_t row = 0; row < file->rows(); ++row) {
    const auto in = file->count(row, "prefill_tokens", 1, most_tokens);
    if (!in) return in.error();
    const auto out = file->count(row, "decode_tokens", 1, most_tokens);
    if (!out) return out.error();
    made.push_back(lone_request(duration(0), *in, *out));
  }
  return made;
}

struct hexgen_row {
  std::uint32_t request = 0;
  std::uint32_t call = 0;
  std::uint32_t stage = 0;
  workload_call made;
};

result<hexgen_row> read_hexgen_row(const csv_file& file, std::size_t row) {
  hexgen_row made;
  const std::pair<std::string_view, std::uint32_t*> numbers[] = {
      {"request", &made.request}, {"call", &made.call}, {"stage", &made.stage}};
  for (const auto& [column, into] : numbers) {
    const auto value = file.count(row, column, 0, most_calls);
    if (!value) return value.error();
    *into = *value;
  }
  auto step = file.text(row, "step");
  if (!step) return step.error();
  made.made.step = std::move(*step);
  const auto in = file.count(row, "input_tokens", 1, most_tokens);
  if (!in) return in.error();
  const auto out = file.count(row, "output_tokens", 1, most_tokens);
  if (!out) return out.error();
  made.made.prompt_tokens = *in;
  made.made.output_tokens = *out;
  return made;
}

result<workload> read_hexgen(const std::filesystem::path& path, const trace_settings& settings) {
  constexpr std::string_view columns[] = {"request", "call", "stage", "step", "input_tokens", "output_tokens"};
  const auto file = csv_file::read(path, columns);
  if (!file) return file.error();
  workload made;
  std::uint32_t request = 0, n_calls = 0;
  for (std::size_t row = 0; row < file->rows(); ++row) {
    auto read = read_hexgen_row(*file, row);
    if (!read) return read.error();
    if (made.empty() || read->request != request) {
      if (!made.empty() && read->request < request) return file->wrong(row, "request", "requests go backwards");
      request = read->request;
      n_calls = 0;
      auto& program = made.emplace_back();
      program.kind = settings.workflow;
      program.workflow = settings.workflow;
    }
    auto& stages = made.back().stages;
    if (read->call != n_calls++)
      return file->wrong(row, "call",
                         "the calls of a request count up from 0; here " + std::to_string(n_calls - 1) + " is missing");
    if (read->stage == stages.size())
      stages.emplace_back();
    else if (stages.empty() || read->stage != stages.size() - 1)
      return file->wrong(row, "stage", "the stages of a request count up from 0, each with its calls together");
    stages.back().push_back(std::move(read->made));
  }
  return made;
}

/// The lines of a file of JSON objects, each given to `take(object, number of the line)`, which may find fault.
template <class Take>
result<> read_json_lines(const std::filesystem::path& path, Take&& take) {
  const auto text = read_whole_file(path);
  if (!text) return text.error();
  std::string_view rest = *text;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (object.is_discarded() || !object.is_object())
      return file_error(path, number, "line", "this is not one JSON object and nothing else");
    if (const auto taken = take(object, number); !taken) return taken.error();
  }
  return {};
}

/// A whole number within [least, most], or a sentence.
result<std::uint64_t> number_in(const nlohmann::json& object, const std::filesystem::path& path, std::size_t line,
                                std::string_view field, std::uint64_t least, std::uint64_t most) {
  const auto found = object.find(field);
  if (found == object.end()) return file_error(path, line, field, "the field is missing");
  if (!found->is_number_unsigned() || *found < least || *found > most)
    return file_error(
        path, line, field,
        "'" + found->dump() + "' is no whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return found->get<std::uint64_t>();
}

/// One name for each block of the prompt, the last of which may be partial.
result<std::vector<std::uint64_t>> read_prefix(const nlohmann::json& object, const std::filesystem::path& path,
                                               std::size_t line, std::uint32_t prompt_tokens) {
  const auto found = object.find("hash_ids");
  if (found == object.end()) return file_error(path, line, "hash_ids", "the field is missing");
  if (!found->is_array()) return file_error(path, line, "hash_ids", "this is no list of block numbers");
  const auto n_blocks = (prompt_tokens + prefix_block_tokens - 1) / prefix_block_tokens;
  if (found->size() != n_blocks)
    return file_error(path, line, "hash_ids",
                      "a prompt of " + std::to_string(prompt_tokens) + " tokens has " + std::to_string(n_blocks) +
                          " blocks of " + std::to_string(prefix_block_tokens) + ", not " +
                          std::to_string(found->size()));
  std::vector<std::uint64_t> made;
  for (const auto& id : *found) {
    if (!id.is_number_unsigned()) return file_error(path, line, "hash_ids", "'" + id.dump() + "' is no block number");
    made.push_back(id.get<std::uint64_t>());
  }
  return made;
}

result<workload> read_mooncake(const std::filesystem::path& path, const trace_settings& settings) {
  workload made;
  const auto read = read_json_lines(path, [&](const nlohmann::json& object, std::size_t line) -> result<> {
    const auto at = number_in(object, path, line, "timestamp", 0, static_cast<std::uint64_t>(1e3 * last_second));
    if (!at) return at.error();
    const auto in = number_in(object, path, line, "input_length", 1, most_tokens);
    if (!in) return in.error();
    const auto out = number_in(object, path, line, "output_length", 1, most_tokens);
    if (!out) return out.error();
    auto prefix = read_prefix(object, path, line, static_cast<std::uint32_t>(*in));
    if (!prefix) return prefix.error();
    const duration arrival = std::chrono::milliseconds(*at);
    if (!settings.sort && !made.empty() && arrival < made.back().arrival)
      return file_error(path, line, "timestamp", "time goes backwards");
    made.push_back(lone_request(arrival, static_cast<std::uint32_t>(*in), static_cast<std::uint32_t>(*out)));
    made.back().stages[0][0].prefix = std::move(*prefix);
    return {};
  });
  if (!read) return read.error();
  put_in_order(made);
  return made;
}

std::uint32_t estimate_tokens(std::string_view text) {
  const auto characters =
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
  return static_cast<std::uint32_t>((characters + 3) / 4);
}

result<std::vector<std::string>> texts_in(const nlohmann::json& object, const std::filesystem::path& path,
                                          std::size_t line, std::string_view field) {
  const auto found = object.find(field);
  if (found == object.end()) return file_error(path, line, field, "the field is missing");
  if (!found->is_array()) return file_error(path, line, field, "this is no list of texts");
  std::vector<std::string> made;
  for (const auto& text : *found) {
    if (!text.is_string()) return file_error(path, line, field, "'" + text.dump() + "' is no text");
    made.push_back(text.get<std::string>());
    if (made.back().empty()) return file_error(path, line, field, "a text is empty");
  }
  return made;
}

result<workload> read_chat(const std::filesystem::path& path, const trace_settings& settings) {
  const auto count = settings.count_tokens ? settings.count_tokens : estimate_tokens;
  workload made;
  const auto read = read_json_lines(path, [&](const nlohmann::json& object, std::size_t line) -> result<> {
    const auto source = object.find("source");
    if (source == object.end()) return file_error(path, line, "source", "the field is missing");
    if (!source->is_string()) return file_error(path, line, "source", "this is no text");
    const auto turns = texts_in(object, path, line, "turns");
    if (!turns) return turns.error();
    if (turns->empty()) return file_error(path, line, "turns", "there is no turn");
    const auto references = texts_in(object, path, line, "reference");
    if (!references) return references.error();
    if (references->size() > turns->size())
      return file_error(path, line, "reference", "there are more answers than turns");
    std::uint32_t prompt = 0;
    for (std::size_t i = 0; i < references->size(); ++i) {
      const std::uint32_t answer = std::max(count((*references)[i]), 1u);
      prompt += std::max(count((*turns)[i]), 1u);
      made.push_back(lone_request(duration(0), prompt, answer));
      made.back().kind = source->get<std::string>();
      prompt += answer;
    }
    return {};
  });
  if (!read) return read.error();
  if (made.empty()) return file_error(path, 1, "reference", "no line has an answer whose length could be known");
  return made;
}

}  // namespace

std::span<const std::string_view> trace_format_names() {
  return format_names;
}

result<trace_format> parse_trace_format(std::string_view name) {
  const auto found = std::ranges::find(format_names, name);
  if (found != format_names.end()) return static_cast<trace_format>(found - format_names.begin());
  return make_error(errc::invalid_argument,
                    "'" + std::string(name) + "' is no format of traces; there are: " + join(format_names) + ".",
                    "format");
}

bool has_times(trace_format format) {
  return format == trace_format::azure || format == trace_format::mooncake;
}

result<workload> read_trace(trace_format format, const std::filesystem::path& path, const trace_settings& settings) {
  switch (format) {
    case trace_format::azure:
      return read_azure(path, settings);
    case trace_format::mooncake:
      return read_mooncake(path, settings);
    case trace_format::hexgen:
      return read_hexgen(path, settings);
    case trace_format::lengths:
      return read_lengths(path);
    case trace_format::chat:
      return read_chat(path, settings);
  }
  return make_error(errc::internal, "An unknown format of traces.", "format");
}

result<std::vector<step_time>> read_step_times(const std::filesystem::path& path) {
  constexpr std::string_view columns[] = {"step", "mean_input_tokens", "mean_output_tokens"};
  const auto file = csv_file::read_with(path, columns);
  if (!file) return file.error();
  if (file->header().size() <= std::size(columns))
    return file_error(path, 1, "header", "there is no column of seconds on a GPU");
  std::vector<step_time> made;
  for (std::size_t row = 0; row < file->rows(); ++row) {
    step_time& of = made.emplace_back();
    auto step = file->text(row, "step");
    if (!step) return step.error();
    of.step = std::move(*step);
    for (const auto& column : file->header()) {
      if (column == "step") continue;
      const auto value = file->number(row, column);
      if (!value) return value.error();
      if (*value <= 0) return file->wrong(row, column, "this has to be more than 0");
      if (column == "mean_input_tokens")
        of.input_tokens = *value;
      else if (column == "mean_output_tokens")
        of.output_tokens = *value;
      else if (column.ends_with("_s"))
        of.seconds.emplace_back(column.substr(0, column.size() - 2), *value);
      else
        return file_error(path, 1, "header", "'" + column + "' is no column of seconds, like a100_s");
    }
  }
  return made;
}

}  // namespace troupe::simulator
