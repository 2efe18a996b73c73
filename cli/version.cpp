#include "base/build_info.hpp"
#include "cli/verbs.hpp"
#include "kernels/table.hpp"

#include <iostream>

#include <CLI/CLI.hpp>

namespace troupe::cli {

void add_version_verb(CLI::App& app, int&) {
  app.add_subcommand("version", "Print the version, the build and the kernels this machine runs.")->callback([] {
    std::cout << "troupe " << version() << " (" << commit() << ", " << compiler() << ", kernels " << kernels::best().isa
              << ")\n";
  });
}

}  // namespace troupe::cli
