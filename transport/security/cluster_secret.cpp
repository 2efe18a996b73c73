#include "transport/security/cluster_secret.hpp"

#include "transport/security/digest.hpp"
#include "transport/security/secure_random.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe::transport {
namespace {

constexpr std::size_t fewest_raw_bytes = 32;
constexpr std::size_t fewest_hex_digits = 64;
constexpr std::size_t fewest_characters = 43;  // base64 of 32 bytes, without padding
// 32 random bytes hold 8 different ones but for one time in 10^27; files of zeros and of one repeated word do not.
constexpr std::size_t fewest_different_bytes = 8;
constexpr const char* how_to_make_one = " \"head -c 32 /dev/urandom | base64\" makes a good one.";

struct descriptor {
  int fd;
  ~descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

error failed_call(const std::filesystem::path& path, const char* what, int number) {
  const bool absent = number == ENOENT || number == ENOTDIR;
  return make_error(absent ? errc::not_found : errc::unavailable,
                    path.string() + ": cannot " + what + ": " + std::generic_category().message(number) + ".");
}

std::string octal(unsigned mode) {
  std::string digits;
  for (int shift = 9; shift >= 0; shift -= 3)
    digits += static_cast<char>('0' + ((mode >> shift) & 7));
  return digits;
}

bool is_hex_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// The bytes that count, or a sentence without the file's name.
result<std::span<const std::byte>> significant_bytes(std::span<const std::byte> content) {
  std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
  if (text.ends_with('\n')) text.remove_suffix(text.ends_with("\r\n") ? 2 : 1);
  const bool is_text = security::is_printable(text, ' ');
  const auto bytes = is_text ? content.first(text.size()) : content;
  const bool is_hex = is_text && std::ranges::all_of(text, is_hex_digit);
  const std::size_t fewest = is_hex ? fewest_hex_digits : is_text ? fewest_characters : fewest_raw_bytes;
  if (bytes.size() < fewest) {
    const char* unit = is_hex ? " hexadecimal digits" : is_text ? " characters" : " bytes";
    return make_error(errc::invalid_argument, "the secret has " + std::to_string(bytes.size()) + unit + " and needs " +
                                                  std::to_string(fewest) + " or more, those of 32 random bytes;" +
                                                  how_to_make_one);
  }
  std::bitset<256> seen;
  for (const std::byte byte : bytes)
    seen.set(std::to_integer<std::size_t>(byte));
  if (seen.count() < fewest_different_bytes)
    return make_error(errc::invalid_argument, "the secret repeats " + std::to_string(seen.count()) +
                                                  " bytes over and over, and must be random;" + how_to_make_one);
  return bytes;
}

result<> check_status(const std::filesystem::path& path, const struct stat& status) {
  if (!S_ISREG(status.st_mode))
    return make_error(errc::invalid_argument, path.string() + ": the cluster secret must be a regular file.");
  if (status.st_uid != ::geteuid() && status.st_uid != 0)
    return make_error(errc::invalid_argument,
                      path.string() + ": the file belongs to user " + std::to_string(status.st_uid) +
                          "; it must belong to this process's user, " + std::to_string(::geteuid()) + ", or to root.");
  const unsigned mode = status.st_mode & 07777;
  if ((mode & ~0600U) != 0)
    return make_error(errc::invalid_argument,
                      path.string() + ": the file has mode " + octal(mode) +
                          " and others could read or change it; \"chmod 600\" makes it private.");
  return {};
}

error too_large() {
  return make_error(errc::too_large,
                    "the secret is larger than 4096 bytes; 32 random bytes are enough;" + std::string(how_to_make_one));
}

// Overwritten on the way out, whichever way that is.
struct wiped_buffer {
  std::array<std::byte, largest_secret_file + 1> bytes{};  // one more, to see that a file is too large
  ~wiped_buffer() { wipe(bytes); }
};

result<std::size_t> read_all(const std::filesystem::path& path, int fd, std::span<std::byte> into) {
  std::size_t size = 0;
  while (size < into.size()) {
    const ssize_t n = ::read(fd, into.data() + size, into.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed_call(path, "read the cluster secret", errno);
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  return size;
}

result<> write_all(const std::filesystem::path& path, int fd, std::span<const std::byte> bytes) {
  // The mode that open() was given is less what the process's umask takes away.
  if (::fchmod(fd, 0600) != 0) return failed_call(path, "set the mode of the new cluster secret", errno);
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed_call(path, "write the new cluster secret", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  if (::fsync(fd) != 0) return failed_call(path, "write the new cluster secret", errno);
  return {};
}

}  // namespace

cluster_secret cluster_secret::none() {
  constexpr std::string_view known = "troupe: a cluster with no secret";
  static_assert(known.size() == 32);
  return {std::as_bytes(std::span<const char, 32>(known.data(), 32)), true};
}

result<cluster_secret> cluster_secret::from(std::span<const std::byte> content) {
  if (content.size() > largest_secret_file) return too_large();
  const auto bytes = significant_bytes(content);
  if (!bytes) return bytes.error();
  auto digest = security::sha256(*bytes);
  if (!digest) return digest.error();
  cluster_secret secret(*digest, false);
  wipe(*digest);
  return secret;
}

result<cluster_secret> read_cluster_secret(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
  const descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (file.fd < 0) return failed_call(path, "open the cluster secret", errno);
  struct stat status = {};
  if (::fstat(file.fd, &status) != 0) return failed_call(path, "look at the cluster secret", errno);
  if (const auto checked = check_status(path, status); !checked) return checked.error();
  wiped_buffer buffer;
  const auto size = read_all(path, file.fd, buffer.bytes);
  if (!size) return size.error();
  auto secret = cluster_secret::from(std::span(buffer.bytes).first(*size));
  if (!secret) return make_error(secret.error().code, path.string() + ": " + secret.error().message);
  return secret;
}

result<> create_cluster_secret(const std::filesystem::path& path) {
  secret_bytes<32> random;
  if (const auto filled = fill_with_secure_random(random.writable()); !filled) return filled.error();
  secret_bytes<fewest_hex_digits + 1> text;
  constexpr std::string_view digits = "0123456789abcdef";
  auto out = text.writable().begin();
  for (const std::byte byte : random.bytes()) {
    *out++ = static_cast<std::byte>(digits[std::to_integer<std::size_t>(byte >> 4)]);
    *out++ = static_cast<std::byte>(digits[std::to_integer<std::size_t>(byte & std::byte{15})]);
  }
  *out = std::byte{'\n'};

  const descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (file.fd < 0 && errno == EEXIST)
    return make_error(errc::invalid_argument, path.string() +
                                                  ": the file exists already, and a secret is never "
                                                  "overwritten; name a new file, or delete this one first.");
  if (file.fd < 0) return failed_call(path, "create the cluster secret", errno);
  auto written = write_all(path, file.fd, text.bytes());
  if (!written) (void)::unlink(path.c_str());  // half a secret is worse than none
  return written;
}

}  // namespace troupe::transport
