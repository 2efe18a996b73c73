// Carries the precompiled catch.hpp that every test program uses.
#include "catch.hpp"
