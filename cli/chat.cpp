// troupe chat: a conversation on the terminal, with a server (--url) or with a model inside this process.
#include "cli/answer_printer.hpp"
#include "cli/exit_codes.hpp"
#include "cli/verbs.hpp"
#include "runtime/store/model_store.hpp"
#include "troupe/client.hpp"

#include <cstdio>
#include <iostream>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

namespace troupe::cli {
namespace {

struct chat_arguments {
  std::string model;
  std::string url;
  std::string api_key;
  std::string system;
  std::string message;
  std::uint32_t threads = 0;
  answer_arguments answer;
};

result<client> connect(const chat_arguments& arguments) {
  client_options options;
  options.api_key = arguments.api_key;
  options.threads = arguments.threads;
  if (!arguments.url.empty()) {
    options.model = arguments.model;
    return client::connect(arguments.url, options);
  }
  const auto path = resolve_model(arguments.model.empty() ? "smollm2" : arguments.model);
  if (!path) return path.error();
  return client::connect("local:" + path->string(), options);
}

// Asks once; the answer becomes part of the conversation.
result<> ask(client& client, std::vector<chat_message>& conversation, const chat_arguments& arguments) {
  auto stream = client.chat(conversation, make_sampling(arguments.answer));
  if (!stream) return stream.error();
  auto text = print_answer(*std::move(stream), arguments.answer.stats);
  if (!text) return text.error();
  conversation.push_back({"assistant", *std::move(text)});
  return {};
}

int converse(client& client, std::vector<chat_message>& conversation, const chat_arguments& arguments) {
  const bool terminal = isatty(STDIN_FILENO) != 0;
  if (terminal) std::fputs("Ctrl-D ends the chat, Ctrl-C an answer.\n", stderr);
  while (true) {
    if (terminal) std::fputs("> ", stderr);
    std::string line;
    if (!std::getline(std::cin, line)) return exit_done;
    if (line.empty()) continue;
    conversation.push_back({"user", line});
    if (auto asked = ask(client, conversation, arguments); !asked) {
      fail(asked.error());
      if (!terminal) return exit_failed;
      conversation.pop_back();
    }
  }
}

int chat(const chat_arguments& arguments) {
  auto client = connect(arguments);
  if (!client) return fail(client.error());
  std::vector<chat_message> conversation;
  if (!arguments.system.empty()) conversation.push_back({"system", arguments.system});
  if (arguments.message.empty()) return converse(*client, conversation, arguments);
  conversation.push_back({"user", arguments.message});
  const auto asked = ask(*client, conversation, arguments);
  return asked ? exit_done : fail(asked.error());
}

}  // namespace

void add_chat_verb(CLI::App& app, int& exit_code) {
  auto* verb = app.add_subcommand("chat", "Chat on the terminal, with a server or with a model inside this process.");
  const auto arguments = std::make_shared<chat_arguments>();
  verb->add_option("MODEL", arguments->model,
                   "A GGUF file or the name of a pulled model; with --url: a name the server knows.");
  verb->add_option("--url", arguments->url, "A running server, http://HOST:PORT.")->envname("TROUPE_URL");
  verb->add_option("--api-key", arguments->api_key, "The server's key.")->envname("OPENAI_API_KEY");
  verb->add_option("--system", arguments->system, "What the model is told before the conversation.");
  verb->add_option("--message", arguments->message, "Ask this, print the answer and leave.");
  verb->add_option("--threads,-t", arguments->threads, "Threads that compute; 0: one for each processor.");
  add_answer_options(*verb, arguments->answer);
  verb->callback([arguments, &exit_code] { exit_code = chat(*arguments); });
}

}  // namespace troupe::cli
