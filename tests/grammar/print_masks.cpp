// The C++ side of mask_oracle.py: walks through grammars and writes the mask of every step.
//
//   print_masks MODEL.gguf < requests > answers
//
// A request is a line of JSON: {"kind": "gbnf" | "json_schema", "source": str, "texts": [str, ...], "n_random": int,
// "n_tokens": int, "seed": int}. Each text is walked through token by token, cut into tokens at random; then come
// n_random walks that draw evenly from what is allowed, and after n_tokens take whatever leads to the end.
//
// What is written, integers as 32 bits in the machine's order: first the vocabulary (count, then length and bytes of
// each token and a byte: 0 text, 1 end, 2 never). For each request the grammar in Lark's notation (length, bytes; of a
// grammar that is refused the length is -1 and an error of the same form follows), then walks: a 1, then steps (a 1,
// the mask, the token that came: -1 when the text goes on by none that is allowed or is over) and a 0; after the last
// walk a 0.
#include "base/random.hpp"
#include "grammar/lark_writer.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/grammar/failure.hpp"
#include "runtime/grammar/gbnf_parser.hpp"
#include "runtime/grammar/grammar_matcher.hpp"
#include "runtime/grammar/json_schema.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

using namespace troupe;

namespace {

constexpr token_id none = -1;

void write_number(std::int32_t number) {
  std::cout.write(reinterpret_cast<const char*>(&number), sizeof number);
}
void write_text(std::string_view text) {
  write_number(static_cast<std::int32_t>(text.size()));
  std::cout.write(text.data(), static_cast<std::streamsize>(text.size()));
}

std::shared_ptr<const token_set> write_vocabulary(const tokenizer& words) {
  std::vector<std::string_view> texts(words.vocabulary_size());
  std::vector<token_id> ends;
  write_number(static_cast<std::int32_t>(texts.size()));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto id = static_cast<token_id>(i);
    texts[i] = words.token_bytes(id);
    if (words.is_end(id)) ends.push_back(id);
    write_text(texts[i]);
    std::cout.put(static_cast<char>(words.is_end(id) ? 1 : words.is_control(id) ? 2 : 0));
  }
  const auto set = token_set::build(texts, ends, [&](token_id id) { return words.is_control(id); });
  if (!set) throw grammar::failure{set.error().code, set.error().message, {}};
  return *set;
}

class walker {
 public:
  walker(std::shared_ptr<grammar_matcher> matcher, std::uint64_t seed)
      : matcher_(std::move(matcher)), random_(seed), mask_(matcher_->tokens().mask_words()) {}

  void walk_along(std::string_view text) {
    begin();
    while (write_mask()) {
      std::vector<token_id> fitting;
      for (const token_id id : allowed()) {
        const auto bytes = matcher_->tokens().bytes(id);
        if (!matcher_->tokens().is_end(id) && text.starts_with(bytes)) fitting.push_back(id);
      }
      const token_id chosen = fitting.empty() ? none : fitting[random_.below(fitting.size())];
      if (!take(chosen)) break;
      text.remove_prefix(matcher_->tokens().bytes(chosen).size());
    }
    write_number(0);
  }

  void walk_at_random(int n_tokens) {
    begin();
    for (int n = 0; write_mask(); ++n) {
      const auto possible = allowed();
      if (!take(possible.empty() ? none : n < n_tokens ? possible[random_.below(possible.size())] : nearest(possible)))
        break;
    }
    write_number(0);
  }

 private:
  void begin() {
    write_number(1);
    state_ = grammar_state(matcher_);
  }

  bool write_mask() {
    if (state_.has_ended()) return false;
    if (!state_.mask(mask_)) return false;
    write_number(1);
    std::cout.write(reinterpret_cast<const char*>(mask_.data()), static_cast<std::streamsize>(mask_.size() * 8));
    return true;
  }

  /// Writes it; false when the walk ends by it.
  bool take(token_id token) {
    write_number(token);
    return token != none && state_.accept(token) && !state_.has_ended();
  }

  std::vector<token_id> allowed() const {
    std::vector<token_id> ids;
    for (std::size_t i = 0; i < matcher_->tokens().size(); ++i)
      if (grammar::has_bit(mask_, static_cast<token_id>(i))) ids.push_back(static_cast<token_id>(i));
    return ids;
  }

  /// The first of these after which the end is nearest.
  token_id nearest(const std::vector<token_id>& possible) const {
    token_id best = none;
    std::size_t left = ~std::size_t{0};
    for (std::size_t i = 0; i < possible.size() && left > 0; ++i) {
      grammar_state after = state_;
      if (!after.accept(possible[i])) continue;
      if (after.has_ended()) return possible[i];
      if (best == none || after.bytes_to_end() < left) best = possible[i], left = after.bytes_to_end();
    }
    return best;
  }

  std::shared_ptr<grammar_matcher> matcher_;
  random_stream random_;
  grammar_state state_{matcher_};
  std::vector<std::uint64_t> mask_;
};

void answer(const nlohmann::json& request, const std::shared_ptr<const token_set>& tokens) {
  const std::string source = request.at("source").get<std::string>();
  const bool is_gbnf = request.at("kind") == "gbnf";
  const auto compiled = is_gbnf ? compile_gbnf(source) : compile_json_schema(source);
  if (!compiled) {
    write_number(-1);
    write_text(compiled.error().message);
    return;
  }
  write_text(test::lark_of(is_gbnf ? grammar::parse_gbnf(source) : grammar::parse_json_schema(source)));
  walker walks(std::make_shared<grammar_matcher>(*compiled, tokens), request.at("seed").get<std::uint64_t>());
  for (const auto& text : request.at("texts"))
    walks.walk_along(text.get<std::string>());
  for (int i = 0; i < request.at("n_random").get<int>(); ++i)
    walks.walk_at_random(request.at("n_tokens").get<int>());
  write_number(0);
}

int answer_all(const char* path) {
  const auto file = gguf_file::open(path);
  if (!file) {
    std::cerr << "print_masks: " << file.error().message << '\n';
    return 1;
  }
  const auto words = tokenizer::from_gguf(**file);
  if (!words) {
    std::cerr << "print_masks: " << words.error().message << '\n';
    return 1;
  }
  const auto tokens = write_vocabulary(**words);
  for (std::string line; std::getline(std::cin, line);)
    answer(nlohmann::json::parse(line), tokens);
  return std::cout.flush() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: print_masks MODEL.gguf < requests > answers\n";
    return 2;
  }
  std::ios::sync_with_stdio(false);
  return answer_all(argv[1]);
}
