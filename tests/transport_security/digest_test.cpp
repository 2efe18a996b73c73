// The published vectors: RFC 5869 (HKDF), RFC 4231 (HMAC), FIPS 180-4 (SHA-256).
#include "transport/security/digest.hpp"

#include "base/failpoint.hpp"
#include "catch.hpp"
#include "handshake_pair.hpp"

using namespace troupe;
using namespace troupe::transport::security;
using namespace troupe::test;

TEST_CASE("SHA-256 and HMAC agree with their standards", "[security][digest]") {
  CHECK(to_hex(*sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(to_hex(*sha256(bytes_of("abc"))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(*hmac_sha256(message_bytes(20, std::byte{0x0b}), bytes_of("Hi There"))) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(to_hex(*hmac_sha256(bytes_of("Jefe"), bytes_of("what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  // A key longer than a block is hashed first.
  CHECK(to_hex(*hmac_sha256(message_bytes(131, std::byte{0xaa}),
                            bytes_of("Test Using Larger Than Block-Size Key - Hash Key First"))) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("HKDF agrees with RFC 5869", "[security][digest]") {
  const auto okm = [](const message_bytes& key, const message_bytes& salt, const message_bytes& info,
                      std::size_t size) {
    message_bytes out(size);
    REQUIRE(hkdf_sha256(key, salt, info, out).has_value());
    return to_hex(out);
  };
  const auto counting = [](unsigned from, unsigned to) {
    message_bytes out;
    for (unsigned i = from; i < to; ++i)
      out.push_back(static_cast<std::byte>(i));
    return out;
  };
  CHECK(okm(message_bytes(22, std::byte{0x0b}), counting(0, 0x0d), counting(0xf0, 0xfa), 42) ==
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  CHECK(
      okm(counting(0, 0x50), counting(0x60, 0xb0), counting(0xb0, 0x100), 82) ==
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8"
      "367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
  CHECK(okm(message_bytes(22, std::byte{0x0b}), {}, {}, 42) ==
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST_CASE("equal means equal in every byte", "[security][digest]") {
  digest256 a{};
  a.fill(std::byte{7});
  digest256 b = a;
  CHECK(equal_in_constant_time(a, b));
  for (std::size_t i = 0; i < a.size(); ++i) {
    b[i] ^= std::byte{1};
    CHECK(!equal_in_constant_time(a, b));
    b[i] = a[i];
  }
}

TEST_CASE("a digest that OpenSSL refuses is an error", "[security][digest]") {
  arm_failpoint("security.sha256");
  CHECK(sha256({}).error().code == errc::internal);
  for (std::uint32_t nth = 1; nth <= 4; ++nth) {  // extract, and three blocks of the expansion
    arm_failpoint("security.hmac", nth);
    message_bytes out(72);
    CHECK(hkdf_sha256(bytes_of("key"), bytes_of("salt"), {}, out).error().code == errc::internal);
  }
  disarm_failpoints();
}
