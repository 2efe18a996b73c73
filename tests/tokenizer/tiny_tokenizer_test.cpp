// The whole tokenizer on a vocabulary of a few hundred tokens.
#include "base/random.hpp"
#include "base/utf8.hpp"
#include "catch.hpp"
#include "runtime/tokenizer/stream_decoder.hpp"
#include "vocabulary_file.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <vector>

using namespace troupe;

namespace {

using ids = std::vector<token_id>;

token_id byte(char c) {
  return test::first_byte_token + static_cast<std::uint8_t>(c);
}

// Random bytes with a liking for what is special: the texts of tokens, halves of characters, white space.
std::string random_text(random_stream& random) {
  const std::vector<std::string> pieces = {"hello",    " world", "<|im_start|>", "<|im", "<tool> call", "aaaa", "世",
                                           "\xE4\xB8", "😀",      "\xF0\x9F",     " ",    "\n",          "7"};
  std::string text;
  for (auto n = random.below(20); n > 0; --n) {
    if (random.below(2) == 0) {
      text += pieces[random.below(pieces.size())];
    } else {
      text += static_cast<char>(random.below(256));
    }
  }
  return text;
}

}  // namespace

TEST_CASE("words become tokens by their merges", "[tokenizer]") {
  const auto tiny = test::tiny_tokenizer();
  CHECK(tiny->encode("", special_tokens::parse).empty());
  CHECK(tiny->encode("hello world", special_tokens::as_text) == ids{*tiny->find("hello"), *tiny->find(" world")});
  CHECK(tiny->encode("hello world", special_tokens::as_text) ==
        ids{*tiny->find("hello"), *tiny->find(" world")});  // remembered
  CHECK(tiny->encode("help", special_tokens::as_text) == ids{*tiny->find("he"), byte('l'), byte('p')});
  CHECK(tiny->encode("7  7", special_tokens::as_text) == ids{byte('7'), *tiny->find("  "), byte('7')});
  CHECK(tiny->encode("\xFF", special_tokens::as_text) == ids{byte('\xFF')});
}

TEST_CASE("special tokens are found only where they are asked for", "[tokenizer]") {
  const auto tiny = test::tiny_tokenizer();
  const auto parse = [&](const std::string& text) { return tiny->encode(text, special_tokens::parse); };
  CHECK(parse("<|im_start|>hello<|im_end|>") == ids{1, *tiny->find("hello"), 2});
  CHECK(parse("<|im_end|><|im_end|>") == ids{2, 2});
  CHECK(parse("<<|im|>") == ids{byte('<'), 3});
  CHECK(parse("<tool> call") == ids{5});  // the longest of those that begin here
  CHECK(parse("<tool> cal") == ids{4, byte(' '), byte('c'), byte('a'), byte('l')});
  CHECK(parse("<|im_star") == tiny->encode("<|im_star", special_tokens::as_text));
  CHECK(parse("a 7<|im|>  ") == ids{byte('a'), byte(' '), byte('7'), 3, *tiny->find("  ")});

  const auto as_text = tiny->encode("<|im_start|>", special_tokens::as_text);
  CHECK(as_text.size() == 12);
  for (const token_id id : as_text)
    CHECK_FALSE(tiny->is_control(id));
  CHECK(tiny->encode("<tool>", special_tokens::as_text) == ids{*tiny->find("<tool>")});  // user-defined: always a token
  CHECK(tiny->find_control("a <tool> 7<|im_start|>")->position == 10);
  CHECK_FALSE(tiny->find_control("a <tool> <|im"));
}

TEST_CASE("tokens know their bytes and roles", "[tokenizer]") {
  const auto tiny = test::tiny_tokenizer();
  CHECK(tiny->vocabulary_size() == 274);
  CHECK(tiny->token_bytes(1) == "<|im_start|>");
  CHECK(tiny->token_bytes(byte(' ')) == " ");
  CHECK(tiny->token_bytes(*tiny->find(" world")) == " world");
  for (const token_id outside : {-1, 274, std::numeric_limits<token_id>::max(), std::numeric_limits<token_id>::min()}) {
    CHECK(tiny->token_bytes(outside).empty());
    CHECK_FALSE(tiny->is_control(outside));
    CHECK_FALSE(tiny->is_end(outside));
  }
  CHECK(tiny->find("<|im_end|>") == 2);
  CHECK(tiny->find("nothing") == std::nullopt);
  CHECK(tiny->find("") == std::nullopt);
  CHECK(tiny->bos() == 1);
  CHECK(tiny->eos() == 2);
  CHECK_FALSE(tiny->adds_bos());
  CHECK(tiny->is_end(0));  // <|endoftext|>, by name
  CHECK(tiny->is_end(2));
  CHECK_FALSE(tiny->is_end(1));
  CHECK_FALSE(tiny->is_end(byte('a')));
  CHECK(tiny->is_control(3));
  CHECK_FALSE(tiny->is_control(4));  // a user-defined token is text
  CHECK(tiny->decode({1, *tiny->find("hello"), 4, 2, -1, 999}, false) == "hello<tool>");
  CHECK(tiny->decode({1, *tiny->find("hello"), 2}, true) == "<|im_start|>hello<|im_end|>");
}

