// Models as people name them on the command line.
#pragma once

#include "base/result.hpp"

#include <filesystem>
#include <string>

namespace troupe::cli {

/// A path that exists, or the name of a pulled model. Errors say how to get the model.
result<std::filesystem::path> resolve_model(const std::string& name_or_path);

}  // namespace troupe::cli
