// What embed.cmake makes of the files in this folder.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace troupe {

struct embedded_file {
  std::string_view name;
  const unsigned char* bytes;
  std::size_t size;
  std::string_view etag;  // with its quotes
};

std::span<const embedded_file> embedded_files();

}  // namespace troupe