TEST_CASE("a file may name its own ends, or none", "[tokenizer]") {
  auto file = test::tiny_vocabulary();
  file.uints["tokenizer.ggml.eot_token_id"] = 3;
  file.bools["tokenizer.ggml.add_bos_token"] = true;
  const auto named = *file.read();
  CHECK(named->is_end(3));
  CHECK(named->adds_bos());

  file.uints.clear();
  file.bools.clear();
  file.int_arrays["tokenizer.ggml.token_type"][2] = 4;  // "<|im_end|>" as a user's text is no end
  const auto nameless = *file.read();
  CHECK(nameless->bos() == std::nullopt);
  CHECK(nameless->eos() == std::nullopt);
  CHECK_FALSE(nameless->is_end(2));
  CHECK(nameless->is_end(0));
}

TEST_CASE("a token whose bytes merge into others is never made", "[tokenizer]") {
  auto file = test::tiny_vocabulary();
  file.string_arrays["tokenizer.ggml.tokens"].push_back("hellor");  // no merge makes it
  file.int_arrays["tokenizer.ggml.token_type"].push_back(1);
  const auto words = *file.read();
  for (int round = 0; round < 3; ++round)
    CHECK(words->encode("hellor", special_tokens::as_text) == ids{*words->find("hello"), byte('r')});
}

TEST_CASE("any bytes survive encoding and decoding", "[tokenizer]") {
  const auto tiny = test::tiny_tokenizer();
  random_stream random(3);
  for (int round = 0; round < 20'000; ++round) {
    const std::string text = random_text(random);
    for (const auto mode : {special_tokens::as_text, special_tokens::parse})
      if (tiny->decode(tiny->encode(text, mode), true) != text) FAIL("lost: " << repair_utf8(text));
  }
}

TEST_CASE("a byte without a token is left out and its neighbours meet", "[tokenizer]") {
  auto file = test::tiny_vocabulary();
  file.int_arrays["tokenizer.ggml.token_type"][static_cast<std::size_t>(byte('\x04'))] = 5;  // unused
  const auto words = *file.read();
  CHECK(words->encode("\x04\x04", special_tokens::as_text).empty());
  CHECK(words->encode("\xE9\x04\xE9", special_tokens::as_text) == ids{byte('\xE9'), byte('\xE9')});
}

TEST_CASE("a stream decodes to the repaired whole, in whole characters", "[tokenizer]") {
  const auto tiny = test::tiny_tokenizer();
  random_stream random(5);
  for (int round = 0; round < 20'000; ++round) {
    const std::string text = random_text(random);
    stream_decoder decoder;
    std::string streamed;
    for (const token_id id : tiny->encode(text, special_tokens::as_text)) {
      const std::string more = decoder.push(tiny->token_bytes(id));
      if (find_invalid_utf8(more) != std::string::npos) FAIL("a broken character in: " << repair_utf8(text));
      streamed += more;
    }
    streamed += decoder.finish();
    if (streamed != repair_utf8(text)) FAIL("streamed differently: " << repair_utf8(text));
  }
}

TEST_CASE("a stream holds back only what may still become a character", "[tokenizer]") {
  stream_decoder decoder;
  CHECK(decoder.push("a\xF0\x9F") == "a");
  CHECK(decoder.push("\x98") == "");
  CHECK(decoder.push("\x80z") == "😀z");
  CHECK(decoder.push("\xE4") == "");
  CHECK(decoder.push("b") ==
        "\uFFFD"
        "b");
  CHECK(decoder.push("\xE4\xB8") == "");
  CHECK(decoder.finish() == "\uFFFD");
  CHECK(decoder.finish() == "");
  CHECK(decoder.push("ok") == "ok");  // usable again
}

TEST_CASE("threads share a tokenizer", "[tokenizer]") {
  const auto tiny = test::tiny_tokenizer();
  const std::string text = "hello world, <|im_start|>aaaaaaaa help  7 hellor";
  const auto expected = test::tiny_tokenizer()->encode(text, special_tokens::parse);
  std::vector<std::thread> threads;
  std::vector<int> same(4, 0);
  for (auto& count : same)
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i)
        count += tiny->encode(text, special_tokens::parse) == expected;
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(same == std::vector<int>(4, 500));
}
