// The tokenizer of SentencePiece vocabularies on a small one: what merges, what falls back to bytes, and that the way
// back gives the text.
#include "base/random.hpp"
#include "base/utf8.hpp"
#include "catch.hpp"
#include "runtime/tokenizer/stream_decoder.hpp"
#include "vocabulary_file.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>

using namespace troupe;

namespace {

using ids = std::vector<token_id>;

constexpr std::int32_t normal = 1, control = 3, user_defined = 4, byte = 6;
constexpr const char* space = "\u2581";

struct entry {
  std::string text;
  std::int32_t kind;
  float score;
};

constexpr token_id first_byte = 7;  // the token of byte b is first_byte + b

/// Control tokens 0 to 4, user-defined ones 5 and 6, the bytes, then pieces, the earlier the higher their score.
std::vector<entry> entries() {
  std::vector<entry> all = {{"<pad>", control, 0},         {"<bos>", control, 0}, {"<eos>", control, 0},
                            {"<end_of_turn>", control, 0}, {"ab", control, 0},    {"\n\n", user_defined, -1000},
                            {"  ", user_defined, -1000}};
  for (int b = 0; b < 256; ++b) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", b);
    all.push_back({name, byte, 0});
  }
  float score = -1;
  for (const std::string piece :
       {"he", "ll", "hell", "hello", "_w", "or", "_wor", "ld", "_world", "el", "aa", "aaa", "é", "éé",
        "_",  "h",  "e",    "l",     "o",  "w",  "r",    "d",  "a",      "b",  "x",  ".",   "\n"}) {
    std::string text;
    for (const char c : piece)
      c == '_' ? text += space : text += c;
    all.push_back({text, normal, score--});
  }
  return all;
}

test::vocabulary_file small_file() {
  test::vocabulary_file file;
  file.strings["tokenizer.ggml.model"] = "llama";
  for (const entry& e : entries()) {
    file.string_arrays["tokenizer.ggml.tokens"].push_back(e.text);
    file.int_arrays["tokenizer.ggml.token_type"].push_back(e.kind);
    file.float_arrays["tokenizer.ggml.scores"].push_back(e.score);
  }
  file.uints["tokenizer.ggml.bos_token_id"] = 1;
  file.uints["tokenizer.ggml.eos_token_id"] = 2;
  file.bools["tokenizer.ggml.add_space_prefix"] = false;
  return file;
}

std::shared_ptr<const tokenizer> small() {
  auto made = small_file().read();
  REQUIRE(made);
  return *std::move(made);
}

token_id piece(const std::string& text) {
  const auto all = entries();
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i].text == text) return static_cast<token_id>(i);
  FAIL("no such piece: " << text);
  return -1;
}

