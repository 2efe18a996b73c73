#include "base/result.hpp"

#include "catch.hpp"

#include <stdexcept>
#include <string>

using namespace troupe;

TEST_CASE("a result holds a value or an error", "[result]") {
  const result<std::string> good = std::string("yes");
  REQUIRE(good);
  CHECK(*good == "yes");
  CHECK(good->size() == 3);
  const result<std::string> bad = make_error(errc::not_found, "no such file: x", "model");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code == errc::not_found);
  CHECK(bad.error().param == "model");
  CHECK(result<>{}.has_value());
}

TEST_CASE("asking for what is not there is a programmer's error", "[result]") {
  const result<int> bad = make_error(errc::internal, "no");
  CHECK_THROWS_AS(bad.value(), std::logic_error);
  const result<int> good = 1;
  CHECK_THROWS_AS(good.error(), std::logic_error);
}
