// Prints one answer as it comes and says how fast it came; shared by `run` and `chat`.
#pragma once

#include "base/result.hpp"
#include "troupe/client.hpp"

#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace troupe::cli {

struct answer_arguments {
  std::uint32_t max_tokens = 256;
  float temperature = 0.7f;
  float top_p = 1.0f;
  std::int64_t seed = -1;  // below 0: another one each time
  bool stats = false;
  output_grammar grammar;
};

/// Sampling as the arguments say it.
sampling_params make_sampling(const answer_arguments& arguments);

/// Streams to stdout. SIGINT ends the answer, not the program. Returns the whole text.
result<std::string> print_answer(token_stream stream, bool stats);

void add_answer_options(CLI::App& verb, answer_arguments& arguments);
}  // namespace troupe::cli
