// Is the arithmetic right? Compares the tokenizer, a kernel table and the forward pass with recorded outputs of other
// implementations (`troupe eval golden`): tokenizer.json, greedy.json and perplexity.json with its text, each naming
// its origin. The recorded truth is a float32 forward pass over the dequantised weights ("exact").
//
// The KL divergence needs whole distributions, which no file records: the model is also loaded with its weights widened
// to floats, shown to agree with the recorded exact values, and used as the other side. That takes four bytes a weight
// while the evaluation runs.
#pragma once

#include "base/result.hpp"
#include "kernels/types.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace troupe {

struct golden_options {
  std::filesystem::path model;      // the GGUF file the recordings were made with
  std::filesystem::path directory;  // of the recordings
  std::string isa;                  // kernel table; empty: the best
  std::uint32_t n_threads = 0;      // 0: all processors
  kernels::kv_type kv = kernels::kv_type::f16;
  std::uint32_t max_windows = UINT32_MAX;  // of the perplexity text; 0: none
};

enum class golden_bound : std::uint8_t { at_most, at_least };

struct golden_check {
  std::string name;
  double value = 0.0;
  golden_bound direction = golden_bound::at_most;
  double bound = 0.0;
  std::string unit;

  bool ok() const { return direction == golden_bound::at_most ? value <= bound : value >= bound; }
};

struct golden_report {
  std::string model;
  std::string isa;
  std::string kv;
  std::vector<golden_check> checks;

  bool ok() const;
};

/// Errors: what loading the model says; not_found and corrupt for the recordings.
result<golden_report> evaluate_golden(const golden_options& options);

/// The model against its own exact pass on any UTF-8 text, in windows of 1,024 tokens: perplexity, KL divergence,
/// losses, best tokens. options.directory is not used. Errors: those, and a text of less than two tokens.
result<golden_report> evaluate_text(const golden_options& options, const std::filesystem::path& path);

}  // namespace troupe
