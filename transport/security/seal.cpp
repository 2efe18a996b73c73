#include "transport/security/seal.hpp"

#include "base/assert.hpp"
#include "base/failpoint.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include <openssl/evp.h>

namespace troupe::transport {

void detail::cipher_context_deleter::operator()(evp_cipher_ctx_st* context) const {
  EVP_CIPHER_CTX_free(context);  // wipes the key
}

namespace {

using detail::cipher_context;

enum class direction : int { opening = 0, sealing = 1 };  // as EVP_CipherInit_ex counts them

const unsigned char* raw(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

unsigned char* raw(std::span<std::byte> bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

result<cipher_context> make_context(const traffic_key& key, direction which) {
  cipher_context context(EVP_CIPHER_CTX_new());
  if (failpoint("security.cipher") || !context ||
      EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, raw(key.key.bytes()), nullptr,
                        static_cast<int>(which)) != 1)
    return make_error(errc::internal, "OpenSSL refused to prepare AES-256-GCM for a session.");
  return context;
}

std::array<unsigned char, 12> nonce_of(const std::array<std::byte, 4>& salt, std::uint64_t sequence) {
  std::array<unsigned char, 12> nonce;
  std::ranges::transform(salt, nonce.begin(), [](std::byte byte) { return std::to_integer<unsigned char>(byte); });
  for (std::size_t i = 0; i < 8; ++i)
    nonce[4 + i] = static_cast<unsigned char>(sequence >> (56 - 8 * i));
  return nonce;
}

bool update(evp_cipher_ctx_st* context, unsigned char* out, std::span<const std::byte> in) {
  int written = 0;
  return in.empty() || EVP_CipherUpdate(context, out, &written, raw(in), static_cast<int>(in.size())) == 1;
}

// GCM has nothing left to write at the end.
bool finish(evp_cipher_ctx_st* context) {
  unsigned char nothing[16];
  int written = 0;
  return EVP_CipherFinal_ex(context, nothing, &written) == 1;
}

// New nonce, same key: OpenSSL keeps the key's schedule.
bool start(evp_cipher_ctx_st* context, const std::array<std::byte, 4>& salt, std::uint64_t sequence) {
  return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce_of(salt, sequence).data(), -1) == 1;
}

bool control_tag(evp_cipher_ctx_st* context, int what, std::span<std::byte, seal_tag_bytes> tag) {
  return EVP_CIPHER_CTX_ctrl(context, what, static_cast<int>(tag.size()), tag.data()) == 1;
}

bool may_share(std::span<const std::byte> in, std::span<const std::byte> out) {
  const std::less_equal<const std::byte*> not_after;
  return in.empty() || out.empty() || in.data() == out.data() || not_after(in.data() + in.size(), out.data()) ||
         not_after(out.data() + out.size(), in.data());
}

}  // namespace

sealer::sealer(cipher_context context, std::array<std::byte, 4> salt, std::uint64_t most_bytes)
    : context_(std::move(context)), salt_(salt), most_bytes_(most_bytes) {}

result<sealer> sealer::make(const traffic_key& key, std::uint64_t most_bytes) {
  auto context = make_context(key, direction::sealing);
  if (!context) return context.error();
  return sealer(*std::move(context), key.salt, most_bytes);
}

result<> sealer::seal(std::uint64_t sequence, std::span<const std::byte> aad, std::span<const std::byte> plaintext,
                      std::span<std::byte> out) {
  TROUPE_ASSERT(context_ != nullptr, "a sealer that was moved from");
  TROUPE_ASSERT(sequence >= next_sequence_ && sequence < UINT64_MAX, "a sequence sealed twice or out of order");
  TROUPE_ASSERT(out.size() == plaintext.size() + seal_tag_bytes,
                "a sealed frame is 16 bytes longer than the plain one");
  TROUPE_ASSERT(may_share(plaintext, out), "sealing into a buffer that overlaps with the plaintext");
  next_sequence_ = sequence + 1;
  if (plaintext.size() > longest_sealed_payload || aad.size() > longest_sealed_payload)
    return make_error(errc::too_large, "A frame of " + std::to_string(plaintext.size()) +
                                           " bytes cannot be sealed; the longest has 1 GiB.");
  if (plaintext.size() > most_bytes_ - sealed_bytes_)
    return make_error(errc::unavailable, "The session has sealed all that its key may; open a new session.");
  sealed_bytes_ += plaintext.size();
  const auto tag = out.last<seal_tag_bytes>();
  if (!start(context_.get(), salt_, sequence) || !update(context_.get(), nullptr, aad) ||
      !update(context_.get(), raw(out), plaintext) || !finish(context_.get()) ||
      !control_tag(context_.get(), EVP_CTRL_AEAD_GET_TAG, tag))
    return make_error(errc::internal, "OpenSSL refused to seal a frame.");
  return {};
}

opener::opener(cipher_context context, std::array<std::byte, 4> salt) : context_(std::move(context)), salt_(salt) {}

result<opener> opener::make(const traffic_key& key) {
  auto context = make_context(key, direction::opening);
  if (!context) return context.error();
  return opener(*std::move(context), key.salt);
}

bool opener::open(std::uint64_t sequence, std::span<const std::byte> aad, std::span<const std::byte> sealed,
                  std::span<std::byte> out) {
  TROUPE_ASSERT(context_ != nullptr, "an opener that was moved from");
  if (sealed.size() < seal_tag_bytes) {
    wipe(out);
    return false;
  }
  const auto ciphertext = sealed.first(sealed.size() - seal_tag_bytes);
  TROUPE_ASSERT(out.size() == ciphertext.size(), "an opened frame is 16 bytes shorter than the sealed one");
  TROUPE_ASSERT(may_share(ciphertext, out), "opening into a buffer that overlaps with the sealed frame");
  std::array<std::byte, seal_tag_bytes> tag;
  std::ranges::copy(sealed.last<seal_tag_bytes>(), tag.begin());
  const bool good = sequence >= next_sequence_ && sequence < UINT64_MAX &&
                    ciphertext.size() <= longest_sealed_payload && aad.size() <= longest_sealed_payload &&
                    start(context_.get(), salt_, sequence) && update(context_.get(), nullptr, aad) &&
                    update(context_.get(), raw(out), ciphertext) &&
                    control_tag(context_.get(), EVP_CTRL_AEAD_SET_TAG, tag) && finish(context_.get());
  if (good)
    next_sequence_ = sequence + 1;
  else
    wipe(out);  // what was decrypted is nobody's word
  return good;
}

}  // namespace troupe::transport
