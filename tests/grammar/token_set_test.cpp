#include "runtime/grammar/token_set.hpp"

#include "catch.hpp"
#include "grammar/reading.hpp"

#include <algorithm>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("the trie holds each text token once, in order", "[grammar][token_set]") {
  const auto tokens = make_tokens({"b", "ab", "a", "", "abc", "a", "\xff", "é"});
  REQUIRE(tokens->size() == 10);
  CHECK(tokens->mask_words() == 1);
  CHECK(tokens->max_bytes() == 3);
  std::vector<std::string> in_trie;
  std::string path;
  for (const auto& node : tokens->nodes()) {
    path.resize(node.depth - 1u);
    path += static_cast<char>(node.byte);
    for (std::uint32_t t = 0; t < node.n_tokens; ++t) {
      CHECK(tokens->bytes(tokens->sorted()[node.first_token + t]) == path);
      in_trie.push_back(path);
    }
  }
  CHECK(in_trie == std::vector<std::string>{"a", "a", "ab", "abc", "b", "é", "\xff"});
  const auto& root_a = tokens->nodes()[0];
  CHECK(root_a.subtree_tokens == 4);
  CHECK(root_a.end == 3);
  CHECK(tokens->is_end(0));
  CHECK(!tokens->is_text(1));
  CHECK(!tokens->is_text(5));
}

TEST_CASE("a vocabulary is refused when its ends are outside it", "[grammar][token_set]") {
  const std::vector<std::string_view> texts{"a", "b"};
  const std::vector<token_id> ends{2};
  const auto made = token_set::build(texts, ends, [](token_id) { return false; });
  REQUIRE(!made);
  CHECK(made.error().code == errc::invalid_argument);
  CHECK(!token_set::build({}, {}, [](token_id) { return false; }));
}
