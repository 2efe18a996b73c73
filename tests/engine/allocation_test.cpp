// A step of decoding allocates its outputs and nothing else: counted with the global operator new.
#include "allocation_counter.hpp"
#include "engine_harness.hpp"

using namespace troupe;
using namespace troupe::testing;

TEST_CASE("a decode step allocates its outputs and a block table now and then", "[engine][allocation]") {
  for (const std::uint32_t n_sequences : {1u, 8u}) {
    for (const std::uint32_t n_layers : {1u, 6u}) {
      CAPTURE(n_sequences, n_layers);
      cpu_engine_options options;
      options.n_threads = 2;
      tiny_engine engine(options, {.n_layers = n_layers});
      step_plan plan;
      for (std::uint64_t i = 0; i < n_sequences; ++i) {
        auto request = random_request(i, 10, 200);
        request.sampling.temperature = 0.7f;
        request.sampling.frequency_penalty = 0.2f;
        plan.grants.push_back({engine.add(request), 512});
      }
      engine->step(plan);
      for (int i = 0; i < 100; ++i) {
        const std::uint64_t before = test::n_allocations();
        const auto outputs = engine->step(plan);
        const std::uint64_t n = test::n_allocations() - before;
        REQUIRE(outputs.size() == n_sequences);
        // The list, each sequence's tokens, and each sequence's block table when it grows.
        REQUIRE(n <= 1 + 2 * n_sequences);
      }
    }
  }
}
