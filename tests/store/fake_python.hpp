// A `python3` first in PATH whose pip is ours: it "downloads" a wheel that it writes itself, or fails as pip would.
// Everything else goes to the real python3.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace troupe::test {

/// PATH and the folder live as long as this does. One at a time.
class fake_python {
 public:
  /// The shell commands that stand for `pip download`. They find the download folder in $folder, the requirement in
  /// $requirement, and may call make_wheel CONTENT.
  explicit fake_python(const std::string& download_commands);
  ~fake_python();
  fake_python(const fake_python&) = delete;
  fake_python& operator=(const fake_python&) = delete;

  /// False on a machine without python3.
  static bool possible();

  const std::filesystem::path& folder() const { return folder_; }
  /// How often pip was asked to download.
  std::size_t n_downloads() const;
  /// The arguments of the last download.
  std::string last_arguments() const;

 private:
  std::filesystem::path folder_;
  std::string old_path_;
};

}  // namespace troupe::test
