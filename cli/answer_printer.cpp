#include "cli/answer_printer.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>

#include <CLI/CLI.hpp>

namespace troupe::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

// While it lives, Ctrl-C sets a flag instead of ending the program.
class interrupt_guard {
 public:
  interrupt_guard() {
    interrupted = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };
    sigaction(SIGINT, &action, &before_);
  }
  ~interrupt_guard() { sigaction(SIGINT, &before_, nullptr); }
  interrupt_guard(const interrupt_guard&) = delete;
  interrupt_guard& operator=(const interrupt_guard&) = delete;

 private:
  struct sigaction before_ {};
};

/// --NAME TEXT and --NAME-file FILE; whichever of all grammars' options stands last counts.
void add_grammar_option(CLI::App& verb, const std::string& name, const std::string& what, grammar_kind kind,
                        output_grammar& grammar) {
  verb.add_option_function<std::string>(
      name,
      [kind, &grammar](const std::string& text) {
        grammar = {kind, text};
      },
      what);
  verb.add_option_function<std::string>(
          name + "-file",
          [kind, &grammar](const std::string& path) {
            std::ifstream file(path, std::ios::binary);
            grammar = {kind, std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>())};
          },
          "The same from a file.")
      ->check(CLI::ExistingFile);
}

void add_grammar_options(CLI::App& verb, output_grammar& grammar) {
  add_grammar_option(verb, "--grammar", "The answer is a text of this grammar, in GBNF.", grammar_kind::gbnf, grammar);
  add_grammar_option(verb, "--json-schema", "The answer is JSON that satisfies this schema.", grammar_kind::json_schema,
                     grammar);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

sampling_params make_sampling(const answer_arguments& arguments) {
  sampling_params sampling;
  sampling.max_tokens = arguments.max_tokens;
  sampling.temperature = arguments.temperature;
  sampling.top_p = arguments.top_p;
  sampling.grammar = arguments.grammar;
  sampling.seed = arguments.seed >= 0 ? static_cast<std::uint64_t>(arguments.seed) : std::random_device{}();
  return sampling;
}

result<std::string> print_answer(token_stream stream, bool stats) {
  const interrupt_guard guard;
  const auto start = std::chrono::steady_clock::now();
  double first = 0.0;
  std::string text;
  while (const auto piece = stream.next()) {
    if (first == 0.0) first = seconds_since(start);
    text += piece->text;
    std::fwrite(piece->text.data(), 1, piece->text.size(), stdout);
    std::fflush(stdout);
    if (interrupted) stream.cancel();
  }
  std::fputc('\n', stdout);
  const double total = seconds_since(start);
  const auto outcome = stream.finish();
  if (outcome.failure) return *outcome.failure;
  if (stats) {
    const auto& usage = outcome.usage;
    const double rate = usage.completion_tokens > 1 ? (usage.completion_tokens - 1) / (total - first) : 0.0;
    std::fprintf(stderr, "[%u prompt tokens (%u cached), %u answer tokens, first after %.0f ms, then %.1f tokens/s]\n",
                 usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens, first * 1e3, rate);
  }
  return text;
}

void add_answer_options(CLI::App& verb, answer_arguments& arguments) {
  verb.add_option("--max-tokens,-n", arguments.max_tokens, "The longest answer.")->capture_default_str();
  verb.add_option("--temperature", arguments.temperature, "0 is greedy.")->capture_default_str();
  verb.add_option("--top-p", arguments.top_p, "Keep the likeliest tokens of this much probability.")
      ->capture_default_str();
  verb.add_option("--seed", arguments.seed, "The same seed gives the same answer. Not set: another each time.");
  add_grammar_options(verb, arguments.grammar);
  verb.add_flag("--stats", arguments.stats, "Say how many tokens and how fast.");
}

}  // namespace troupe::cli
