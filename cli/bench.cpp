// troupe bench: measurements that come with the binary.
#include "cli/bench_engine.hpp"
#include "cli/exit_codes.hpp"
#include "cli/model_argument.hpp"
#include "cli/verbs.hpp"

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

namespace troupe::cli {

void add_bench_verb(CLI::App& app, int& exit_code) {
  auto* bench = app.add_subcommand("bench", "Measure.");
  bench->require_subcommand(1);
  auto* verb =
      bench->add_subcommand("engine", "Tokens a second of decoding and prefill, load time and memory of the engine.");
  struct named {
    std::string model = "smollm2";
    bench_engine_options options;
  };
  const auto arguments = std::make_shared<named>();
  auto& options = arguments->options;
  verb->add_option("MODEL", arguments->model, "A GGUF file or the name of a pulled model.");
  verb->add_option("--threads,-t", options.threads, "Threads that compute; 0: one for each processor.");
  verb->add_option("--kernels", options.isa, "Instruction set; not set: the best.");
  verb->add_option("--repeats", options.repeats, "Times each row is measured.")->capture_default_str();
  verb->add_option("--decode-tokens", options.decode_tokens, "Tokens drawn in each decoding row.")
      ->capture_default_str();
  verb->add_option("--json", options.json, "Write the claims to this file.");
  verb->add_flag("--quick", options.quick, "The short rows, once.");
  verb->callback([arguments, &exit_code] {
    const auto path = resolve_model(arguments->model);
    if (!path) {
      exit_code = fail(path.error());
      return;
    }
    arguments->options.model = *path;
    const auto measured = bench_engine(arguments->options);
    exit_code = measured ? exit_done : fail(measured.error());
  });
}

}  // namespace troupe::cli
