// SHA-256 of a file, in the 64 hexadecimal digits that sha256sum prints. Cost: one pass, 1 MiB of memory.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace troupe {

/// `on_bytes` is told now and then how many bytes are done; false stops with errc::cancelled.
result<std::string> sha256_of_file(const std::filesystem::path& path,
                                   const std::function<bool(std::uint64_t)>& on_bytes = {});

}  // namespace troupe
