// Random scripts of genuine, changed and made-up messages; the fuzzer plays longer and cleverer ones.
#include "handshake_script.hpp"

#include "base/random.hpp"
#include "catch.hpp"

#include <vector>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("no script establishes a session without both proofs", "[security][handshake][attack]") {
  std::size_t n_delivered = 0, n_established = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    random_stream random(seed);
    std::vector<std::byte> script(400);
    for (std::byte& byte : script)
      byte = static_cast<std::byte>(random.below(256));
    const auto report = play_handshake_script(script);
    CAPTURE(seed);
    REQUIRE(report.complaint.empty());
    n_delivered += report.n_delivered;
    n_established += report.n_established;
  }
  CHECK(n_delivered > 50000);
  CHECK(n_established > 2000);  // else the scripts would show nothing
}

TEST_CASE("a script of honest steps establishes both ends", "[security][handshake]") {
  const std::vector<std::byte> step = {std::byte{12}, std::byte{0}};
  std::vector<std::byte> script;
  for (int i = 0; i < 4; ++i)
    script.insert(script.end(), step.begin(), step.end());
  const auto report = play_handshake_script(script);
  CHECK(report.complaint.empty());
  CHECK(report.n_delivered == 4);
  CHECK(report.n_established == 2);
}
