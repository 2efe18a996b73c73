// Answers held to a grammar: whole texts in whatever room there is, the same tokens in every company.
#include "engine_harness.hpp"
#include "runtime/engine/grammar_constraint.hpp"

#include <nlohmann/json.hpp>

using namespace troupe;
using namespace troupe::testing;
using json = nlohmann::json;

namespace {

const std::string person = R"({
  "type": "object",
  "properties": {
    "name": {"type": "string", "minLength": 1, "maxLength": 20},
    "age": {"type": "integer", "minimum": 0, "maximum": 120},
    "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}}
  },
  "required": ["name", "age", "tags"]
})";

generation_request person_request(std::uint64_t seed, std::uint32_t max_tokens) {
  auto request = random_request(seed, 10 + seed % 20, max_tokens);
  request.sampling.temperature = seed % 2 ? 1.0f : 0.0f;
  request.sampling.grammar = {grammar_kind::json_schema, person};
  request.sampling.ignore_eos = false;
  return request;
}

bool is_person(const std::string& text) {
  const json value = json::parse(text, nullptr, false);
  if (!value.is_object() || value.size() != 3) return false;
  const json& name = value.value("name", json());
  const json& age = value.value("age", json());
  const json& tags = value.value("tags", json());
  if (!name.is_string() || name.get<std::string>().empty()) return false;
  if (!age.is_number_integer() || age < 0 || age > 120 || !tags.is_array()) return false;
  return std::all_of(tags.begin(), tags.end(),
                     [](const json& tag) { return tag == "red" || tag == "green" || tag == "blue"; });
}

std::shared_ptr<grammar_matcher> matcher_of(std::string_view gbnf, const std::vector<std::string_view>& tokens,
                                            token_id end) {
  const auto compiled = compile_gbnf(gbnf);
  REQUIRE(compiled);
  const auto set = token_set::build(tokens, std::span(&end, 1), [](token_id) { return false; });
  REQUIRE(set);
  return std::make_shared<grammar_matcher>(*compiled, *set);
}

}  // namespace

TEST_CASE("an answer is a whole text of its schema, however little room it has", "[engine][grammar]") {
  tiny_engine engine;
  const std::size_t shortest = std::string(R"({"name":"a","age":0,"tags":[]})").size();
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto max_tokens = static_cast<std::uint32_t>(shortest + seed);
    const stream s = engine.run_alone(person_request(seed, max_tokens));
    INFO(seed << ": " << s.text());
    CHECK(s.reason == finish_reason::stop);
    CHECK(s.tokens.size() <= max_tokens);
    CHECK(is_person(s.text()));
  }
}

TEST_CASE("too little room cuts the text, and says so", "[engine][grammar]") {
  tiny_engine engine;
  const stream s = engine.run_alone(person_request(3, 5));
  CHECK(s.reason == finish_reason::length);
  CHECK(s.tokens.size() == 5);
}

TEST_CASE("an answer ends where its grammar does, with or without an end token", "[engine][grammar]") {
  tiny_engine engine;
  for (const bool ignore_eos : {false, true}) {
    auto request = random_request(1, 10, 50);
    request.sampling.ignore_eos = ignore_eos;
    request.sampling.grammar = {grammar_kind::gbnf, R"(root ::= "yes" | "no")"};
    const stream s = engine.run_alone(request);
    CHECK(s.reason == finish_reason::stop);
    CHECK((s.text() == "yes" || s.text() == "no"));
    request.sampling.grammar.source = R"(root ::= ("ab" | "cd")*)";
    const stream repeated = engine.run_alone(request);
    CHECK(repeated.reason == finish_reason::stop);  // whole when the room ends, too
    CHECK(repeated.text().size() % 2 == 0);
  }
}

TEST_CASE("any JSON object, with every kind of sampling beside the grammar", "[engine][grammar]") {
  tiny_engine engine;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    auto request = random_request(seed, 15, 60);
    auto& sampling = request.sampling;
    sampling.grammar = {grammar_kind::json_object, ""};
    sampling.temperature = 1.0f;
    sampling.ignore_eos = seed % 2 == 0;
    if (seed % 4 == 1) sampling.repetition_penalty = 1.3f;
    if (seed % 4 == 2) sampling.top_k = 3;
    if (seed % 4 == 3) sampling.logprobs = 2;
    if (seed == 8) sampling.logit_bias = {{3, 100.0f}, {5, -100.0f}};
    const stream s = engine.run_alone(request);
    INFO(seed << ": " << s.text());
    CHECK(s.reason == finish_reason::stop);
    CHECK(json::parse(s.text(), nullptr, false).is_object());
  }
}

