#include "catch.hpp"
#include "grammar/reading.hpp"
#include "runtime/grammar/grammar_matcher.hpp"

#include <atomic>
#include <thread>

using namespace troupe;
using namespace troupe::test;

namespace {

std::shared_ptr<const compiled_grammar> compiled(std::string_view source) {
  auto made = compile_gbnf(source);
  if (!made) FAIL(made.error().message);
  return *made;
}

// The tokens allowed, by their bytes.
std::set<std::string> allowed_texts(const grammar_state& state, const token_set& tokens) {
  const auto mask = mask_of(state, tokens);
  std::set<std::string> texts;
  for (std::size_t i = 0; i < mask.size(); ++i)
    if (mask[i]) texts.emplace(tokens.bytes(static_cast<token_id>(i)));
  return texts;
}

}  // namespace

TEST_CASE("tokens may end in the middle of a character", "[grammar][mask]") {
  const auto tokens =
      make_tokens({"\xf0\x9f", "\x98\x80", "\xf0", "\x9f\x98", "\x80", "\x81", "a\xc3", "\xa9", "\xc3"});
  const auto matcher = std::make_shared<grammar_matcher>(compiled("root ::= \"a\"? [é😀]+"), tokens);
  grammar_state state(matcher);
  CHECK(allowed_texts(state, *tokens) == std::set<std::string>{"\xf0\x9f", "\xf0", "a\xc3", "\xc3"});
  REQUIRE(state.accept(2 + 2));
  CHECK(allowed_texts(state, *tokens) == std::set<std::string>{"\x9f\x98"});
  REQUIRE(state.accept(2 + 3));
  CHECK(!state.may_end());
  CHECK(state.bytes_to_end() == 1);
  CHECK(allowed_texts(state, *tokens) == std::set<std::string>{"\x80"});
  CHECK(!state.accept(2 + 5));
  REQUIRE(state.accept(2 + 4));
  CHECK(state.may_end());
  CHECK(!state.must_end());
  CHECK(allowed_texts(state, *tokens) == std::set<std::string>{"\xf0\x9f", "\xf0", "\xc3", "<end>"});
}

TEST_CASE("end tokens end, control tokens never come", "[grammar][mask]") {
  const auto tokens = make_tokens({"a", "<control>", "<end>"});
  const auto matcher =
      std::make_shared<grammar_matcher>(compiled("root ::= \"a\" | \"<control>\" | \"<end>\""), tokens);
  grammar_state state(matcher);
  CHECK(mask_of(state, *tokens) == std::vector<bool>{false, false, true, true, true});
  CHECK(!state.accept(0));
  CHECK(!state.accept(1));
  CHECK(!state.accept(-1));
  CHECK(!state.accept(5));
  REQUIRE(state.accept(2));
  CHECK(state.must_end());
  CHECK(mask_of(state, *tokens) == std::vector<bool>{true, false, false, false, false});
  const grammar_state before_end = state;
  REQUIRE(state.accept(0));
  CHECK(state.has_ended());
  CHECK(!state.may_end());
  CHECK(!state.must_end());
  CHECK(!state.accept(0));
  CHECK(mask_of(state, *tokens) == std::vector<bool>(5));
  CHECK(before_end.must_end());  // copies go their own ways
}

TEST_CASE("tokens that leave a rule are tried against its callers", "[grammar][mask]") {
  const auto tokens = make_tokens({"(", ")", "))", ")))", "x", "x)", "x))", ")!", "!", "]", ")]", "[", "[("});
  const auto matcher = std::make_shared<grammar_matcher>(
      compiled("root ::= a \"!\"\na ::= \"(\" a \")\" | \"[\" a \"]\" | \"x\""), tokens);
  grammar_state state(matcher);
  CHECK(allowed_texts(state, *tokens) == std::set<std::string>{"(", "[", "[(", "x"});
  REQUIRE(state.accept(2));       // (
  REQUIRE(state.accept(2 + 12));  // [(
  CHECK(allowed_texts(state, *tokens) == std::set<std::string>{"(", "[", "[(", "x", "x)"});
  REQUIRE(state.accept(2 + 5));  // x)
  CHECK(allowed_texts(state, *tokens) == std::set<std::string>{"]"});
  REQUIRE(state.accept(2 + 9));
  CHECK(allowed_texts(state, *tokens) == std::set<std::string>{")", ")!"});
}

