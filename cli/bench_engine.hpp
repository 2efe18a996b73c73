// How fast the engine alone is: no actor, no HTTP.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace troupe::cli {

struct bench_engine_options {
  std::filesystem::path model;
  std::string isa;
  std::uint32_t threads = 0;
  std::uint32_t repeats = 5;
  std::uint32_t decode_tokens = 64;
  std::string json;
  bool quick = false;
};

/// Prints a table and writes the JSON if a file is named.
result<> bench_engine(const bench_engine_options& options);

}  // namespace troupe::cli
