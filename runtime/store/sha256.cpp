#include "runtime/store/sha256.hpp"

#include <array>
#include <fstream>
#include <memory>
#include <vector>

#include <openssl/evp.h>

namespace troupe {

result<std::string> sha256_of_file(const std::filesystem::path& path,
                                   const std::function<bool(std::uint64_t)>& on_bytes) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return make_error(errc::not_found, path.string() + ": cannot open the file to compute its SHA-256.");
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  bool good = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  std::vector<char> buffer(std::size_t{1} << 20);
  std::uint64_t done = 0;
  while (good && in) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    const auto n = static_cast<std::size_t>(in.gcount());
    good = EVP_DigestUpdate(context.get(), buffer.data(), n) == 1;
    done += n;
    if (on_bytes && !on_bytes(done)) return make_error(errc::cancelled, "Checking the file's SHA-256 was cancelled.");
  }
  if (in.bad())
    return make_error(errc::unavailable, path.string() + ": reading failed at byte " + std::to_string(done) + ".");
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest = {};
  unsigned int length = 0;
  good = good && EVP_DigestFinal_ex(context.get(), digest.data(), &length) == 1;
  if (!good) return make_error(errc::internal, "OpenSSL refused to compute a SHA-256.");
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) {
    constexpr std::string_view digits = "0123456789abcdef";
    hex += digits[digest[i] >> 4];
    hex += digits[digest[i] & 15];
  }
  return hex;
}

}  // namespace troupe
