#include "runtime/tokenizer/word_splitter.hpp"

#include "base/random.hpp"
#include "base/utf8.hpp"
#include "catch.hpp"

#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

using namespace troupe;

namespace {

using words = std::vector<std::string>;

words split(std::string_view text, word_pattern pattern = word_pattern::smollm) {
  word_splitter splitter(text, pattern);
  words out;
  for (auto word = splitter.next(); !word.empty(); word = splitter.next())
    out.emplace_back(word);
  return out;
}

struct symbol {
  std::string_view bytes;
  character_class kind;
};

std::vector<symbol> symbols_of(std::string_view text) {
  std::vector<symbol> out;
  while (!text.empty()) {
    const auto c = decode_utf8(text);
    out.push_back({text.substr(0, c.length), c.valid ? classify(c.code_point) : character_class::other});
    text.remove_prefix(c.length);
  }
  return out;
}

// GPT-2's pattern, alternative after alternative as a regular expression engine tries them, on symbols [from, to)
// alone.
std::size_t match(const std::vector<symbol>& s, std::size_t from, std::size_t to) {
  for (const std::string_view contraction : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    std::size_t n = 0;
    while (n < contraction.size() && from + n < to && s[from + n].bytes == contraction.substr(n, 1))
      ++n;
    if (n == contraction.size()) return from + n;
  }
  for (const auto kind : {character_class::letter, character_class::number, character_class::other}) {
    std::size_t at = from + (s[from].bytes == " " ? 1 : 0);
    const std::size_t start = at;
    while (at < to && s[at].kind == kind)
      ++at;
    if (at > start) return at;
  }
  std::size_t end = from;
  while (end < to && s[end].kind == character_class::space)
    ++end;
  for (std::size_t last = end; last > from; --last)
    if (last == to || s[last].kind == character_class::space) return last;
  return end;
}

/// The pattern "qwen2", alternative after alternative, each greedy and giving back what it must.
class qwen2_matcher {
 public:
  explicit qwen2_matcher(const std::vector<symbol>& s) : s_(s) {}

  std::size_t match(std::size_t from) const {
    for (const std::string_view contraction : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
      std::size_t n = 0;
      while (n < contraction.size() && from + n < s_.size() && s_[from + n].bytes.size() == 1 &&
             std::tolower(static_cast<unsigned char>(s_[from + n].bytes[0])) == contraction[n])
        ++n;
      if (n == contraction.size()) return from + n;
    }
    for (const std::size_t taken : {1, 0}) {  // [^\r\n\p{L}\p{N}]?\p{L}+
      if (taken == 1 && (is_break(from) || is(from, character_class::letter) || is(from, character_class::number)))
        continue;
      if (const std::size_t end = run(from + taken, character_class::letter); end > from + taken) return end;
    }
    if (is(from, character_class::number)) return from + 1;
    const std::size_t start = from + (s_[from].bytes == " " ? 1 : 0);
    if (std::size_t end = run(start, character_class::other); end > start) {
      while (is_break(end))
        ++end;
      return end;
    }
    const std::size_t spaces = run(from, character_class::space);
    for (std::size_t end = spaces; end > from; --end)
      if (is_break(end - 1)) return end;
    for (std::size_t end = spaces; end > from; --end)
      if (end == s_.size() || is(end, character_class::space)) return end;
    return spaces;
  }

 private:
  bool is(std::size_t at, character_class kind) const { return at < s_.size() && s_[at].kind == kind; }
  bool is_break(std::size_t at) const { return at < s_.size() && (s_[at].bytes == "\n" || s_[at].bytes == "\r"); }
  std::size_t run(std::size_t from, character_class kind) const {
    while (is(from, kind))
      ++from;
    return from;
  }

  const std::vector<symbol>& s_;
};

words split_by_qwen2(std::string_view text) {
  const auto s = symbols_of(text);
  words out;
  for (std::size_t from = 0; from < s.size();) {
    const std::size_t end = qwen2_matcher(s).match(from);
    out.emplace_back();
    for (; from < end; ++from)
      out.back() += s[from].bytes;
  }
  return out;
}

words split_by_pattern(std::string_view text) {
  const auto s = symbols_of(text);
  words out;
  for (std::size_t from = 0; from < s.size();) {
    std::size_t to = from;
    while (to < s.size() && s[to].kind != character_class::number)
      ++to;
    if (to == from) to = from + 1;
    for (; from < to;) {
      const std::size_t end = match(s, from, to);
      out.emplace_back();
      for (; from < end; ++from)
        out.back() += s[from].bytes;
    }
  }
  return out;
}

}  // namespace

