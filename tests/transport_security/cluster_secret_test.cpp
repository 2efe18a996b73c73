// The secret's file: which are taken, and what is said about the others.
#include "transport/security/cluster_secret.hpp"

#include "base/failpoint.hpp"
#include "base/random.hpp"
#include "catch.hpp"
#include "handshake_pair.hpp"
#include "transport/security/digest.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <type_traits>

#include <sys/stat.h>
#include <unistd.h>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;
namespace fs = std::filesystem;

namespace {

class folder {
 public:
  folder() {
    std::string name = (fs::temp_directory_path() / "troupe_secret_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~folder() { fs::remove_all(path_); }
  fs::path file(const std::string& content, fs::perms mode = fs::perms::owner_read | fs::perms::owner_write) const {
    const fs::path path = path_ / "secret";
    fs::remove(path);
    std::ofstream(path, std::ios::binary) << content;
    fs::permissions(path, mode);
    return path;
  }
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

std::string random_raw(std::size_t size) {
  random_stream random(size);
  std::string out;
  while (out.size() < size)
    out += static_cast<char>(random.below(256));
  return out;
}

std::string hex_of(const std::string& raw) {
  return to_hex(std::as_bytes(std::span(raw)));
}

// The key of a file with this content, or the error's sentence.
std::string outcome(const folder& in, const std::string& content) {
  const auto path = in.file(content);
  const auto secret = read_cluster_secret(path);
  if (secret) {
    CHECK(!secret->is_none());
    return to_hex(secret->key());
  }
  CHECK(secret.error().message.starts_with(path.string() + ": "));
  CHECK(secret.error().message.ends_with("."));
  return secret.error().message;
}

std::string key_of(const std::string& content) {
  return to_hex(*security::sha256(security::bytes_of(content)));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

static_assert(!std::is_copy_constructible_v<cluster_secret> && std::is_nothrow_move_constructible_v<cluster_secret>);

TEST_CASE("a secret is the file's content", "[security][secret]") {
  const folder in;
  const std::string raw = random_raw(32), hex = hex_of(raw);
  CHECK(outcome(in, raw) == key_of(raw));
  CHECK(outcome(in, raw + "\n") == key_of(raw + "\n"));  // raw bytes count to the last
  CHECK(outcome(in, hex) == key_of(hex));
  CHECK(outcome(in, hex + "\n") == key_of(hex));
  CHECK(outcome(in, hex + "\r\n") == key_of(hex));
  CHECK(outcome(in, hex + "\n\n") == key_of(hex + "\n\n"));  // no longer text
  const std::string base64 = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";
  CHECK(outcome(in, base64) == key_of(base64));
  CHECK(outcome(in, base64 + "=\n") == key_of(base64 + "="));
  CHECK(outcome(in, random_raw(4096)) == key_of(random_raw(4096)));
  std::string raw_with_line_end = random_raw(31) + "\n";  // one of 256 raw secrets looks like this
  CHECK(outcome(in, raw_with_line_end) == key_of(raw_with_line_end));
}

TEST_CASE("a secret that is too short or not random is refused", "[security][secret]") {
  const folder in;
  CHECK(contains(outcome(in, ""), "has 0 hexadecimal digits and needs 64"));
  CHECK(contains(outcome(in, random_raw(31)), "has 31 bytes and needs 32"));
  CHECK(contains(outcome(in, hex_of(random_raw(32)).substr(1)), "has 63 hexadecimal digits and needs 64"));
  CHECK(contains(outcome(in, std::string(42, 'x') + "\n"), "has 42 characters and needs 43"));
  CHECK(contains(outcome(in, "correct horse battery staple"), "has 28 characters and needs 43"));
  CHECK(contains(outcome(in, std::string(32, '\0')), "repeats 1 bytes"));
  CHECK(contains(outcome(in, std::string(64, '0')), "must be random"));
  CHECK(contains(outcome(in, random_raw(4097)), "larger than 4096 bytes"));
  CHECK(read_cluster_secret(in.file(random_raw(4097))).error().code == errc::too_large);
  CHECK(read_cluster_secret(in.file(random_raw(31))).error().code == errc::invalid_argument);
}

TEST_CASE("a secret's file must be private", "[security][secret]") {
  const folder in;
  for (unsigned mode = 0; mode < 01000; ++mode) {
    const auto path = in.file(random_raw(32), static_cast<fs::perms>(mode));
    const auto secret = read_cluster_secret(path);
    CAPTURE(mode);
    if ((mode & ~0600U) != 0 && (mode & 0400U) != 0) {
      REQUIRE(!secret);
      CHECK(secret.error().code == errc::invalid_argument);
      CHECK(contains(secret.error().message, "chmod 600"));
    }
    if (mode == 0600 || mode == 0400) CHECK(secret.has_value());
  }
  CHECK(contains(read_cluster_secret(in.file(random_raw(32), static_cast<fs::perms>(0644))).error().message, "0644"));
}

TEST_CASE("a secret's file must be ours or root's", "[security][secret]") {
  if (::geteuid() != 0) {
    WARN("Only root can give a file to another user.");
    return;
  }
  const folder in;
  const auto path = in.file(random_raw(32));
  REQUIRE(::chown(path.c_str(), 12345, 0) == 0);
  const auto secret = read_cluster_secret(path);
  REQUIRE(!secret);
  CHECK(
      contains(secret.error().message, "belongs to user 12345; it must belong to this process's user, 0, or to root."));
}

TEST_CASE("what is no regular file is refused", "[security][secret]") {
  const folder in;
  CHECK(read_cluster_secret(in / "absent").error().code == errc::not_found);
  fs::create_directory(in / "folder");
  CHECK(contains(read_cluster_secret(in / "folder").error().message, "regular file"));
  REQUIRE(::mkfifo((in / "pipe").c_str(), 0600) == 0);
  CHECK(
      contains(read_cluster_secret(in / "pipe").error().message, "regular file"));  // and it does not wait for a writer
  CHECK(contains(read_cluster_secret("/dev/zero").error().message, "regular file"));
  // What a link leads to is what counts.
  fs::create_symlink(in.file(random_raw(32)), in / "link");
  CHECK(read_cluster_secret(in / "link").has_value());
  in.file(random_raw(32), static_cast<fs::perms>(0640));
  CHECK(!read_cluster_secret(in / "link").has_value());
}

TEST_CASE("a fresh secret is private, random and never overwritten", "[security][secret]") {
  const folder in;
  const ::mode_t umask = ::umask(0);
  REQUIRE(create_cluster_secret(in / "a").has_value());
  ::umask(0777);
  REQUIRE(create_cluster_secret(in / "b").has_value());
  ::umask(umask);
  for (const char* name : {"a", "b"}) {
    struct stat status = {};
    REQUIRE(::stat((in / name).c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    CHECK(status.st_size == 65);
  }
  const auto a = read_cluster_secret(in / "a"), b = read_cluster_secret(in / "b");
  REQUIRE(a.has_value());
  REQUIRE(b.has_value());
  CHECK(to_hex(a->key()) != to_hex(b->key()));

  const auto again = create_cluster_secret(in / "a");
  CHECK(again.error().code == errc::invalid_argument);
  CHECK(contains(again.error().message, "exists already"));
  CHECK(to_hex(read_cluster_secret(in / "a")->key()) == to_hex(a->key()));
  fs::create_symlink(in / "nowhere", in / "dangling");
  CHECK(!create_cluster_secret(in / "dangling").has_value());
  CHECK(create_cluster_secret(in / "absent/secret").error().code == errc::not_found);
  arm_failpoint("security.random");
  CHECK(create_cluster_secret(in / "c").error().code == errc::internal);
  CHECK(!fs::exists(in / "c"));
  disarm_failpoints();
}

TEST_CASE("no secret is a key that everybody knows", "[security][secret]") {
  const auto none = cluster_secret::none();
  CHECK(none.is_none());
  CHECK(to_hex(none.key()) == to_hex(security::bytes_of("troupe: a cluster with no secret")));
}

TEST_CASE("a secret that moved on leaves zeros behind", "[security][secret]") {
  auto secret = cluster_secret::none();
  const cluster_secret moved = std::move(secret);
  CHECK(to_hex(secret.key()) == std::string(64, '0'));
  CHECK(to_hex(moved.key()) != std::string(64, '0'));

  // Destroyed in place, so that the memory can still be looked at.
  alignas(secret_bytes<32>) std::array<std::byte, sizeof(secret_bytes<32>)> memory;
  auto* bytes = new (memory.data()) secret_bytes<32>(moved.key());
  bytes->~secret_bytes();
  CHECK(to_hex(memory) == std::string(64, '0'));
}
