#include "catch.hpp"
#include "runtime/tokenizer/wordpiece_tokenizer.hpp"

using namespace troupe;

namespace {

// Ids in order: 0 [PAD], 1 [UNK], 2 [CLS], 3 [SEP], 4 em, 5 ##bed, 6 ##ding, 7 ##s, 8 the, 9 ., 10 cafe, 11 中, 12 ##e,
// 13 [, 14 sep, 15 ], 16 a, 17 ##a, 18 가
constexpr const char* vocabulary =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\nem\n##bed\n##ding\n##s\nthe\n.\ncafe\n\u4e2d\n##e\n[\nsep\n]\na\n##a\n\u1100\u1161\n";

std::vector<token_id> ids(std::string_view text, std::size_t max_tokens = 1000) {
  static const auto tokenizer = wordpiece_tokenizer::from_text(vocabulary);
  REQUIRE(tokenizer);
  auto tokens = (*tokenizer)->encode(text, max_tokens);
  REQUIRE(tokens.size() >= 2);
  CHECK(tokens.front() == 2);
  CHECK((tokens.back() == 3 || tokens.size() == max_tokens + 1));
  return {tokens.begin() + 1, tokens.end() - 1};
}

using tokens = std::vector<token_id>;

}  // namespace

TEST_CASE("words become their longest pieces, from left to right", "[wordpiece]") {
  CHECK(ids("embeddings") == tokens{4, 5, 6, 7});
  CHECK(ids("The EMBED.") == tokens{8, 4, 5, 9});
  CHECK(ids("the\tthe\n  the\r") == tokens{8, 8, 8});
  CHECK(ids("") == tokens{});
  CHECK(ids("em##bed") == tokens{4, 1, 1, 1});  // the mark itself is punctuation
}

TEST_CASE("a word with an unknown part is unknown as a whole", "[wordpiece]") {
  CHECK(ids("embeddingz the") == tokens{1, 8});
  CHECK(ids("bed") == tokens{1});  // known inside of words only
  CHECK(ids("\U0001F600") == tokens{1});
  CHECK(ids("a" + std::string(99, 'a')).size() == 100);
  CHECK(ids(std::string(101, 'a')) == tokens{1});  // too long
  CHECK(ids(std::string(1000000, 'a')) == tokens{1});
}

TEST_CASE("letters lose accents and case, control characters go, ideographs and punctuation stand alone",
          "[wordpiece]") {
  CHECK(ids("Caf\u00c9") == tokens{10});
  CHECK(ids("cafe\u0301") == tokens{10});
  CHECK(ids(std::string_view("ca\0fe", 5)) == tokens{10});
  CHECK(ids("ca\u200dfe\u00ad") == tokens{10});
  CHECK(ids("the\u4e2dthe") == tokens{8, 11, 8});
  CHECK(ids("the\u3000the\u00a0the\u2028the") == tokens{8, 8, 8, 8});
  CHECK(ids("a.a\u3002a") == tokens{16, 9, 16, 1, 16});
  CHECK(ids("\uac00") == tokens{18});
  CHECK(ids("the \xff\xc3 the") == tokens{8, 8});  // no UTF-8
}

TEST_CASE("names of control tokens in a text are text", "[wordpiece]") {
  CHECK(ids("[SEP] [sep]") == tokens{13, 14, 15, 13, 14, 15});
}

TEST_CASE("a text past the limit gives one token more than it, and is not read further", "[wordpiece]") {
  std::string text;
  for (int i = 0; i < 100; ++i)
    text += "the ";
  const auto tokenizer = wordpiece_tokenizer::from_text(vocabulary);
  CHECK((*tokenizer)->encode(text, 102).size() == 102);
  CHECK((*tokenizer)->encode(text, 101).size() == 102);
  CHECK((*tokenizer)->encode(text, 10).size() == 11);
  CHECK((*tokenizer)->encode(std::string(100, '.'), 10).size() == 11);
}

TEST_CASE("vocabularies without the tokens that are needed are refused", "[wordpiece]") {
  const std::vector<std::pair<std::string, std::string>> wrong = {{"", "[UNK]"},
                                                                  {"[UNK]\n[CLS]\n", "[SEP]"},
                                                                  {"[UNK]\n[CLS]\n[SEP]\na\na\n", "line 5 twice"},
                                                                  {"[UNK]\n[CLS]\n[SEP]\n##a\n##a", "line 5 twice"}};
  for (const auto& [text, says] : wrong) {
    const auto made = wordpiece_tokenizer::from_text(text);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == errc::corrupt);
    CHECK(made.error().message.find(says) != std::string::npos);
  }
  CHECK(wordpiece_tokenizer::from_text("[UNK]\r\n[CLS]\r\n[SEP]"));
  CHECK(wordpiece_tokenizer::load("/nonexistent/vocab.txt").error().code == errc::not_found);
}
