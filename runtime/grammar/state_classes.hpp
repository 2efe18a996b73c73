// Which states no token can tell apart: those that read, call and end alike for as many bytes as the longest token has.
// A string of at most 500 characters has 500 times the states of one character, and masks are the same for all but the
// last few of them. Moore's partition refinement, stopped after that many rounds.
#pragma once

#include "runtime/grammar/automaton.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe::grammar {

/// One number for each state; equal numbers for states that are alike for n_bytes. Past max_class_work each state is a
/// class of its own.
std::vector<std::uint32_t> find_state_classes(const automaton& a, std::size_t n_bytes);

}  // namespace troupe::grammar