TEST_CASE("words are cut as GPT-2 cuts them, with digits alone", "[tokenizer]") {
  CHECK(split("") == words{});
  CHECK(split("Hello world") == words{"Hello", " world"});
  CHECK(split("hello   world  ") == words{"hello", "  ", " world", "  "});
  CHECK(split("a\n\n b") == words{"a", "\n\n", " b"});
  CHECK(split("a\n\nb") == words{"a", "\n", "\n", "b"});
  CHECK(split("a\nb") == words{"a", "\n", "b"});
  CHECK(split("a \tb") == words{"a", " ", "\t", "b"});
  CHECK(split(" !?x") == words{" !?", "x"});
  CHECK(split("I'm they'll DON'T 's ''s") == words{"I", "'m", " they", "'ll", " DON", "'", "T", " '", "s", " ''", "s"});
  CHECK(split("'really") == words{"'re", "ally"});
}

TEST_CASE("a number is a word of its own, and nothing sees across it", "[tokenizer]") {
  CHECK(split("12") == words{"1", "2"});
  CHECK(split("a 1") == words{"a", " ", "1"});
  CHECK(split("a  7") == words{"a", "  ", "7"});
  CHECK(split(" \n 7") == words{" \n ", "7"});
  CHECK(split("7  a") == words{"7", " ", " a"});
  CHECK(split("1's") == words{"1", "'s"});
  CHECK(split("½ ²Ⅷ٣४") == words{"½", " ", "²", "Ⅷ", "٣", "४"});
}

TEST_CASE("characters past ASCII have their Unicode class", "[tokenizer]") {
  CHECK(split("café naïve") == words{"café", " naïve"});
  CHECK(split("你好，世界") == words{"你好", "，", "世界"});
  CHECK(split("e\u0301x") == words{"e", "\u0301", "x"});  // a combining mark is neither letter nor space
  CHECK(split("a\u3000\u3000b") == words{"a", "\u3000", "\u3000", "b"});
  CHECK(split("a\u00A0b\u2028") == words{"a", "\u00A0", "b", "\u2028"});
  CHECK(split("a\u200Bb") == words{"a", "\u200B", "b"});
  CHECK(split("a \xFF\xC3 b") == words{"a", " \xFF\xC3", " b"});  // broken bytes are "other"

  CHECK(classify(0x85) == character_class::space);
  CHECK(classify(0xAA) == character_class::letter);
  CHECK(classify(0x3007) == character_class::number);
  CHECK(classify(0x10FFFF) == character_class::other);
  CHECK(classify(0xFFFFFFFF) == character_class::other);
}

TEST_CASE("the table of classes is sorted and disjoint", "[tokenizer]") {
  char32_t past = 0x80;
  for (const auto& range : unicode_ranges()) {
    if (range.first < past || range.last < range.first) FAIL("range of U+" << std::uint32_t(range.first));
    past = range.last + 1;
  }
  CHECK(past <= 0x110000);
}

TEST_CASE("words as Qwen cuts them", "[tokenizer]") {
  const auto cut = [](std::string_view text) { return split(text, word_pattern::qwen2); };
  CHECK(cut("Hello world  2024!") == words{"Hello", " world", " ", " ", "2", "0", "2", "4", "!"});
  CHECK(cut("I'M they'Ll 'sx") == words{"I", "'M", " they", "'Ll", " '", "sx"});
  CHECK(cut("a.b (c)\n\n d\t\te") == words{"a", ".b", " (", "c", ")\n\n", " d", "\t", "\te"});
  CHECK(cut("x  \n  y \r\n") == words{"x", "  \n", " ", " y", " \r\n"});
  CHECK(cut("  ") == words{"  "});
}

TEST_CASE("the splitter agrees with its patterns on random texts", "[tokenizer]") {
  const std::vector<std::string> pieces = {
      "\r", "S",  "a", "Z", "s",      "t",      "re",     "ll",     "'",      "1",    "9",        " ", " ",
      "\n", "\t", "!", "-", "\u00E9", "\u3000", "\u00A0", "\u0301", "\u0663", "\xFF", "\xE4\xB8", "世"};
  random_stream random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (auto n = random.below(12); n > 0; --n)
      text += pieces[random.below(pieces.size())];
    for (const auto pattern : {word_pattern::smollm, word_pattern::qwen2}) {
      const auto ours = split(text, pattern);
      const auto theirs = pattern == word_pattern::smollm ? split_by_pattern(text) : split_by_qwen2(text);
      if (ours != theirs) FAIL("differs on: " << repair_utf8(text));
      std::string joined;
      for (const auto& word : ours)
        joined += word;
      if (joined != text) FAIL("lost bytes of: " << repair_utf8(text));
    }
  }
}
