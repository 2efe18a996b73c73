// The constants of jitserve_goodput.hpp, apart from it so that whoever makes a policy by name can set them.
#pragma once

#include <cstdint>

namespace troupe::policies {

struct jitserve_settings {
  // Candidates for a step have at least this share of the priority of the last that would find room (the paper's p).
  double candidate_share = 0.95;
  // What lengths are predicted with: the standard deviation of the logarithm of the error. A deadline is kept with the
  // chance that a length so distributed fits before it.
  double log_error = 0.5;
  // Bandwidth just in time: a sequence that needs a share x of the steps until its deadline has its priority multiplied
  // by x to this power. 0: urgency does not count.
  double just_in_time = 0.6;
  // What a sequence that can no longer keep its deadline is worth, as a share of one that surely will.
  double hopeless = 1e-3;
  // When the first token of a stream is due that only says how far apart its tokens may come.
  double first_token_within_s = 1.0;
  // A sequence without objective is worth as much as one inside its deadline this long after it arrived, less before.
  double best_effort_patience_s = 60.0;
  // Of the time that is planned for the parts after this one (from done_by to whole_by), what share this one may use up
  // and the whole is still thought possible. 0: a part that is late is lost.
  double part_slack = 0.25;
  // The paper's frame: over so many steps a replacement has to earn what the replaced one loses.
  std::uint32_t frame_steps = 50;
  // Who had no grant for so many frames is served first, so many at most in one step; 0 rows: nobody is.
  std::uint32_t starving_frames = 16;
  std::uint32_t starving_rows = 1;

  // To be switched off by who wants to know what they are worth.
  bool length_grouping = true;
  bool stickiness = true;
};

}  // namespace troupe::policies