TEST_CASE("the depth is bounded, and what is entered can be left", "[grammar][mask]") {
  const auto tokens = make_tokens({"[", "]", "{", "}", "[[[[[[[[", "]]]]]]]]", "x"});
  const auto matcher =
      std::make_shared<grammar_matcher>(compiled("root ::= v\nv ::= \"[\" (v)* \"]\" | \"{\" v \"}\" | \"x\""), tokens);
  for (const token_id opening : {2, 4, 6}) {
    grammar_state state(matcher);
    byte_reader reader(matcher->compiled().automaton());
    int n_opened = 0;
    while (n_opened < 2000) {
      const auto mask = mask_of(state, *tokens);
      REQUIRE(mask == brute_force_mask(reader.machine(), *tokens));
      if (!mask[static_cast<std::size_t>(opening)]) break;
      REQUIRE(state.accept(opening));
      REQUIRE(reader.read(tokens->bytes(opening)));
      ++n_opened;
    }
    CHECK(n_opened > (opening == 6 ? 20 : 100));
    CHECK(n_opened < 1000);
    const auto end = shortest_end(reader.machine());
    REQUIRE(end.has_value());
    CHECK(end->size() == state.bytes_to_end());
  }
}

TEST_CASE("right recursion takes no depth", "[grammar][mask]") {
  const auto tokens = make_tokens({"a", "b"});
  const auto matcher =
      std::make_shared<grammar_matcher>(compiled("root ::= s\ns ::= \"a\" t | \"b\"\nt ::= s"), tokens);
  grammar_state state(matcher);
  for (int i = 0; i < 5000; ++i)
    REQUIRE(state.accept(2));
  REQUIRE(state.accept(3));
  CHECK(state.must_end());
}

TEST_CASE("a long bounded repetition shares its masks but counts to the end", "[grammar][mask]") {
  const auto tokens = make_tokens({"a", "aa", "aaaa", "\"", "a\""});
  const auto matcher = std::make_shared<grammar_matcher>(compiled("root ::= \"\\\"\" [a-z]{2,400} \"\\\"\""), tokens);
  grammar_state state(matcher);
  byte_reader reader(matcher->compiled().automaton());
  REQUIRE(state.accept(5));
  REQUIRE(reader.read("\""));
  for (int i = 0; i < 400; ++i) {
    REQUIRE(mask_of(state, *tokens) == brute_force_mask(reader.machine(), *tokens));
    REQUIRE(state.accept(2));
    REQUIRE(reader.read("a"));
  }
  CHECK(matcher->cached_bytes() < 40 * (8 + 400));  // a few dozen states that differ, not 400
  CHECK(allowed_texts(state, *tokens) == std::set<std::string>{"\""});
}

TEST_CASE("threads may share a matcher", "[grammar][mask]") {
  const auto tokens = make_tokens({"(", ")", "x", "((", "))", "x)"});
  const auto matcher =
      std::make_shared<grammar_matcher>(compiled("root ::= a\na ::= \"(\" a \")\" | \"x\""), tokens, 2000);
  std::vector<std::thread> threads;
  std::atomic<int> n_wrong = 0;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      random_stream random(seed);
      for (int walk = 0; walk < 50; ++walk) {
        grammar_state state(matcher);
        byte_reader reader(matcher->compiled().automaton());
        for (int step = 0; step < 30 && !state.must_end(); ++step) {
          const auto mask = mask_of(state, *tokens);
          if (mask != brute_force_mask(reader.machine(), *tokens)) ++n_wrong;
          auto chosen = static_cast<token_id>(random.below(tokens->size()));
          while (!mask[static_cast<std::size_t>(chosen)])
            chosen = static_cast<token_id>(random.below(tokens->size()));
          if (!state.accept(chosen) || !reader.read(tokens->bytes(chosen))) ++n_wrong;
        }
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  CHECK(n_wrong == 0);
}
