// SmolLM2's own vocabulary against recorded ids. Needs TROUPE_TEST_MODEL (SmolLM2-135M-Instruct.Q4_1.gguf) and
// TROUPE_SHARED/golden/tokenizer.json, and skips with a word without them.
#include "catch.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

using namespace troupe;

namespace {

/// The path, or an empty one after a word, if the variable is not set or names nothing.
std::filesystem::path path_from(const char* variable, const std::string& below = "") {
  const char* value = std::getenv(variable);
  const std::filesystem::path path = std::filesystem::path(value != nullptr ? value : "") / below;
  std::error_code ignored;
  if (value != nullptr && std::filesystem::exists(below.empty() ? value : path, ignored))
    return below.empty() ? value : path;
  WARN("skipped: " << variable << (below.empty() ? "" : "/" + below) << " is absent");
  return {};
}

}  // namespace

TEST_CASE("SmolLM2's ids are the golden ones", "[tokenizer][model]") {
  const auto model = path_from("TROUPE_TEST_MODEL");
  const auto golden = path_from("TROUPE_SHARED", "golden/tokenizer.json");
  if (model.empty() || golden.empty()) return;
  const auto file = gguf_file::open(model);
  REQUIRE(file);
  const auto made = tokenizer::from_gguf(**file);
  REQUIRE(made);
  const tokenizer& words = **made;

  const auto cases = nlohmann::json::parse(std::ifstream(golden)).at("cases");
  CHECK(cases.size() == 84);
  for (const auto& c : cases) {
    const std::string text = c.at("text");
    const std::vector<token_id> plain = c.at("ids");
    const std::vector<token_id> parsed =
        c.contains("ids_special") ? c.at("ids_special").get<std::vector<token_id>>() : plain;
    INFO("text: " << text);
    CHECK(words.encode(text, special_tokens::as_text) == plain);
    CHECK(words.encode(text, special_tokens::parse) == parsed);
    CHECK(words.decode(plain, false) == text);
    CHECK(words.decode(parsed, true) == text);
  }

  CHECK(words.vocabulary_size() == 49152);
  CHECK(words.find("<|im_start|>") == 1);
  CHECK(words.bos() == 1);
  CHECK(words.eos() == 2);
  CHECK_FALSE(words.adds_bos());
  CHECK(words.is_end(0));  // <|endoftext|>
  CHECK(words.is_end(2));  // <|im_end|>
  CHECK_FALSE(words.is_end(1));
}