TEST_CASE("constrained tokens do not depend on company, chunks, guesses or where they were resumed",
          "[engine][grammar][rule5]") {
  cpu_engine_options options;
  options.max_guesses = 0;
  tiny_engine plain(options);
  std::vector<stream> alone;
  for (std::uint64_t seed = 0; seed < 8; ++seed)
    alone.push_back(plain.run_alone(person_request(seed, 80)));

  options.max_guesses = 8;
  tiny_engine guessing(options);
  for (const std::uint32_t chunk : {512u, 7u}) {
    std::vector<sequence_id> ids;
    for (std::uint64_t seed = 0; seed < 8; ++seed)
      ids.push_back(guessing.add(person_request(seed, 80)));
    guessing.run(chunk);
    for (std::size_t i = 0; i < ids.size(); ++i)
      CHECK(same(guessing.of(ids[i]), alone[i]));
  }
  CHECK(guessing->status().guesses_right > 0);

  const auto whole = alone[1].ids();
  for (std::size_t n = 1; n < whole.size(); n += 3) {
    auto request = person_request(1, 80);
    request.resumed.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
    auto joined = request.resumed;
    const auto rest = plain.run_alone(request).ids();
    joined.insert(joined.end(), rest.begin(), rest.end());
    CHECK(joined == whole);
  }
  auto request = person_request(1, 80);
  request.resumed = whole;
  const stream over = plain.run_alone(request);
  CHECK(over.tokens.empty());
  CHECK(over.reason == finish_reason::stop);
}

TEST_CASE("grammars that cannot be are refused when they come", "[engine][grammar]") {
  tiny_engine engine;
  const auto refused = [&](output_grammar grammar) {
    auto request = random_request(1, 10, 10);
    request.sampling.grammar = std::move(grammar);
    auto id = engine->add(std::move(request));
    REQUIRE_FALSE(id);
    return id.error();
  };
  CHECK(refused({grammar_kind::gbnf, "root ::= missing"}).code == errc::invalid_argument);
  CHECK(refused({grammar_kind::json_schema, "{"}).code == errc::invalid_argument);
  CHECK(refused({grammar_kind::json_schema, R"({"not": {}})"}).code == errc::unsupported);
  auto request = person_request(1, 80);
  request.resumed = request.prompt;
  CHECK_FALSE(engine->add(std::move(request)));
  CHECK(engine->sequences().empty());
}

TEST_CASE("where no token goes on the draw fails and says so", "[engine][grammar]") {
  grammar_constraint constraint(matcher_of(R"(root ::= "ac")", {"a", "b", "end"}, 2));
  const auto first = [](std::span<const std::uint64_t> allowed) {
    for (token_id id = 0; id < 3; ++id)
      if (allowed[0] >> id & 1) return id;
    return token_id{0};
  };
  REQUIRE(constraint.draw({}, 10, first));
  CHECK(*constraint.draw({}, 10, first) == 0);
  REQUIRE(constraint.accept(0));
  const auto stuck = constraint.draw({}, 10, first);
  REQUIRE_FALSE(stuck);
  CHECK(stuck.error().code == errc::unsupported);
}

TEST_CASE("the last tokens lead to the end even if every other token is liked better", "[engine][grammar]") {
  // "x" may be repeated for ever; only a bracket for each closes them.
  const auto matcher = matcher_of(R"gbnf(root ::= "(" root ")" | "x"+)gbnf", {"(", "x", ")", "((", "xx", "end"}, 5);
  const token_id liked[] = {3, 4, 0, 1, 2, 5};  // the deepest first
  for (std::uint32_t room = 1; room < 40; ++room) {
    grammar_constraint constraint(matcher);
    std::uint32_t n = 0;
    for (; n < room && !constraint.must_end(); ++n) {
      const auto token = constraint.draw({}, room - n, [&](std::span<const std::uint64_t> allowed) {
        for (const token_id id : liked)
          if (allowed[0] >> id & 1) return id;
        return token_id{0};
      });
      REQUIRE(token);
      REQUIRE(constraint.accept(*token));
    }
    CHECK(constraint.may_end());
  }
}
