// A file mapped read-only. The size is read once, when it is opened: a file that somebody shortens afterwards raises
// SIGBUS on the pages that are gone, so model files are replaced by rename, never rewritten in place.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <filesystem>
#include <span>

namespace troupe {

class mapped_file {
 public:
  /// Regular files of at least one byte only; a directory, a pipe or a device is an error and never blocks.
  static result<mapped_file> open(const std::filesystem::path& path);

  mapped_file(mapped_file&& other) noexcept;
  mapped_file& operator=(mapped_file&& other) noexcept;
  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;
  ~mapped_file();

  std::span<const std::byte> bytes() const { return bytes_; }

  /// Gives the memory behind these bytes back to the kernel. They stay readable: the next read fetches them from the
  /// file.
  void release(std::span<const std::byte> part) const;

 private:
  explicit mapped_file(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

}  // namespace troupe
