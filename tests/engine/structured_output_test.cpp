// 1,000 answers of the real model to 50 JSON schemas, 16 at a time, with just enough room and with plenty, greedy and
// at temperature 1: each is whole, is JSON, and satisfies its schema by another library's word.
#include "engine_harness.hpp"
#include "json_validator.hpp"
#include "schema_cases.hpp"

#include <chrono>
#include <cstdlib>
#include <iostream>

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr std::uint64_t n_seeds = 20;
constexpr std::size_t n_together = 16;
constexpr std::uint32_t plenty = 200;  // tokens

struct answer {
  const schema_case* wanted;
  std::uint32_t max_tokens;
  sequence_id id;
};

/// Half of the answers have hardly more room than the shortest text, a tenth has plenty.
std::uint32_t room(const schema_case& wanted, std::uint64_t seed) {
  const auto kind = static_cast<std::uint32_t>(seed % 10);
  if (kind < 5) return wanted.shortest_bytes + 2 * kind;
  return kind < 9 ? wanted.shortest_bytes + 32 : std::max(plenty, wanted.shortest_bytes);
}

generation_request make_request(const tokenizer& vocabulary, const schema_case& wanted, std::uint64_t seed) {
  constexpr std::string_view wishes[] = {"Give an example of ", "Invent ", "Write as JSON: ", "Describe "};
  generation_request request;
  const std::string text = "Question: " + std::string(wishes[seed % 4]) + wanted.name + ".\nAnswer: ";
  request.prompt = vocabulary.encode(text, special_tokens::as_text);
  request.sampling.max_tokens = room(wanted, seed);
  request.sampling.temperature = seed % 4 == 0 ? 0.0f : 1.0f;
  request.sampling.seed = seed;
  request.sampling.grammar = {grammar_kind::json_schema, wanted.source};
  return request;
}

/// Every schema with every seed; a new sequence begins when one ends.
std::vector<answer> run_all(tiny_engine& engine, const std::vector<schema_case>& cases) {
  std::vector<answer> answers;
  for (std::size_t next = 0; next < cases.size() * n_seeds || !engine->sequences().empty();) {
    while (next < cases.size() * n_seeds && engine->sequences().size() < n_together) {
      const auto& wanted = cases[next / n_seeds];
      auto request = make_request(engine.vocabulary(), wanted, next % n_seeds);
      const std::uint32_t max_tokens = request.sampling.max_tokens;
      answers.push_back({&wanted, max_tokens, engine.add(std::move(request))});
      ++next;
    }
    step_plan plan;
    for (const auto& s : engine->sequences())
      plan.grants.push_back({s.id, 64});
    engine.step(plan);
  }
  return answers;
}

}  // namespace

TEST_CASE("1,000 answers to 50 JSON schemas", "[engine][grammar][schema][real]") {
  const char* model = std::getenv("TROUPE_TEST_MODEL");
  const auto cases = read_schema_cases();
  if (model == nullptr || *model == '\0' || cases.empty()) {
    std::cout << "skipped: needs TROUPE_TEST_MODEL and TROUPE_TEST_DATA\n";
    return;
  }
  if (!test::has_json_validator()) std::cout << "not compared with valijson, which is not installed\n";
  tiny_engine engine({}, std::filesystem::path(model));
  const auto start = std::chrono::steady_clock::now();
  const auto answers = run_all(engine, cases);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;

  std::size_t n_tokens = 0, n_to_the_last = 0, n_right = 0;
  for (const auto& one : answers) {
    const stream& got = engine.of(one.id);
    INFO(one.wanted->name << ", at most " << one.max_tokens << " tokens: " << got.text());
    const std::string fault = fault_of(*one.wanted, got.text());
    CHECK(fault == "");
    CHECK(got.reason == finish_reason::stop);
    CHECK(got.tokens.size() <= one.max_tokens);
    n_tokens += got.tokens.size();
    n_to_the_last += got.tokens.size() == one.max_tokens ? 1 : 0;
    n_right += fault.empty() && got.reason == finish_reason::stop ? 1 : 0;
  }
  CHECK(answers.size() == 1000);
  CHECK(n_tokens > 10'000);
  std::cout << n_right << " of " << answers.size() << " answers are whole and valid: " << n_tokens << " tokens, "
            << n_to_the_last << " answers up to the last token allowed, " << took.count() << " s\n";
}
