#include "policies/decoding_set.hpp"

#include "base/random.hpp"
#include "catch.hpp"

#include <vector>

using namespace troupe;
using namespace troupe::policies;

TEST_CASE("a set of sequences does what stepping each of them does", "[decoding_set]") {
  random_stream random(5);
  decoding_set set;
  std::vector<decoding_set::member> plain;  // in the order of joining
  for (std::uint32_t i = 0; i < 3000; ++i) {
    const auto draw = random.below(10);
    if (draw < 4) {
      const decoding_set::member joining{i, 1 + random.below(50), 1 + static_cast<std::uint32_t>(random.below(20))};
      set.add(joining);
      plain.push_back(joining);
    } else if (draw == 4 && !plain.empty()) {
      const auto removed = set.remove_newest();
      REQUIRE(removed.request == plain.back().request);
      REQUIRE(removed.positions == plain.back().positions);
      REQUIRE(removed.left == plain.back().left);
      plain.pop_back();
    } else {
      std::vector<decoding_set::member> ended;
      set.step(ended);
      std::size_t n_ended = 0;
      for (auto& member : plain) {
        ++member.positions;
        if (--member.left > 0) continue;
        REQUIRE(n_ended < ended.size());
        REQUIRE(ended[n_ended].request == member.request);
        REQUIRE(ended[n_ended++].positions == member.positions);
      }
      REQUIRE(n_ended == ended.size());
      std::erase_if(plain, [](const auto& member) { return member.left == 0; });
    }
    std::uint64_t positions = 0;
    for (const auto& member : plain)
      positions += member.positions;
    REQUIRE(set.size() == plain.size());
    REQUIRE(set.positions() == positions);
  }
}
