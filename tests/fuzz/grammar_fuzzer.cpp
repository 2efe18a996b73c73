// libFuzzer on grammars as they come with a request: whatever the text, it is compiled or refused with a sentence, and
// what is compiled gives masks that agree with reading each token, and a way to the end. No input takes longer than 4 s
// (with sanitizers 60). It makes its own seeds, so it needs no corpus:
//
//   cmake --preset fuzz && ninja -C build/fuzz grammar_fuzzer
//   build/fuzz/tests/fuzz/grammar_fuzzer -max_total_time=600 -max_len=2048 -timeout=100 -malloc_limit_mb=256
//
// Ten times as many inputs without sanitizers: add -D TROUPE_SANITIZE=fuzzer-no-link -B build/fuzz-fast to the first
// command. The first byte says what the rest is: GBNF, a JSON schema, or a request's tools.
#include "base/random.hpp"
#include "grammar/reading.hpp"
#include "grammar_texts.hpp"
#include "runtime/grammar/grammar_matcher.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>

using namespace troupe;
using namespace troupe::test;

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

constexpr int n_steps = 6;                   // tokens of a walk
constexpr std::uint64_t one_checked_in = 6;  // masks: reading every token takes long

// Seconds of the processor for one input. A release build takes less than 1; counting coverage costs a factor of two,
// sanitizers one of thirty.
#if __has_feature(address_sanitizer)
constexpr double longest = 60;
#else
constexpr double longest = 4;
#endif

// Of sixteen mutations one starts anew from a text that compiles, nine write a fragment into it, six are libFuzzer's.
constexpr unsigned n_kinds = 16;
constexpr unsigned restart = 0;
constexpr unsigned first_of_libfuzzer = 10;

[[noreturn]] void complain(const char* what) {
  std::fprintf(stderr, "grammar_fuzzer: %s\n", what);
  std::abort();
}

result<std::shared_ptr<const compiled_grammar>> compile(std::string_view input) {
  const std::string_view source = input.substr(1);
  switch (grammar_text_kind(input)) {
    case grammar_kind::json_schema:
      return compile_json_schema(source);
    case grammar_kind::tool_calls:
      return compile_tool_calls(source);
    default:
      return compile_gbnf(source);
  }
}

const std::shared_ptr<const token_set>& all_bytes_and_some_words() {
  static const auto made = [] {
    std::vector<std::string> texts;
    for (int byte = 0; byte < 256; ++byte)
      texts.emplace_back(1, static_cast<char>(byte));
    for (const char* text :
         {"{\"", "\":", "\",\"", "\"}", "}}", "[[",  "]]", "true", "null",     "00",       "12",       "-1", "0.",
          "e1",  "\\u", "\\\"",  "aa",  "ab", "abc", "((", "))",   "\xc3\xa9", "\xf0\x9f", "\x98\x80", "  "})
      texts.emplace_back(text);
    return make_tokens(texts);
  }();
  return made;
}

/// The mask against each token read on its own. A token that the mask allows may still be refused, when reading it
/// alone passes a bound (grammar_matcher.hpp); one that it forbids may not be read.
void check_mask(const grammar_state& state, std::span<const std::uint64_t> mask, const token_set& tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<token_id>(i);
    grammar_state after = state;
    if (!grammar::has_bit(mask, id) && after.accept(id)) complain("the mask forbids a token that can be read");
  }
}

/// A byte leads nearer to the end, as the engine counts on when an answer has to end.
void check_way_out(const grammar_state& state, const token_set& tokens) {
  const std::size_t left = state.bytes_to_end();
  if (state.may_end() != (left == 0))
    complain("the distance to the end is 0 where the text may not end, or is not where it may");
  for (std::size_t i = 0; left > 0; ++i) {
    if (i == tokens.size()) complain("no token leads nearer to the end");
    const auto id = static_cast<token_id>(i);
    if (tokens.bytes(id).size() != 1) continue;
    grammar_state after = state;
    if (after.accept(id) && after.bytes_to_end() + 1 == left) return;
  }
}

void walk(std::shared_ptr<const compiled_grammar> compiled, std::uint64_t seed) {
  const auto& tokens = all_bytes_and_some_words();
  const auto matcher = std::make_shared<grammar_matcher>(std::move(compiled), tokens);
  random_stream random(seed);
  grammar_state state(matcher);
  std::vector<std::uint64_t> mask(tokens->mask_words());
  for (int step = 0; step < n_steps && !state.has_ended(); ++step) {
    if (const auto made = state.mask(mask); !made) {
      if (made.error().message.empty()) complain("a mask fails without a word");
      return;
    }
    if (random.below(one_checked_in) == 0) {
      check_mask(state, mask, *tokens);
      check_way_out(state, *tokens);
    }
    std::vector<token_id> allowed;
    for (std::size_t i = 0; i < tokens->size(); ++i)
      if (grammar::has_bit(mask, static_cast<token_id>(i))) allowed.push_back(static_cast<token_id>(i));
    if (allowed.empty()) complain("no token is allowed, though every byte is one");
    if (!state.accept(allowed[random.below(allowed.size())])) return;
  }
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  random_stream random(seed);
  const unsigned kind = seed % n_kinds;
  if (kind >= first_of_libfuzzer) return LLVMFuzzerMutate(data, size, max_size);
  std::string text(reinterpret_cast<const char*>(data), size);
  text = size < 2 || kind == restart ? random_grammar_text(random) : with_fragment(std::move(text), random);
  if (text.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, text.data(), text.size());
  return text.size();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::clock_t start = std::clock();
  const auto compiled = compile(input);
  if (compiled)
    walk(*compiled, std::hash<std::string_view>()(input));
  else if (compiled.error().message.empty())
    complain("a grammar is refused without a word");
  if (static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC > longest) complain("one grammar took too long");
  return 0;
}
