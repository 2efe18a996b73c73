// What is taken of a trace, and how it is made to fit: a part of its time, a number of programs, shorter lengths, a
// higher rate. Pure; the same selection of the same trace is the same workload.
#pragma once

#include "base/result.hpp"
#include "simulator/workload.hpp"

#include <cstdint>
#include <limits>

namespace troupe::simulator {

struct trace_selection {
  // Of the trace's own time; what comes before from_s or not before until_s is left out.
  double from_s = 0;
  double until_s = std::numeric_limits<double>::infinity();
  std::size_t skip = 0;     // programs of what is left
  std::size_t limit = 0;    // programs after those; 0: all
  double speed_up = 1;      // intervals become so many times shorter
  double prompt_scale = 1;  // lengths times this, at least one token
  double answer_scale = 1;
  std::uint32_t longest_prompt = 0;  // longer ones are cut; 0: none is
  std::uint32_t longest_answer = 0;
};

/// The first program of what is taken arrives at zero. Errors: "trace" when nothing is left.
///
/// Scaled prompts keep names of prefix_block_tokens each: a new block has the name of the old one in which its last
/// token lay. A name stands for all tokens up to its block's end, so equal names are still equal prompts; of a common
/// beginning that is no whole number of new blocks the rest is no longer common.
result<workload> select(const workload& trace, const trace_selection& wanted);

/// Programs a second over the whole of it: 0 for fewer than two, or when all come at once.
double mean_rate(const workload& of);

}  // namespace troupe::simulator