/// The definition: characters, then again and again the best pair of neighbours, the leftmost of equals.
ids merged_naively(const std::string& text) {
  std::vector<std::string> parts;
  for (std::string_view rest = text; !rest.empty();) {
    const auto c = decode_utf8(rest);
    parts.emplace_back(rest.substr(0, c.length));
    rest.remove_prefix(c.length);
    if (parts.back() == " ") parts.back() = space;
  }
  const auto all = entries();
  const auto find = [&](const std::string& part) {
    return std::find_if(all.begin(), all.end(),
                        [&](const entry& e) { return e.text == part && (e.kind == normal || e.text == "\n\n"); });
  };
  while (true) {
    std::size_t best = parts.size();
    float best_score = -std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = find(parts[i] + parts[i + 1]);
      if (found == all.end() || found->score <= best_score) continue;
      best = i;
      best_score = found->score;
    }
    if (best == parts.size()) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  ids out;
  for (const std::string& part : parts) {
    const auto found = find(part);
    if (found != all.end()) {
      out.push_back(static_cast<token_id>(found - all.begin()));
      continue;
    }
    for (const char c : part)
      out.push_back(first_byte + static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace

TEST_CASE("the pair of the highest score joins first", "[sentencepiece]") {
  const auto words = small();
  const auto encode = [&](std::string_view text) { return words->encode(text, special_tokens::as_text); };
  CHECK(encode("hello world") == ids{piece("hello"), piece(std::string(space) + "world")});
  CHECK(encode("helo") == ids{piece("he"), piece("l"), piece("o")});  // "he" before "el"
  CHECK(encode("aaaa") == ids{piece("aa"), piece("aa")});             // the leftmost of equals, twice
  CHECK(encode("aaa") == ids{piece("aaa")});
  CHECK(encode("") == ids{});
}

TEST_CASE("what is no piece comes out as its bytes", "[sentencepiece]") {
  const auto words = small();
  const auto encode = [&](std::string_view text) { return words->encode(text, special_tokens::as_text); };
  CHECK(encode("世") == ids{first_byte + 0xE4, first_byte + 0xB8, first_byte + 0x96});
  CHECK(encode("\xFFx") == ids{first_byte + 0xFF, first_byte + 'x'});  // claims four bytes and has two
  CHECK(encode("zx") == ids{first_byte + 'z', piece("x")});
  CHECK(words->token_bytes(first_byte + 0xE4) == "\xE4");
  stream_decoder decoder;
  CHECK(decoder.push(words->token_bytes(first_byte + 0xE4)).empty());
  CHECK(decoder.push(words->token_bytes(first_byte + 0xB8)).empty());
  CHECK(decoder.push(words->token_bytes(first_byte + 0x96)) == "世");
}

TEST_CASE("special tokens stand by themselves, and text never becomes a control token", "[sentencepiece]") {
  const auto words = small();
  CHECK(words->encode("a\n\nb", special_tokens::as_text) == ids{piece("a"), 5, piece("b")});
  CHECK(words->encode("a    b", special_tokens::as_text) == ids{piece("a"), 6, 6, piece("b")});
  CHECK(words->encode("he<eos>", special_tokens::parse) == ids{piece("he"), 2});
  const ids spelled = words->encode("he<eos>", special_tokens::as_text);
  CHECK(std::find(spelled.begin(), spelled.end(), 2) == spelled.end());
  CHECK(words->encode("ab", special_tokens::as_text) == ids{piece("a"), piece("b")});  // llama.cpp would give token 4
  CHECK(words->is_end(3));                                                             // <end_of_turn>
  CHECK(words->encode_prompt("he", special_tokens::as_text) == ids{1, piece("he")});
  CHECK(words->adds_bos());  // the default of this kind
  CHECK(words->decode({1, piece("he"), 2}, false) == "he");
  CHECK(words->decode({1, piece("he"), 2}, true) == "<bos>he<eos>");
}

TEST_CASE("a space in front, where the file asks for one", "[sentencepiece]") {
  auto file = small_file();
  file.bools["tokenizer.ggml.add_space_prefix"] = true;
  const auto words = *file.read();
  const token_id world = piece(std::string(space) + "world");
  CHECK(words->encode("world", special_tokens::as_text) == ids{world});
  CHECK(words->encode("<bos>world<eos>", special_tokens::parse) == ids{1, world, 2});
  file.bools.erase("tokenizer.ggml.add_space_prefix");  // the default of this kind
  CHECK((*file.read())->encode("world", special_tokens::as_text) == ids{world});
}

TEST_CASE("merging equals its definition and decoding gives the text back", "[sentencepiece]") {
  const auto words = small();
  random_stream random(9);
  const std::vector<std::string> parts = {"h", "e", "l", "o", " w", "or", "ld", "a", "aa", "é", "世", "x.", "\n", " h"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto n = random.below(16); n > 0; --n)
      text += parts[random.below(parts.size())];
    if (text.find("\n\n") != std::string::npos || text.find("  ") != std::string::npos) continue;
    CAPTURE(text);
    const ids encoded = words->encode(text, special_tokens::as_text);
    REQUIRE(encoded == merged_naively(text));
    REQUIRE(words->decode(encoded, false) == text);
    stream_decoder decoder;
    std::string streamed;
    for (const token_id id : encoded)
      streamed += decoder.push(words->token_bytes(id));
    REQUIRE(streamed + decoder.finish() == text);
  }
}

TEST_CASE("SentencePiece vocabularies that are not whole are refused by name", "[sentencepiece]") {
  const auto refused = [](const auto& change, const std::string& named) {
    auto file = small_file();
    change(file);
    const auto made = file.read();
    REQUIRE_FALSE(made);
    INFO(made.error().message);
    CHECK(made.error().message.find(named) != std::string::npos);
  };
  refused([](auto& f) { f.float_arrays.clear(); }, "tokenizer.ggml.scores");
  refused([](auto& f) { f.float_arrays["tokenizer.ggml.scores"].pop_back(); }, "tokenizer.ggml.scores");
  refused([](auto& f) { f.string_arrays["tokenizer.ggml.tokens"][first_byte] = "<0xZZ>"; }, "<0xZZ>");
  refused([](auto& f) { f.string_arrays["tokenizer.ggml.tokens"].back() = "h"; }, "repeats entry");
  auto file = small_file();
  file.float_arrays["tokenizer.ggml.scores"].back() = std::numeric_limits<float>::quiet_NaN();
  CHECK(file.read());
}
