#include "runtime/tokenizer/word_merger.hpp"

#include "base/random.hpp"
#include "catch.hpp"
#include "gguf/raw_gguf.hpp"
#include "vocabulary_file.hpp"

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

using namespace troupe;

namespace {

// A vocabulary over the letters a to d (and not e), grown by random merges.
struct random_vocabulary {
  std::vector<std::string> tokens = {"a", "b", "c", "d"};
  std::vector<std::string> merges;

  random_vocabulary(std::uint64_t seed, std::size_t n_merges) {
    random_stream random(seed);
    std::set<std::string> known(tokens.begin(), tokens.end());
    while (merges.size() < n_merges) {
      const std::string left = tokens[random.below(tokens.size())];
      const std::string right = tokens[random.below(tokens.size())];
      if (left.size() + right.size() > 12 || !known.insert(left + right).second) continue;
      merges.push_back(left + " " + right);
      tokens.push_back(left + right);
    }
  }

  vocabulary words() const {
    const auto file = written(tokens);
    return *vocabulary::read({file.bytes().data() + gguf::header_bytes, tokens.size()},
                             std::vector<std::int32_t>(tokens.size(), 1));
  }
  merge_table table(const vocabulary& words) const {
    const auto file = written(merges);
    return *merge_table::read({file.bytes().data() + gguf::header_bytes, merges.size()}, words);
  }

 private:
  static test::raw_gguf written(const std::vector<std::string>& strings) {
    test::raw_gguf file(0, 0);
    for (const std::string& text : strings)
      file.string(text);
    return file;
  }
};

// The definition: rank after rank, join the leftmost pair that has it, and start again.
std::vector<std::string> merge_by_definition(const random_vocabulary& v, std::string_view word) {
  std::vector<std::string> parts;
  for (const char c : word)
    if (c != 'e') parts.emplace_back(1, c);
  const auto join_first = [&](const std::string& merge) {
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      if (parts[i] + " " + parts[i + 1] != merge) continue;
      parts[i] += parts[i + 1];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      return true;
    }
    return false;
  };
  for (bool joined = true; joined;) {
    joined = false;
    for (std::size_t rank = 0; rank < v.merges.size() && !joined; ++rank)
      joined = join_first(v.merges[rank]);
  }
  return parts;
}

}  // namespace

TEST_CASE("short and long words merge as the definition says", "[tokenizer]") {
  random_stream random(11);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const random_vocabulary v(seed, 40);
    const vocabulary words = v.words();
    const merge_table merges = v.table(words);
    word_merger merger(words, merges);
    for (const std::size_t length : {0, 1, 2, 3, 7, 20, 63, 64, 65, 66, 150}) {
      std::string word;
      for (std::size_t i = 0; i < length; ++i)
        word += "abcde"[random.below(5)];
      std::vector<token_id> ids;
      merger.merge(word, ids);
      std::vector<std::string> parts;
      for (const token_id id : ids)
        parts.emplace_back(words.bytes(id));
      if (parts != merge_by_definition(v, word)) FAIL("seed " << seed << ", word " << word);
    }
  }
}

TEST_CASE("equal pairs merge from the left", "[tokenizer]") {
  const auto tiny = test::tiny_tokenizer();
  const token_id a = test::first_byte_token + 'a';
  CHECK(tiny->encode("aaa", special_tokens::as_text) == std::vector<token_id>{*tiny->find("aa"), a});
  CHECK(tiny->encode("aaaaaaa", special_tokens::as_text) ==
        std::vector<token_id>{*tiny->find("aaaa"), *tiny->find("aa"), a});
}

TEST_CASE("a word of a megabyte does not take quadratic time", "[tokenizer]") {
  const auto tiny = test::tiny_tokenizer();
  const auto ids = tiny->encode(std::string(1'000'000, 'a'), special_tokens::as_text);  // minutes, were it quadratic
  CHECK(ids == std::vector<token_id>(250'000, *tiny->find("aaaa")));
}
