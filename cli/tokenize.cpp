// troupe tokenize: text to token ids and back, as the model sees it.
#include "cli/exit_codes.hpp"
#include "cli/verbs.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/store/model_store.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <iostream>
#include <iterator>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace troupe::cli {
namespace {

struct tokenize_arguments {
  std::string model;
  std::string text = "-";
  std::vector<token_id> ids;
  bool special = false;
  bool pieces = false;
};

int tokenize(const tokenize_arguments& arguments) {
  const auto path = resolve_model(arguments.model);
  if (!path) return fail(path.error());
  const auto file = gguf_file::open(*path);
  if (!file) return fail(file.error());
  const auto words = tokenizer::from_gguf(**file);
  if (!words) return fail(words.error());
  if (!arguments.ids.empty()) {
    std::cout << (*words)->decode(arguments.ids, arguments.special) << '\n';
    return exit_done;
  }
  const std::string text =
      arguments.text != "-" ? arguments.text
                            : std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  const auto ids = (*words)->encode(text, arguments.special ? special_tokens::parse : special_tokens::as_text);
  if (!arguments.pieces) {
    std::cout << nlohmann::json(ids).dump() << '\n';
    return exit_done;
  }
  for (const token_id id : ids)
    std::cout << id << '\t'
              << nlohmann::json(std::string((*words)->token_bytes(id)))
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
              << '\n';
  return exit_done;
}

}  // namespace

void add_tokenize_verb(CLI::App& app, int& exit_code) {
  auto* verb = app.add_subcommand("tokenize", "Turn text into token ids, or ids into text.");
  const auto arguments = std::make_shared<tokenize_arguments>();
  verb->add_option("model", arguments->model, "A GGUF file or the name of a pulled model.")->required();
  verb->add_option("text", arguments->text, "The text; - or nothing: standard input.");
  verb->add_option("--decode", arguments->ids, "Token ids to turn into text instead.")->delimiter(',');
  verb->add_flag("--special", arguments->special, "Treat the names of control tokens in the text as those tokens.");
  verb->add_flag("--pieces", arguments->pieces, "One token a line with its text.");
  verb->callback([arguments, &exit_code] { exit_code = tokenize(*arguments); });
}

}  // namespace troupe::cli
