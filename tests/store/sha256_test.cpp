#include "runtime/store/sha256.hpp"

#include "catch.hpp"

#include <cstdlib>
#include <fstream>

using namespace troupe;

// The examples of FIPS 180-4 and NIST's "million a".
TEST_CASE("SHA-256 agrees with the standard's examples") {
  const auto path = std::filesystem::temp_directory_path() / ("troupe_sha256_" + std::to_string(std::rand()));
  const auto digest = [&](const std::string& content) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    return *sha256_of_file(path);
  };
  CHECK(digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digest(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  CHECK(sha256_of_file(path, [](std::uint64_t) { return false; }).error().code == errc::cancelled);
  std::filesystem::remove(path);
  CHECK(sha256_of_file(path).error().code == errc::not_found);
}
