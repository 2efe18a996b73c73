// troupe: one binary, one verb a job.
#include "base/failpoint.hpp"
#include "cli/exit_codes.hpp"
#include "cli/settings.hpp"
#include "cli/tether.hpp"
#include "cli/verbs.hpp"

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

namespace {

// These read the settings by themselves, since they tell where a value came from.
bool tells_where_from(const std::string& verb) {
  return verb == "serve" || verb == "node" || verb == "config";
}

// Every flag can be given as TROUPE_<FLAG>.
void name_variables(CLI::App& app) {
  using troupe::cli::environment_variable;
  for (auto* option : app.get_options([](const CLI::Option*) { return true; })) {
    if (option->get_lnames().empty() || !option->get_envname().empty() || option->get_lnames()[0] == "help") continue;
    option->envname(environment_variable(option->get_lnames()[0]));
  }
  for (auto* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!tells_where_from(verb->get_name())) name_variables(*verb);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace troupe::cli;
  if (argc > 1 && std::string(argv[1]) == tether_verb) return run_tethered(argc, argv);
  CLI::App app("Troupe: a distributed actor runtime for latency-bound inference.", "troupe");
  app.require_subcommand(1);
  app.footer("troupe VERB --help tells more of each.");
  int exit_code = exit_done;
  add_serve_verb(app, exit_code);
  add_node_verb(app, exit_code);
  add_up_verb(app, exit_code);
  add_cluster_verbs(app, exit_code);
  add_policy_verb(app, exit_code);
  add_place_verb(app, exit_code);
  add_run_verb(app, exit_code);
  add_chat_verb(app, exit_code);
  add_model_verb(app, exit_code);
  add_tokenize_verb(app, exit_code);
  add_embed_verb(app, exit_code);
  add_bench_verb(app, exit_code);
  add_eval_verb(app, exit_code);
  add_simulate_verb(app, exit_code);
  add_config_verb(app, exit_code);
  add_doctor_verb(app, exit_code);
  add_completion_verb(app, exit_code);
  add_version_verb(app, exit_code);
  name_variables(app);
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
