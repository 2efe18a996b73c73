#include "runtime/store/model_store.hpp"

#include "catch.hpp"
#include "fake_python.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <string>
#include <thread>

#include <signal.h>
#include <unistd.h>

using namespace troupe;
using test::fake_python;
namespace fs = std::filesystem;

namespace {

// The SHA-256 of "abc" is the first example of FIPS 180-4.
const model_source tiny = {.name = "tiny",
                           .path = "tiny.gguf",
                           .files = {{.parts = {{.package = "tiny-package",
                                                 .version = "1.0",
                                                 .member = "tiny_package/tiny.gguf",
                                                 .wheel_bytes = 300}},
                                      .sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                                      .size_bytes = 3}}};

bool cannot_run() {
  if (fake_python::possible()) return false;
  std::cout << "skipped: no python3 in PATH\n";
  return true;
}

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What lies in the cache, the lock aside.
std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.insert(entry.path().filename().string());
  names.erase(".lock");
  return names;
}

class environment_variable {
 public:
  environment_variable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old, had_ = true;
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~environment_variable() { had_ ? ::setenv(name_, old_.c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::string old_;
  bool had_ = false;
};

error expect_failed_pull(const fake_python& python, const model_source& model, errc code) {
  const model_store store(python.folder() / "cache", {model});
  const auto pulled = store.pull(model.name);
  REQUIRE_FALSE(pulled);
  INFO(pulled.error().message);
  CHECK(pulled.error().code == code);
  CHECK(names_in(store.folder()).empty());
  return pulled.error();
}

bool mentions(const error& failure, const std::string& part) {
  return failure.message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a pull downloads, checks and keeps the file; a second one finds it") {
  if (cannot_run()) return;
  const fake_python python("make_wheel abc");
  const model_store store(python.folder() / "a" / "cache", {tiny});
  CHECK_FALSE(store.list().at(0).present);
  std::set<std::string> stages;
  const auto pulled = store.pull("tiny", [&](const pull_progress& progress) {
    stages.insert(std::string(to_string(progress.at)));
    CHECK(progress.done_bytes <= progress.total_bytes);
    return true;
  });
  REQUIRE(pulled);
  CHECK(*pulled == store.folder() / "tiny.gguf");
  CHECK(content_of(*pulled) == "abc");
  CHECK(names_in(store.folder()) == std::set<std::string>{"tiny.gguf"});
  CHECK(stages == std::set<std::string>{"downloading", "unpacking", "verifying"});
  CHECK(store.list().at(0).present);
  CHECK(*store.resolve("tiny") == *pulled);

  const std::string arguments = python.last_arguments();
  for (const char* wanted : {"--no-deps", "--no-cache-dir", "--only-binary :all:", "tiny-package==1.0"})
    CHECK(arguments.find(wanted) != std::string::npos);
  REQUIRE(store.pull("tiny"));
  CHECK(python.n_downloads() == 1);
}

TEST_CASE("a file in parts is put together in their order") {
  if (cannot_run()) return;
  const fake_python python(
      "case \"$requirement\" in first*) make_wheel a;; second*) make_wheel b;; *) make_wheel c;; esac");
  model_source parted = tiny;
  auto& parts = parted.files[0].parts;
  parts.resize(3, parts[0]);
  parts[0].package = "first";
  parts[1].package = "second";
  parts[2].package = "third";
  const model_store store(python.folder() / "cache", {parted});
  std::uint64_t done = 0;
  const auto pulled = store.pull("tiny", [&](const pull_progress& progress) {
    if (progress.at != pull_progress::stage::downloading) return true;
    CHECK(progress.total_bytes == 900);
    CHECK(progress.done_bytes >= done);
    done = progress.done_bytes;
    return true;
  });
  REQUIRE(pulled);
  CHECK(content_of(*pulled) == "abc");
  CHECK(python.n_downloads() == 3);
  CHECK(done >= 600);

  fs::remove(*pulled);
  std::swap(parts[0], parts[1]);
  CHECK(mentions(expect_failed_pull(python, parted, errc::corrupt), "second 1.0 and 2 more packages"));
}

TEST_CASE("a model may be a folder of files, out of one download") {
  if (cannot_run()) return;
  const fake_python python("make_wheel abc");
  model_source folder = tiny;
  folder.path = "tiny-folder";
  folder.files[0].path = "a.txt";
  folder.files.push_back(folder.files[0]);
  folder.files[1].path = "inside/b.txt";
  folder.files[1].parts[0].member = "tiny_package/__init__.py";
  folder.files[1].sha256 = "eeb7b906bef9c4b1b4e8286ba608ffb3d9615c5569018865c9446aceeb19ee10";
  folder.files[1].size_bytes = 20;
  CHECK(folder.is_folder());
  CHECK(folder.wheel_bytes() == 300);
  CHECK(folder.size_bytes() == 23);
  const model_store store(python.folder() / "cache", {folder});
  const auto pulled = store.pull("tiny");
  REQUIRE(pulled);
  CHECK(*pulled == store.folder() / "tiny-folder");
  CHECK(content_of(*pulled / "a.txt") == "abc");
  CHECK(content_of(*pulled / "inside" / "b.txt") == "raise SystemExit(99)");
  CHECK(names_in(store.folder()) == std::set<std::string>{"tiny-folder"});
  CHECK(*store.resolve("tiny") == *pulled);
  CHECK(python.n_downloads() == 1);
  REQUIRE(store.pull("tiny"));
  CHECK(python.n_downloads() == 1);

  std::ofstream(*pulled / "inside" / "b.txt", std::ios::trunc) << "raise SystemExit(98)";
  CHECK(store.list().at(0).present);  // by size
  REQUIRE(store.pull("tiny"));
  CHECK(python.n_downloads() == 2);
  CHECK(content_of(*pulled / "inside" / "b.txt") == "raise SystemExit(99)");
  fs::remove(*pulled / "a.txt");
  CHECK_FALSE(store.list().at(0).present);
  REQUIRE(store.pull("tiny"));
  CHECK(store.list().at(0).present);

  fs::remove_all(*pulled);
  folder.files[1].size_bytes = 19;
  CHECK(mentions(expect_failed_pull(python, folder, errc::corrupt), "inside/b.txt of tiny-package 1.0 should have 19"));
}

TEST_CASE("a file in the cache that is not the model is replaced") {
  if (cannot_run()) return;
  const fake_python python("make_wheel abc");
  const model_store store(python.folder(), {tiny});
  for (const char* wrong : {"abd", "longer", ""}) {
    std::ofstream(python.folder() / "tiny.gguf", std::ios::trunc) << wrong;
    const auto pulled = store.pull("tiny");
    REQUIRE(pulled);
    CHECK(content_of(*pulled) == "abc");
  }
  CHECK(python.n_downloads() == 3);
}

TEST_CASE("a download with the wrong content leaves nothing behind") {
  if (cannot_run()) return;
  const error digest = expect_failed_pull(fake_python("make_wheel abd"), tiny, errc::corrupt);
  CHECK(mentions(digest, tiny.files[0].sha256));
  CHECK(mentions(digest, "The download was removed"));
  CHECK(mentions(expect_failed_pull(fake_python("make_wheel abcdefgh"), tiny, errc::corrupt), "has more"));
  CHECK(mentions(expect_failed_pull(fake_python("make_wheel ''"), tiny, errc::corrupt), "and has 0"));
  CHECK(mentions(expect_failed_pull(fake_python("true"), tiny, errc::corrupt), "downloaded 0 wheels"));
  const fake_python two("make_wheel abc; cp \"$folder\"/*.whl \"$folder\"/other.whl");
  CHECK(mentions(expect_failed_pull(two, tiny, errc::corrupt), "downloaded 2 wheels"));
  const fake_python junk("echo junk > \"$folder\"/junk.whl");
  CHECK(mentions(expect_failed_pull(junk, tiny, errc::unavailable), "BadZipFile"));
  model_source elsewhere = tiny;
  elsewhere.files[0].parts[0].member = "tiny_package/absent.gguf";
  CHECK(mentions(expect_failed_pull(fake_python("make_wheel abc"), elsewhere, errc::unavailable), "absent.gguf"));
}

TEST_CASE("pip's failures are explained") {
  if (cannot_run()) return;
  const auto explained = [](const std::string& commands) {
    return expect_failed_pull(fake_python(commands), tiny, errc::unavailable);
  };
  CHECK(mentions(explained("echo '/usr/bin/python3: No module named pip' >&2; exit 1"), "apt install python3-pip"));
  CHECK(mentions(explained("echo 'OSError: [Errno 28] No space left on device' >&2; exit 1"), "the disk is full"));
  CHECK(mentions(explained("echo 'NewConnectionError: Temporary failure in name resolution'; exit 1"),
                 "cannot reach the package index"));
  const error other = explained("echo 'ERROR: No matching distribution found' >&2; exit 7");
  CHECK(mentions(other, "status 7"));
  CHECK(mentions(other, "No matching distribution found"));
  CHECK(mentions(explained("kill -9 $$"), "status 137"));
  CHECK(explained("yes | head -c 5000000; exit 1").message.size() < 1000);
}

TEST_CASE("without python3 the error says what to install") {
  if (cannot_run()) return;
  const fake_python python("true");
  const environment_variable path("PATH", "/nonexistent");
  CHECK(mentions(expect_failed_pull(python, tiny, errc::unavailable), "apt install python3 python3-pip"));
}

TEST_CASE("a model larger than the free space is not begun") {
  if (cannot_run()) return;
  const fake_python python("make_wheel abc");
  model_source large = tiny;
  large.files[0].size_bytes = std::uint64_t{1} << 60;
  CHECK(mentions(expect_failed_pull(python, large, errc::unavailable), "are free"));
  CHECK(python.n_downloads() == 0);
}

TEST_CASE("a cancelled pull stops pip and leaves nothing behind") {
  if (cannot_run()) return;
  // The second ignores SIGTERM, as a hung program may.
  for (const char* commands : {"echo $$ > \"$log.pid\"; exec sleep 60",
                               "trap '' TERM; echo $$ > \"$log.pid\"; while true; do sleep 0.1; done"}) {
    const fake_python python(commands);
    const model_store store(python.folder() / "cache", {tiny});
    const auto begin = std::chrono::steady_clock::now();
    const auto pulled = store.pull("tiny", [&](const pull_progress&) {
      return content_of(python.folder() / "log.pid").empty();  // until pip runs
    });
    REQUIRE_FALSE(pulled);
    CHECK(pulled.error().code == errc::cancelled);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
    CHECK(names_in(store.folder()).empty());
    CHECK(::kill(std::stoi(content_of(python.folder() / "log.pid")), 0) != 0);
  }
}

TEST_CASE("what a killed pull left is removed by the next") {
  if (cannot_run()) return;
  const fake_python python("make_wheel abc");
  const model_store store(python.folder() / "cache", {tiny});
  fs::create_directories(store.folder() / ".pull-AbCdEf" / "download");
  std::ofstream(store.folder() / ".pull-AbCdEf" / "download" / "half.whl") << "half";
  REQUIRE(store.pull("tiny"));
  CHECK(names_in(store.folder()) == std::set<std::string>{"tiny.gguf"});
}

TEST_CASE("two pulls at once download once") {
  if (cannot_run()) return;
  const fake_python python("sleep 0.5; make_wheel abc");
  const model_store store(python.folder() / "cache", {tiny});
  std::atomic<int> n_good = 0;
  const auto pull = [&] { n_good += store.pull("tiny").has_value() ? 1 : 0; };
  std::thread first(pull);
  std::thread second(pull);
  first.join();
  second.join();
  CHECK(n_good == 2);
  CHECK(python.n_downloads() == 1);
}

TEST_CASE("a folder that cannot be written says so") {
  const model_store store("/proc/troupe/models", {tiny});
  const auto pulled = store.pull("tiny");
  REQUIRE_FALSE(pulled);
  CHECK(pulled.error().code == errc::unavailable);
  CHECK(mentions(pulled.error(), "/proc/troupe/models"));
}

TEST_CASE("names and paths resolve, and what is missing says how to get it") {
  if (cannot_run()) return;
  const fake_python python("false");
  const model_store store(python.folder() / "cache", {tiny});
  const auto file = python.folder() / "own.gguf";
  std::ofstream(file) << "x";
  CHECK(*store.resolve(file.string()) == file);
  const auto absent = store.resolve("tiny");
  REQUIRE_FALSE(absent);
  CHECK(absent.error().code == errc::not_found);
  CHECK(mentions(absent.error(), "`troupe model pull tiny`"));
  const auto unknown = store.resolve("no-such-model");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == errc::not_found);
  CHECK(mentions(unknown.error(), "Known models: tiny."));
  CHECK(*store.resolve(python.folder().string()) == python.folder());
  CHECK(store.pull("no-such-model").error().code == errc::not_found);
  CHECK(python.n_downloads() == 0);
}

TEST_CASE("the cache folder follows the environment") {
  const environment_variable own("TROUPE_CACHE_DIR", "/a/b");
  CHECK(*model_store::default_folder() == "/a/b");
  const environment_variable none("TROUPE_CACHE_DIR", nullptr);
  const environment_variable cache("XDG_CACHE_HOME", "/c");
  CHECK(*model_store::default_folder() == "/c/troupe/models");
  const environment_variable relative("XDG_CACHE_HOME", "c");
  const environment_variable home("HOME", "/h");
  CHECK(*model_store::default_folder() == "/h/.cache/troupe/models");
  const environment_variable homeless("HOME", "");
  CHECK(model_store::default_folder().error().code == errc::not_found);
}

TEST_CASE("the catalogue's entries are complete") {
  REQUIRE_FALSE(known_models().empty());
  for (const model_source& model : known_models()) {
    CHECK(fs::path(model.path).filename() == model.path);
    CHECK((fs::path(model.path).extension() == ".gguf") == !model.is_folder());
    REQUIRE_FALSE(model.files.empty());
    for (const model_file& file : model.files) {
      CHECK(file.sha256.size() == 64);
      CHECK(file.sha256.find_first_not_of("0123456789abcdef") == std::string::npos);
      CHECK(file.size_bytes > 0);
      CHECK(file.path.empty() == !model.is_folder());
      CHECK((fs::path(file.path).is_relative() && file.path.find("..") == std::string::npos));
      REQUIRE_FALSE(file.parts.empty());
      for (const model_part& part : file.parts)
        CHECK((!part.package.empty() && !part.version.empty() && !part.member.empty() && part.wheel_bytes > 0));
    }
  }
}
