// troupe config check: is the configuration right, and where does each value come from?
#include "cli/exit_codes.hpp"
#include "cli/settings.hpp"
#include "cli/verbs.hpp"

#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>

namespace troupe::cli {
namespace {

struct check_arguments {
  given_flags flags;
  std::string file;
  bool print = false;
};

// Keys are shown by their length only.
std::string shown(const setting& s, const std::string& value) {
  if (value.empty()) return "(not set)";
  return s.flag == "api-key" ? "(" + std::to_string(value.size()) + " characters)" : value;
}

int check(const check_arguments& arguments) {
  const auto values = collect_settings(arguments.flags, arguments.file);
  if (!values) {
    fail(values.error());
    return exit_configuration;
  }
  if (auto made = make_serve_options(*values); !made) {
    fail(made.error());
    return exit_configuration;
  }
  if (arguments.print) {
    for (const auto& s : all_settings()) {
      const auto& value = values->at(std::string(s.flag));
      std::printf("%-28s %-24s %-12s %s.%s\n", std::string(s.flag).c_str(), shown(s, value.text).c_str(),
                  std::string(to_string(value.source)).c_str(), std::string(s.section).c_str(),
                  std::string(s.key).c_str());
    }
  } else {
    std::puts("The configuration is right.");
  }
  return exit_done;
}

}  // namespace

void add_config_verb(CLI::App& app, int& exit_code) {
  auto* config = app.add_subcommand("config", "Work with the configuration.");
  config->require_subcommand(1);
  auto* verb =
      config->add_subcommand("check", "Check flags, environment and file; --print shows where each value came from.");
  const auto arguments = std::make_shared<check_arguments>();
  verb->add_option("--config,-f", arguments->file, "The configuration file (TOML).")->envname("TROUPE_CONFIG");
  verb->add_flag("--print", arguments->print,
                 "Show each setting, its value, where it came from and its key in the file.");
  arguments->flags.add_to(*verb);
  verb->callback([arguments, &exit_code] { exit_code = check(*arguments); });
}

}  // namespace troupe::cli
