#include "runtime/sampling/token_text.hpp"

#include "base/random.hpp"
#include "catch.hpp"

#include <array>

using namespace troupe;

namespace {

// A vocabulary of pieces that split characters and stop strings; the last is a control token.
class piece_tokenizer final : public tokenizer {
 public:
  std::string_view token_bytes(token_id id) const override {
    return id < 0 || static_cast<std::size_t>(id) >= pieces.size() ? std::string_view{}
                                                                   : pieces[static_cast<std::size_t>(id)];
  }
  bool is_control(token_id id) const override { return id == 8; }
  bool is_end(token_id id) const override { return id == 8; }
  std::uint32_t vocabulary_size() const override { return pieces.size(); }
  // What text assembly has no use for.
  std::vector<token_id> encode(std::string_view, special_tokens) const override { return {}; }
  std::optional<token_place> find_control(std::string_view) const override { return std::nullopt; }
  std::string decode(const std::vector<token_id>&, bool) const override { return {}; }
  std::optional<token_id> bos() const override { return std::nullopt; }
  std::optional<token_id> eos() const override { return 8; }
  bool adds_bos() const override { return false; }
  std::optional<token_id> find(std::string_view) const override { return std::nullopt; }

  static constexpr std::array<std::string_view, 9> pieces{"a",    "ST", "OP",   "\xe6", "\x97\xa5",
                                                          " and", "S",  "TOPx", "<end>"};
};

sampling_params stopping_at(std::vector<std::string> stops) {
  sampling_params params;
  params.stop = std::move(stops);
  return params;
}

}  // namespace

TEST_CASE("text comes as whole characters and before a stop string", "[sampling][token_text]") {
  const piece_tokenizer tokens;
  token_text text(tokens, stopping_at({"STOP"}));
  CHECK(text.push(0) == "a");
  CHECK(text.push(3) == "");
  CHECK(text.push(4) == "日");
  CHECK(text.push(8) == "");  // a control token
  CHECK(text.push(1) == "");
  CHECK(text.push(5) == "ST and");
  CHECK(text.push(6) == "");
  CHECK_FALSE(text.stopped());
  CHECK(text.push(7) == "");
  CHECK(text.stopped());
  CHECK(text.finish() == "");
}

TEST_CASE("the end gives out what was held back", "[sampling][token_text]") {
  const piece_tokenizer tokens;
  token_text text(tokens, stopping_at({"STOP"}));
  CHECK(text.push(1) == "");
  CHECK(text.push(3) == "");
  CHECK(text.finish() == "ST\xef\xbf\xbd");
  CHECK_FALSE(text.stopped());
}

TEST_CASE("the first min_tokens are not searched", "[sampling][token_text]") {
  const piece_tokenizer tokens;
  auto params = stopping_at({"STOP", "a"});
  params.min_tokens = 2;
  token_text text(tokens, params);
  CHECK(text.push(0) == "a");
  CHECK(text.push(1) == "ST");
  CHECK(text.push(2) == "OP");  // its beginning was out already
  CHECK(text.push(5) == " ");
  CHECK(text.stopped());
}

TEST_CASE("a resumed stream goes on as if it had never stopped", "[sampling][token_text]") {
  const piece_tokenizer tokens;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    random_stream random(seed);
    auto params = stopping_at({"STOP", "\xe6\x97\xa5 and", "aa"});
    params.min_tokens = static_cast<std::uint32_t>(random.below(4));
    std::vector<token_id> stream(1 + random.below(12));
    for (auto& token : stream)
      token = static_cast<token_id>(random.below(9));
    const std::size_t cut = random.below(stream.size());
    CAPTURE(seed, stream, cut);

    token_text whole(tokens, params), second(tokens, params);
    std::vector<std::string> expected, got;
    for (std::size_t i = 0; i < stream.size(); ++i) {
      std::string piece = whole.push(stream[i]);
      if (i >= cut) expected.push_back(std::move(piece));
    }
    expected.push_back(whole.finish());
    second.resume(std::span(stream).first(cut));
    for (std::size_t i = cut; i < stream.size(); ++i)
      got.push_back(second.push(stream[i]));
    got.push_back(second.finish());
    CHECK(got == expected);
    CHECK(second.stopped() == whole.stopped());
  }
}
