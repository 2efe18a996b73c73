// Catch's Approx under one name: in its second version `Catch::Approx` finds the matcher for vectors as well.
#pragma once

#include "catch.hpp"

#if __has_include(<catch2/catch_approx.hpp>)
using approximately = Catch::Approx;
#else
using approximately = Catch::Detail::Approx;
#endif
