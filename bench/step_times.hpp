// Times of an engine's steps by what they compute: what cost models (policies/step_cost_fit.hpp) are fitted to.
#pragma once

#include "base/result.hpp"
#include "policies/step_cost_fit.hpp"
#include "runtime/engine/cpu_engine.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace troupe::bench {

/// What a step computes.
struct step_recipe {
  struct chunk {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };
  std::vector<chunk> chunks;            // each the last one of its prompt
  std::vector<std::uint32_t> contexts;  // of sequences that draw a token each
};

/// A prompt as one step.
step_recipe whole_prompt(std::uint32_t n_tokens);
/// So many sequences behind as many positions each.
step_recipe decoding_batch(std::uint32_t n_sequences, std::uint32_t context);

enum class step_clock : std::uint8_t {
  wall,
  thread  // the calling thread's processor time: for engines of one thread, so that others' work is not in it
};

/// Such a step, `repeats` times, with other tokens each time; a sequence that decodes goes on by a token from one to
/// the next. Errors: it does not fit the engine.
result<std::vector<policies::step_sample>> time_step(cpu_engine& engine, const step_recipe& recipe,
                                                     std::uint32_t repeats, step_clock by = step_clock::wall);

/// All recipes on all engines at the same time, a thread each, in an order of its own each: what they share, as the
/// memory's bandwidth, is in the times, which are the threads' processor time. The engines have one thread; those that
/// are done go on until the last one is.
result<std::vector<policies::step_sample>> time_steps_together(std::span<cpu_engine* const> engines,
                                                               std::span<const step_recipe> recipes,
                                                               std::uint32_t repeats);

}  // namespace troupe::bench
