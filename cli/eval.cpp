// troupe eval: is the arithmetic right? golden holds it against recorded outputs of other implementations, perplexity
// against the model's own exact pass on any text.
#include "bench/report.hpp"
#include "cli/exit_codes.hpp"
#include "cli/verbs.hpp"
#include "runtime/engine/golden.hpp"
#include "runtime/store/model_store.hpp"

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace troupe::cli {
namespace {

struct eval_arguments {
  std::string model = "smollm2";
  std::string directory;  // of recordings, for golden
  std::string text;       // for perplexity
  std::uint32_t windows = 8;
  std::vector<std::string> kernels{"best"};
  std::string kv;  // empty: f32 for the reference, f16 for others
  std::string json;
  std::uint32_t threads = 0;
  bool quick = false;
};

bench::report to_report(const golden_report& golden, const std::string& name) {
  bench::report made(name + ", " + golden.isa + " kernels, " + golden.kv + " KV");
  for (const auto& check : golden.checks)
    made.add({check.name,
              check.unit,
              {check.value},
              check.bound,
              check.direction == golden_bound::at_most ? bench::goal::at_most : bench::goal::at_least});
  return made;
}

int evaluate(const eval_arguments& arguments) {
  const auto path = resolve_model(arguments.model);
  if (!path) return fail(path.error());
  auto reports = nlohmann::json::array();
  bool all_ok = true;
  for (const auto& isa : arguments.kernels) {
    golden_options options;
    options.model = *path;
    options.directory = arguments.directory;
    options.isa = isa == "best" ? "" : isa;
    options.n_threads = arguments.threads;
    // The reference is held against the exact pass; halved KV would be its own error.
    const auto kv = kernels::find_kv_type(arguments.kv);
    options.kv = kv ? *kv : isa == "reference" ? kernels::kv_type::f32 : kernels::kv_type::f16;
    if (!arguments.text.empty()) options.max_windows = arguments.windows;
    if (arguments.quick) options.max_windows = 1;
    const auto golden = arguments.text.empty() ? evaluate_golden(options) : evaluate_text(options, arguments.text);
    if (!golden) return fail(golden.error());
    std::printf("%s, %s kernels, %s KV\n", golden->model.c_str(), golden->isa.c_str(), golden->kv.c_str());
    const auto report = to_report(*golden, arguments.text.empty() ? "golden" : "perplexity");
    all_ok = all_ok && report.ok();
    reports.push_back(report.json());
  }
  if (!arguments.json.empty()) {
    std::ofstream out(arguments.json);
    out << reports.dump(1) << '\n';
    if (!out.good()) return fail(make_error(errc::internal, "Cannot write '" + arguments.json + "'.", "json"));
  }
  return all_ok ? exit_done : exit_failed;
}

}  // namespace

void add_eval_verb(CLI::App& app, int& exit_code) {
  auto* eval = app.add_subcommand("eval", "Evaluate the engine.");
  eval->require_subcommand(1);
  const auto add = [&](const char* name, const char* help) {
    auto* verb = eval->add_subcommand(name, help);
    const auto arguments = std::make_shared<eval_arguments>();
    verb->add_option("--model,-m", arguments->model, "A GGUF file or the name of a pulled model.")
        ->capture_default_str();
    verb->add_option("--kernels", arguments->kernels, "Kernel tables to evaluate: best, reference, avx2, avx512.")
        ->delimiter(',')
        ->capture_default_str();
    verb->add_option("--kv-cache-dtype", arguments->kv,
                     "How K and V are kept: f16, f32 or q8_0. Not set: f16, and f32 for the reference.")
        ->check(CLI::IsMember({"f16", "f32", "q8_0"}));
    verb->add_option("--threads,-t", arguments->threads, "Threads that compute; 0: one for each processor.");
    verb->add_option("--json", arguments->json, "Write the checks to this file.");
    verb->add_flag("--quick", arguments->quick, "Only the first window of the text.");
    verb->callback([arguments, &exit_code] { exit_code = evaluate(*arguments); });
    return std::pair(verb, arguments);
  };
  const auto [golden, of_golden] =
      add("golden", "Compare tokens, logits and perplexity with recorded outputs of other implementations.");
  golden->add_option("--dir", of_golden->directory, "The folder of the recordings.")->required();
  const auto [perplexity, of_perplexity] =
      add("perplexity", "Perplexity of a text, and its distance from the model's own exact pass in floats.");
  perplexity->add_option("--text", of_perplexity->text, "A UTF-8 text.")->required();
  perplexity->add_option("--windows", of_perplexity->windows, "Windows of 1,024 tokens to score.")
      ->capture_default_str();
}

}  // namespace troupe::cli
