// troupe model pull|path|list|inspect: the cache of model files.
#include "cli/exit_codes.hpp"
#include "cli/verbs.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/store/model_store.hpp"

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace troupe::cli {
namespace {

result<model_store> open_store() {
  const auto folder = model_store::default_folder();
  if (!folder) return folder.error();
  return model_store(*folder);
}

int pull(const std::string& name) {
  const auto store = open_store();
  if (!store) return fail(store.error());
  const bool terminal = isatty(STDERR_FILENO) != 0;
  const auto path = store->pull(name, [&](const pull_progress& progress) {
    if (!terminal) return true;
    const double share = progress.total_bytes == 0 ? 0.0
                                                   : 100.0 * static_cast<double>(progress.done_bytes) /
                                                         static_cast<double>(progress.total_bytes);
    std::fprintf(stderr, "\r%-12s %5.1f %%", std::string(to_string(progress.at)).c_str(), share);
    return true;
  });
  if (terminal) std::fputs("\r\033[K", stderr);
  if (!path) return fail(path.error());
  std::cout << path->string() << '\n';
  return exit_done;
}

int print_path(const std::string& name) {
  const auto path = resolve_model(name);
  if (!path) return fail(path.error());
  std::cout << path->string() << '\n';
  return exit_done;
}

int list() {
  const auto store = open_store();
  if (!store) return fail(store.error());
  for (const auto& model : store->list())
    std::printf("%-16s %-10s %s\n", model.source.name.c_str(), model.present ? "present" : "not pulled",
                model.path.c_str());
  return exit_done;
}

// The file's author is a stranger: whatever a terminal might obey is shown as an escape.
std::string printable(std::string_view text) {
  constexpr std::size_t max_shown = 120;
  const std::string shown =
      nlohmann::json(text.substr(0, max_shown)).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  return shown.substr(1, shown.size() - 2) + (text.size() > max_shown ? " …" : "");
}

int inspect(const std::string& name) {
  const auto path = resolve_model(name);
  if (!path) return fail(path.error());
  const auto opened = gguf_file::open(*path);
  if (!opened) return fail(opened.error());
  const auto& file = **opened;
  std::cout << path->string() << "\n"
            << file.size_bytes() << " bytes, " << file.n_tensors() << " tensors\n\nmetadata\n";
  for (std::size_t i = 0; i < file.n_keys(); ++i) {
    const auto key = file.key(i);
    std::cout << "  " << printable(key) << " = ";
    if (const auto text = file.get_string(key))
      std::cout << printable(*text);
    else if (const auto integer = file.get_uint(key))
      std::cout << *integer;
    else if (const auto number = file.get_float(key))
      std::cout << *number;
    else if (const auto truth = file.get_bool(key))
      std::cout << (*truth ? "true" : "false");
    else
      std::cout << "(array)";
    std::cout << '\n';
  }
  std::cout << "\ntensors\n";
  for (std::size_t i = 0; i < file.n_tensors(); ++i) {
    const auto tensor = file.tensor(i);
    std::cout << "  " << printable(tensor.name) << " " << kernels::to_string(tensor.type) << " (";
    for (std::size_t d = tensor.dims.size(); d-- > 0;)
      std::cout << tensor.dims[d] << (d > 0 ? ", " : "");
    std::cout << ")\n";
  }
  return exit_done;
}

}  // namespace

void add_model_verb(CLI::App& app, int& exit_code) {
  auto* model = app.add_subcommand("model", "The cache of model files.");
  model->require_subcommand(1);
  const auto name = std::make_shared<std::string>();
  const auto add = [&](const char* verb, const char* help, int (*run)(const std::string&)) {
    auto* sub = model->add_subcommand(verb, help);
    sub->add_option("NAME", *name, "The name of a model, or its path.")->required();
    sub->callback([name, run, &exit_code] { exit_code = run(*name); });
  };
  add("pull", "Get a model into the cache and print its path.", pull);
  add("path", "Print where a pulled model is.", print_path);
  add("inspect", "Print the metadata and tensors of a GGUF file.", inspect);
  model->add_subcommand("list", "The models there are, and which are in the cache.")->callback([&exit_code] {
    exit_code = list();
  });
}

}  // namespace troupe::cli
