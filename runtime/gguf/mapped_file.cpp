#include "runtime/gguf/mapped_file.hpp"

#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe {
namespace {

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

}  // namespace

result<mapped_file> mapped_file::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
  const descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return failed_call(path, "open the file", errno);
  struct stat status = {};
  if (::fstat(file.fd, &status) != 0) return failed_call(path, "read the file's size", errno);
  if (!S_ISREG(status.st_mode))
    return make_error(errc::invalid_argument, path.string() + ": this is not a regular file.");
  if (status.st_size == 0) return make_error(errc::corrupt, path.string() + ": the file is empty.");
  const auto size = static_cast<std::size_t>(status.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (address == MAP_FAILED) return failed_call(path, "map the file into memory", errno);
  return mapped_file(std::span(static_cast<const std::byte*>(address), size));
}

mapped_file::mapped_file(mapped_file&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

mapped_file& mapped_file::operator=(mapped_file&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

mapped_file::~mapped_file() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void mapped_file::release(std::span<const std::byte> part) const {
  if (part.empty()) return;
  TROUPE_ASSERT(part.data() >= bytes_.data() && part.data() + part.size() <= bytes_.data() + bytes_.size(),
                "release() of bytes outside the mapping");
  // Rounded outwards: a page shared with a neighbour is fetched again when the neighbour is read.
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(part.data()) / page * page;
  const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(part.data()) + part.size();
  // Advice only: a kernel that declines it costs memory, not correctness.
  (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace troupe
