// Answers of a model that knows nothing to 50 JSON schemas: the grammar alone makes them valid.
#include "engine_harness.hpp"
#include "schema_cases.hpp"

using namespace troupe;
using namespace troupe::testing;

TEST_CASE("answers to 50 schemas are whole and valid with just enough room, and with more",
          "[engine][grammar][schema]") {
  const auto cases = read_schema_cases();
  if (cases.empty()) {
    WARN("skipped: TROUPE_TEST_DATA is not set");
    return;
  }
  REQUIRE(cases.size() == 50);
  tiny_engine engine;
  for (std::uint64_t seed = 0; seed < 2; ++seed) {
    std::vector<sequence_id> ids;
    std::vector<std::uint32_t> rooms;
    for (const auto& wanted : cases) {
      rooms.push_back(wanted.shortest_bytes + static_cast<std::uint32_t>(seed) * 30);
      auto request = random_request(seed, 10, rooms.back());
      request.sampling.temperature = seed == 0 ? 0.0f : 1.0f;
      request.sampling.grammar = {grammar_kind::json_schema, wanted.source};
      ids.push_back(engine.add(std::move(request)));
    }
    engine.run();
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const stream& answer = engine.of(ids[i]);
      INFO(cases[i].name << ", seed " << seed << ": " << answer.text());
      CHECK(answer.reason == finish_reason::stop);
      CHECK(answer.tokens.size() <= rooms[i]);
      CHECK(fault_of(cases[i], answer.text()) == "");
    }
  }
}
