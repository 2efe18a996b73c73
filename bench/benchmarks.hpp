// The benchmarks that come with the binary (`troupe bench NAME`). Each measures, prints its claims as they come, and
// returns them as a report.
#pragma once

#include "base/result.hpp"
#include "bench/report.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace troupe::bench {

struct options {
  std::filesystem::path model;    // a GGUF file
  std::filesystem::path text;     // UTF-8 without control tokens, for the tokenizer
  std::filesystem::path schemas;  // JSON: [{"name": str, "schema": schema}, ...]
  std::filesystem::path traces;   // the folder of hexgen_text2sql_traces, azure_llm_2023, …
  std::filesystem::path troupe;   // the binary that `serving` starts
  std::string isa;                // kernel table; empty: the best
  std::uint32_t threads = 0;      // 0: one for each processor
  std::uint32_t repeats = 5;
  std::uint32_t decode_tokens = 64;
  std::string only;       // of engine: rows whose name has this; empty: all
  bool roofline = false;  // of engine: what the machine could do at most, beside each row
  bool quick = false;     // fewer and smaller rows, once
};

/// Decoding, prefill, load time and memory of the engine alone: no actor, no HTTP.
result<report> engine(const options& wanted);
/// What a client of `troupe serve` sees above the engine alone: start, latency, gaps, many streams, idle cost.
result<report> serving(const options& wanted);
/// How near the kernels come to what one core can do.
result<report> kernel_tables(const options& wanted);
/// How fast text becomes tokens, on one thread.
result<report> tokenizing(const options& wanted);
/// What it costs to hold answers to JSON schemas.
result<report> structured_output(const options& wanted);
/// How long a stream stands still while its request moves to another worker.
result<report> migration(const options& wanted);
/// Llumnix against round robin and INFaaS++, simulated.
result<report> llumnix_scheduling(const options& wanted);
/// JITServe's order against others under mixed objectives, simulated.
result<report> jitserve_scheduling(const options& wanted);
/// What a decision costs, and how many requests a second a scheduler takes.
result<report> scheduling_cost(const options& wanted);
/// Agents' calls over unequal instances, simulated.
result<report> hexgen_scheduling(const options& wanted);
/// Prefill and decoding apart against together, simulated.
result<report> distserve_phases(const options& wanted);
/// The simulator against a live cluster: the same requests, the same latencies?
result<report> simulation(const options& wanted);
/// Messages and memory between two processes, against CAF's own network and UCX alone.
result<report> transporting(const options& wanted);

/// One of the processes that `transporting` starts. Does not return.
int transport_endpoint(const std::string& task_as_json);

}  // namespace troupe::bench
