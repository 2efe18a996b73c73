#include "grammar/random_grammar.hpp"

#include "catch.hpp"
#include "grammar/reading.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

// Nothing when no text matches, or the grammar is refused for its size.
std::optional<grammar::automaton> build(const grammar::rule_set& rules) {
  const auto compiled = compile_rules(rules);
  if (!compiled) return std::nullopt;
  return (*compiled)->automaton();
}

std::vector<std::string> all_texts(std::size_t max_characters) {
  std::vector<std::string> texts{""};
  for (std::size_t begin = 0, length = 0; length < max_characters; ++length) {
    const std::size_t end = texts.size();
    for (; begin < end; ++begin)
      for (const auto& character : alphabet())
        texts.push_back(texts[begin] + character);
  }
  return texts;
}

}  // namespace

TEST_CASE("an automaton accepts what a naive recogniser accepts", "[grammar][property]") {
  const auto texts = all_texts(3);
  int n_built = 0, n_accepted = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    random_stream random(seed);
    const auto rules = random_grammar(random).make();
    const auto a = build(rules);
    CAPTURE(seed);
    if (!a) {
      for (const auto& text : texts)
        REQUIRE(!naive_recogniser(rules, text).matches());
      continue;
    }
    ++n_built;
    const auto check = [&](const std::string& text) {
      const bool expected = naive_recogniser(rules, text).matches();
      if (accepts(*a, text) != expected) {
        CAPTURE(text, expected);
        FAIL("the automaton disagrees");
      }
      n_accepted += expected;
    };
    for (const auto& text : texts)
      if (seed % 10 == 0 || text.size() <= 4 || random.below(8) == 0) check(text);
    for (int i = 0; i < 20; ++i)
      check(random_text(random, 4 + random.below(5)));
  }
  CHECK(n_built > 1800);
  CHECK(n_accepted > 10000);
}

TEST_CASE("every beginning that is read can be completed, by the distance that was told", "[grammar][property]") {
  int n_completed = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    random_stream random(seed);
    const auto rules = random_grammar(random).make();
    const auto a = build(rules);
    if (!a) continue;
    for (int walk = 0; walk < 5; ++walk) {
      byte_reader reader(*a);
      std::string text;
      for (std::uint64_t n = random.below(12); n > 0; --n) {
        std::vector<char> possible;
        for (int byte = 0; byte < 256; ++byte) {
          if (!reader.machine().push(static_cast<std::uint8_t>(byte))) continue;
          possible.push_back(static_cast<char>(byte));
          reader.machine().pop();
        }
        if (possible.empty()) break;
        text += possible[random.below(possible.size())];
        REQUIRE(reader.read(text.substr(text.size() - 1)));
        if (random.below(2) == 0) reader.machine().collapse();
      }
      const std::size_t distance = reader.machine().distance();
      const auto end = shortest_end(reader.machine());
      CAPTURE(seed, text, distance);
      REQUIRE(end.has_value());
      CHECK(end->size() == distance);
      REQUIRE(naive_recogniser(rules, text + *end).matches());
      ++n_completed;
    }
  }
  CHECK(n_completed > 6000);
}

TEST_CASE("masks equal trying every token", "[grammar][property][mask]") {
  int n_masks = 0, n_allowed = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    random_stream random(seed + 10'000);
    const auto rules = random_grammar(random).make();
    const auto compiled = compile_rules(rules);
    if (!compiled) continue;
    const auto tokens = make_tokens(random_vocabulary(random));
    // Every third matcher has a cache too small for a single mask, so that all are made anew.
    const auto matcher = std::make_shared<grammar_matcher>(*compiled, tokens, seed % 3 == 0 ? 100 : 1 << 20);
    for (int walk = 0; walk < 4; ++walk) {
      grammar_state state(matcher);
      byte_reader reader((*compiled)->automaton());
      for (int step = 0; step < 8 && !state.has_ended(); ++step) {
        const auto allowed = mask_of(state, *tokens);
        const auto expected = brute_force_mask(reader.machine(), *tokens);
        CAPTURE(seed, walk, step);
        REQUIRE(allowed == expected);
        ++n_masks;
        std::vector<token_id> possible;
        for (std::size_t i = 0; i < allowed.size(); ++i) {
          if (allowed[i]) possible.push_back(static_cast<token_id>(i));
          grammar_state copy = state;
          if (i % 16 == seed % 16) REQUIRE(copy.accept(static_cast<token_id>(i)) == allowed[i]);
        }
        REQUIRE(!possible.empty());  // each byte is a token, so there is always a way on
        n_allowed += static_cast<int>(possible.size());
        const token_id chosen = possible[random.below(possible.size())];
        REQUIRE(state.accept(chosen));
        if (!tokens->is_end(chosen)) REQUIRE(reader.read(tokens->bytes(chosen)));
      }
      CHECK(matcher->cached_bytes() <= 1 << 20);
    }
  }
  CHECK(n_masks > 2000);
  CHECK(n_allowed > 10000);
}
