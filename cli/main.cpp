// troupe: one binary, one verb a job.
#include "base/failpoint.hpp"
#include "cli/exit_codes.hpp"
#include "cli/verbs.hpp"

#include <cstdlib>
#include <exception>
#include <iostream>

#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
  using namespace troupe::cli;
  CLI::App app("Troupe: a distributed actor runtime for latency-bound inference.", "troupe");
  app.require_subcommand(1);
  app.footer("troupe VERB --help tells more of each.");
  int exit_code = exit_done;
  add_serve_verb(app, exit_code);
  add_run_verb(app, exit_code);
  add_chat_verb(app, exit_code);
  add_model_verb(app, exit_code);
  add_tokenize_verb(app, exit_code);
  add_bench_verb(app, exit_code);
  add_eval_verb(app, exit_code);
  add_config_verb(app, exit_code);
  add_doctor_verb(app, exit_code);
  add_completion_verb(app, exit_code);
  add_version_verb(app, exit_code);
  if (const char* failpoints = std::getenv("TROUPE_FAILPOINTS")) troupe::arm_failpoints_from(failpoints);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    app.exit(e);
    return exit_usage;
  } catch (const std::exception& e) {
    std::cerr << "troupe: " << e.what() << '\n';
    return exit_failed;
  }
  return exit_code;
}
