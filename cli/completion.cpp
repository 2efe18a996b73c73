// troupe completion bash|zsh|fish: prints a script for the shell, made from the verbs and flags themselves.
#include "cli/exit_codes.hpp"
#include "cli/verbs.hpp"

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace troupe::cli {
namespace {

bool is_shown(const CLI::App* verb) {
  return !verb->get_group().empty();
}

struct word_list {
  std::string path;  // "model pull"
  std::vector<std::string> words;
};

// The verbs and flags that may follow each path of verbs.
void collect(const CLI::App& app, const std::string& path, std::vector<word_list>& lists) {
  word_list list{path, {}};
  for (const auto* sub : app.get_subcommands(is_shown))
    list.words.push_back(sub->get_name());
  for (const auto* option : app.get_options([](const CLI::Option*) { return true; }))
    for (const auto& name : option->get_lnames())
      list.words.push_back("--" + name);
  lists.push_back(std::move(list));
  for (const auto* sub : app.get_subcommands(is_shown))
    collect(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), lists);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words)
    text += (text.empty() ? "" : " ") + word;
  return text;
}

void print_bash(const std::vector<word_list>& lists) {
  std::cout << "_troupe() {\n"
               "  local word path=\"\" words=\"\"\n"
               "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
               "    [[ $word == -* ]] && break\n"
               "    path=\"${path:+$path }$word\"\n"
               "  done\n"
               "  case \"$path\" in\n";
  for (const auto& list : lists)
    std::cout << "    \"" << list.path << "\") words=\"" << joined(list.words) << "\" ;;\n";
  std::cout << "    *) case \"${path%% *}\" in\n";
  for (const auto& list : lists)
    if (!list.path.empty() && list.path.find(' ') == std::string::npos)
      std::cout << "      " << list.path << ") words=\"" << joined(list.words) << "\" ;;\n";
  std::cout << "    esac ;;\n"
               "  esac\n"
               "  COMPREPLY=($(compgen -W \"$words\" -f -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
               "}\n"
               "complete -o filenames -F _troupe troupe\n";
}

void print_fish(const std::vector<word_list>& lists) {
  for (const auto& list : lists) {
    const std::string when = list.path.empty()
                                 ? "__fish_use_subcommand"
                                 : "__fish_seen_subcommand_from " + list.path.substr(list.path.rfind(' ') + 1);
    for (const auto& word : list.words)
      std::cout << "complete -c troupe -n '" << when << "' "
                << (word.starts_with("--") ? "-l " + word.substr(2) : "-f -a " + word) << '\n';
  }
}

}  // namespace

void add_completion_verb(CLI::App& app, int& exit_code) {
  auto* verb = app.add_subcommand("completion", "Print a completion script: bash, zsh or fish.");
  const auto shell = std::make_shared<std::string>();
  verb->add_option("SHELL", *shell, "bash, zsh or fish.")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  verb->callback([&app, shell, &exit_code] {
    std::vector<word_list> lists;
    collect(app, "", lists);
    if (*shell == "zsh") std::cout << "autoload -U +X bashcompinit && bashcompinit\n";
    if (*shell == "fish")
      print_fish(lists);
    else
      print_bash(lists);
    exit_code = exit_done;
  });
}

}  // namespace troupe::cli
