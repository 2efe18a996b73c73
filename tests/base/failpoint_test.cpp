#include "base/failpoint.hpp"

#include "catch.hpp"

using namespace troupe;

TEST_CASE("a failpoint fires once, on the visit it was armed for", "[failpoint]") {
  disarm_failpoints();
  CHECK_FALSE(failpoint("a"));
  arm_failpoint("a", 2);
  CHECK_FALSE(failpoint("b"));
  CHECK_FALSE(failpoint("a"));
  CHECK(failpoint("a"));
  CHECK_FALSE(failpoint("a"));
}

TEST_CASE("failpoints come from a list; malformed entries are ignored", "[failpoint]") {
  disarm_failpoints();
  arm_failpoints_from("x=1,broken,y=two,=,z=1");
  CHECK(failpoint("x"));
  CHECK_FALSE(failpoint("y"));
  CHECK(failpoint("z"));
  disarm_failpoints();
}
