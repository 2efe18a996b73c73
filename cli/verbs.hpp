// The verbs of the one binary. Each adds its subcommand to the app; when it is given, it runs and leaves its exit code.
#pragma once

namespace CLI {
class App;
}

namespace troupe::cli {

void add_bench_verb(CLI::App& app, int& exit_code);
void add_chat_verb(CLI::App& app, int& exit_code);
void add_cluster_verbs(CLI::App& app, int& exit_code);
void add_completion_verb(CLI::App& app, int& exit_code);
void add_config_verb(CLI::App& app, int& exit_code);
void add_doctor_verb(CLI::App& app, int& exit_code);
void add_embed_verb(CLI::App& app, int& exit_code);
void add_eval_verb(CLI::App& app, int& exit_code);
void add_model_verb(CLI::App& app, int& exit_code);
void add_node_verb(CLI::App& app, int& exit_code);
void add_place_verb(CLI::App& app, int& exit_code);
void add_policy_verb(CLI::App& app, int& exit_code);
void add_run_verb(CLI::App& app, int& exit_code);
void add_serve_verb(CLI::App& app, int& exit_code);
void add_simulate_verb(CLI::App& app, int& exit_code);
void add_tokenize_verb(CLI::App& app, int& exit_code);
void add_up_verb(CLI::App& app, int& exit_code);
void add_version_verb(CLI::App& app, int& exit_code);

}  // namespace troupe::cli
