// Traces of language model services in the forms they were published in, as workloads: every request or program that a
// file has, at its own time (zero where the form has no times) and with its own lengths. What is wanted of it is chosen
// by trace_selection.hpp.
//
//   azure      CSV         arrival_s, context_tokens, generated_tokens: Azure's LLM inference trace (Splitwise, 2024)
//   mooncake   JSON lines  timestamp (ms), input_length, output_length, hash_ids: Mooncake (FAST 2025); the hashes, one
//                          for each 512 tokens of the prompt, become workload_call::prefix
//   hexgen     CSV         request, call, stage, step, input_tokens, output_tokens: agents' calls; no times
//   lengths    CSV         prefill_tokens, decode_tokens: Vidur's samples; no times
//   chat       JSON lines  source, turns, reference: prompts with reference answers; no times
//
// Cost: a pass over the file. Errors name the file, the line and the field: a hole, what is no number, lengths of zero,
// time that goes backwards, a line that goes on where it should end.
#pragma once

#include "base/result.hpp"
#include "simulator/workload.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::simulator {

enum class trace_format : std::uint8_t { azure, mooncake, hexgen, lengths, chat };

std::span<const std::string_view> trace_format_names();
/// Errors list the names there are.
result<trace_format> parse_trace_format(std::string_view name);
/// Whether the form says when its requests came.
bool has_times(trace_format format);

struct trace_settings {
  bool sort = false;  // take lines whose time goes backwards, in the order of time
  // Of chat: the tokens of a text. Without it they are estimated at four characters each, rounded up.
  std::function<std::uint32_t(std::string_view)> count_tokens{};
  std::string workflow = "text2sql";  // of hexgen: what its programs are called; calls have the trace's step names
};

/// Of chat, each turn that has a reference answer is a request, whose prompt is all turns and answers up to it; turns
/// without one are left out, since nobody knows how long their answers are.
result<workload> read_trace(trace_format format, const std::filesystem::path& path,
                            const trace_settings& settings = {});

/// One row of HexGen-Text2SQL's step_times.csv: mean lengths of a kind of call, and what it takes on each GPU, alone.
struct step_time {
  std::string step;
  double input_tokens = 0;
  double output_tokens = 0;
  std::vector<std::pair<std::string, double>> seconds;  // by GPU: ("a100", 0.2253), …
};

result<std::vector<step_time>> read_step_times(const std::filesystem::path& path);

}  // namespace troupe::simulator
