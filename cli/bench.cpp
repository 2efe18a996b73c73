// troupe bench: measurements that come with the binary.
#include "bench/benchmarks.hpp"
#include "cli/exit_codes.hpp"
#include "cli/verbs.hpp"
#include "runtime/store/model_store.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace troupe::cli {
namespace {

struct benchmark {
  const char* name;
  const char* help;
  result<bench::report> (*measure)(const bench::options&);
  bool needs_model = true;
};

constexpr benchmark benchmarks[] = {
    {"engine", "Tokens a second of decoding and prefill, load time and memory of the engine alone.", bench::engine},
    {"serving", "What HTTP adds to the engine's latency, start, many streams, long prompts, idle cost.",
     bench::serving},
    {"kernels", "The kernels against what one core can read and multiply.", bench::kernel_tables},
    {"tokenizer", "How fast text becomes tokens.", bench::tokenizing},
    {"structured-output", "What it costs to hold answers to JSON schemas.", bench::structured_output},
    {"migration", "How long a stream stands still while its request moves to another worker.", bench::migration},
    {"llumnix", "Rescheduling by virtual usage against round robin and least memory, simulated.",
     bench::llumnix_scheduling, false},
    {"jitserve", "Goodput under mixed objectives, against other orders, simulated.", bench::jitserve_scheduling, false},
    {"scheduling", "What decisions cost, and how many requests a second a scheduler takes.", bench::scheduling_cost,
     false},
    {"hexgen-text2sql", "Agents' calls over unequal instances, by its traces, simulated.", bench::hexgen_scheduling,
     false},
    {"distserve", "Prefill and decoding on different workers against the same, simulated.", bench::distserve_phases,
     false},
    {"simulation", "The simulator against a live cluster that serves the same requests.", bench::simulation},
    {"transport", "Messages and memory between two processes, against CAF's own network and UCX alone.",
     bench::transporting, false},
};

struct bench_arguments {
  std::string model = "smollm2";
  bench::options options;
  std::string json;
};

void add_options(CLI::App& verb, bench_arguments& arguments) {
  auto& options = arguments.options;
  options.text = "../shared/data/wikitext2/valid.txt";
  options.schemas = "tests/data/json_schemas.json";
  options.traces = "../shared/data";
  options.troupe = "/proc/self/exe";
  verb.add_option("MODEL", arguments.model, "A GGUF file or the name of a pulled model.")->capture_default_str();
  verb.add_option("--threads,-t", options.threads, "Threads that compute; 0: one for each processor.");
  verb.add_option("--kernels", options.isa, "Instruction set; not set: the best.");
  verb.add_option("--repeats", options.repeats, "Times each row of engine and transport is measured.")
      ->capture_default_str();
  verb.add_option("--decode-tokens", options.decode_tokens, "Tokens drawn in each decoding row of engine.")
      ->capture_default_str();
  verb.add_option("--only", options.only, "The rows of engine whose name has this.");
  verb.add_option("--text", options.text, "UTF-8 text for tokenizer.")->capture_default_str();
  verb.add_option("--schemas", options.schemas,
                  "JSON schemas for structured-output, as [{\"name\": …, \"schema\": …}].")
      ->capture_default_str();
  verb.add_option("--traces", options.traces, "The folder of the traces that simulations replay.")
      ->capture_default_str();
  verb.add_option("--json", arguments.json, "Write the claims to this file.");
  verb.add_flag("--roofline", options.roofline,
                "Measure what this machine could do at most and say how near each row of engine comes.");
  verb.add_flag("--quick", options.quick, "The short rows, once.");
}

/// Runs them in order. One that cannot be measured does not keep the others from it.
int run(const std::vector<benchmark>& wanted, bench_arguments arguments) {
  if (std::ranges::any_of(wanted, &benchmark::needs_model)) {
    const auto path = resolve_model(arguments.model);
    if (!path) return fail(path.error());
    arguments.options.model = *path;
  }
  arguments.options.troupe = std::filesystem::read_symlink(arguments.options.troupe);
  auto reports = nlohmann::json::array();
  int exit_code = exit_done;
  for (const auto& one : wanted) {
    const auto measured = one.measure(arguments.options);
    if (measured)
      reports.push_back(measured->json());
    else
      exit_code = fail(measured.error());
  }
  if (arguments.json.empty() || reports.empty()) return exit_code;
  std::ofstream out(arguments.json);
  out << (wanted.size() == 1 ? reports[0] : reports).dump(1) << '\n';
  if (out.flush()) return exit_code;
  return fail(make_error(errc::invalid_argument, "Cannot write '" + arguments.json + "'.", "json"));
}

}  // namespace

void add_bench_verb(CLI::App& app, int& exit_code) {
  auto* bench = app.add_subcommand("bench", "Measure.");
  bench->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, std::vector<benchmark> wanted) {
    auto* verb = bench->add_subcommand(name, help);
    const auto arguments = std::make_shared<bench_arguments>();
    add_options(*verb, *arguments);
    verb->callback([arguments, wanted, &exit_code] { exit_code = run(wanted, *arguments); });
  };
  for (const auto& one : benchmarks)
    add(one.name, one.help, {one});
  // What `transport` starts; of no use to anybody else.
  auto* endpoint = bench->add_subcommand("transport-endpoint")->group("");
  const auto task = std::make_shared<std::string>();
  endpoint->add_option("TASK", *task)->required();
  endpoint->callback([task, &exit_code] { exit_code = bench::transport_endpoint(*task); });
  add("all", "All of these; the file of --json gets an array.", {std::begin(benchmarks), std::end(benchmarks)});
}

}  // namespace troupe::cli
