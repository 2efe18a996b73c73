// troupe run MODEL "prompt": continues a text, inside this process.
#include "cli/answer_printer.hpp"
#include "cli/exit_codes.hpp"
#include "cli/verbs.hpp"
#include "runtime/store/model_store.hpp"
#include "troupe/client.hpp"

#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>

#include <CLI/CLI.hpp>

namespace troupe::cli {
namespace {

struct run_arguments {
  std::string model;
  std::string prompt = "-";
  std::uint32_t threads = 0;
  answer_arguments answer;
};

int run(const run_arguments& arguments) {
  const auto path = resolve_model(arguments.model);
  if (!path) return fail(path.error());
  const std::string prompt =
      arguments.prompt != "-" ? arguments.prompt
                              : std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  auto client = client::connect("local:" + path->string(), {.threads = arguments.threads});
  if (!client) return fail(client.error());
  auto stream = client->complete(prompt, make_sampling(arguments.answer));
  if (!stream) return fail(stream.error());
  std::fwrite(prompt.data(), 1, prompt.size(), stdout);
  const auto text = print_answer(*std::move(stream), arguments.answer.stats);
  return text ? exit_done : fail(text.error());
}

}  // namespace

void add_run_verb(CLI::App& app, int& exit_code) {
  auto* verb = app.add_subcommand("run", "Continue a text with a model inside this process.");
  const auto arguments = std::make_shared<run_arguments>();
  verb->add_option("MODEL", arguments->model, "A GGUF file or the name of a pulled model.")->required();
  verb->add_option("PROMPT", arguments->prompt, "The text; - or nothing: standard input.");
  verb->add_option("--threads,-t", arguments->threads, "Threads that compute; 0: one for each processor.");
  add_answer_options(*verb, arguments->answer);
  verb->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace troupe::cli
