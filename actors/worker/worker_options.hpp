// What can be chosen about a worker and its engine. Zeros and empty strings mean "the natural value".
#pragma once

#include "policies/batching.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace troupe {

struct worker_options {
  std::filesystem::path model;         // a GGUF file
  std::string isa;                     // of the kernels; empty: the best this processor has
  std::uint32_t threads = 0;           // that compute; 0: one for each processor
  std::uint32_t max_model_len = 0;     // tokens of prompt and answer; 0: the model's own
  std::uint32_t max_num_seqs = 64;     // sequences that have memory at once
  std::uint32_t max_running_seqs = 0;  // sequences a step computes; 0: max_num_seqs
  std::uint32_t max_num_batched_tokens = 512;
  std::uint32_t interleaved_prefill_tokens = 128;  // prompt tokens of a step while other streams are decoding
  std::uint64_t kv_cache_bytes = 0;                // 0: what max_num_seqs full contexts need, at most 512 MiB
  std::string kv_cache_type = "f16";               // or f32, q8_0
  bool enable_prefix_caching = true;
  std::uint32_t num_speculative_tokens = 8;  // guessed ahead by prompt lookup where that pays; 0: none
  std::string scheduler = "fcfs";            // local order
  policies::batching_settings batching{};    // what it may be told
  double length_quantile = 0.5;              // of the tokens an answer will still have, as predicted
  std::uint32_t relocation_stages = 3;       // copies of K and V before a request that moves is paused; 0: pause first
};

}  // namespace troupe
