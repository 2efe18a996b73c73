// troupe embed: texts to vectors, without a server.
#include "cli/exit_codes.hpp"
#include "cli/verbs.hpp"
#include "runtime/embedding/sentence_embedder.hpp"
#include "runtime/store/model_store.hpp"

#include <array>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace troupe::cli {
namespace {

struct embed_arguments {
  std::string model;
  std::vector<std::string> texts;
  std::uint32_t threads = 0;
  std::string kernels;
};

/// One line a text.
result<> print_vector(sentence_embedder& embedder, const std::string& text) {
  const auto tokens = embedder.tokens_of(text, "The text");
  if (!tokens) return tokens.error();
  std::vector<float> vector(embedder.dimensions());
  const std::array<std::span<const token_id>, 1> texts{*tokens};
  embedder.encoder().encode(texts, vector.data());
  std::cout << nlohmann::json(vector).dump() << '\n';
  return {};
}

int embed(const embed_arguments& arguments) {
  const auto folder = resolve_model(arguments.model);
  if (!folder) return fail(folder.error());
  const auto table = kernels::choose(arguments.kernels);
  if (!table) return fail(table.error());
  thread_pool pool(arguments.threads);
  const auto embedder = sentence_embedder::load(*folder, **table, pool);
  if (!embedder) return fail(embedder.error());
  const auto print = [&](const std::string& text) {
    const auto printed = print_vector(**embedder, text);
    return printed ? exit_done : fail(printed.error());
  };
  int code = exit_done;
  for (std::size_t i = 0; i < arguments.texts.size() && code == exit_done; ++i)
    code = print(arguments.texts[i]);
  if (arguments.texts.empty())
    for (std::string line; code == exit_done && std::getline(std::cin, line);)
      code = print(line);
  return code;
}

}  // namespace

void add_embed_verb(CLI::App& app, int& exit_code) {
  auto* verb = app.add_subcommand("embed", "Turn texts into vectors of length 1, one JSON array a line.");
  const auto arguments = std::make_shared<embed_arguments>();
  verb->add_option("model", arguments->model, "The folder of a sentence encoder or the name of a pulled one (minilm).")
      ->required();
  verb->add_option("text", arguments->texts, "The texts; none: the lines of standard input.");
  verb->add_option("--threads,-t", arguments->threads, "Threads that compute; 0: one for each processor.");
  verb->add_option("--kernels", arguments->kernels, "Instruction set. Not set: the best there is.");
  verb->callback([arguments, &exit_code] { exit_code = embed(*arguments); });
}

}  // namespace troupe::cli
