#include "actors/registry/etcd_base64.hpp"

#include <algorithm>
#include <cstdint>

namespace troupe {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string encode_base64(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < n ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      text += j <= n ? alphabet[group >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const auto digit = alphabet.find(text[i + j]);
      group = group << 6 | (digit == std::string_view::npos ? 0u : static_cast<std::uint32_t>(digit));
    }
    for (std::size_t shift : {16u, 8u, 0u})
      bytes += static_cast<char>(group >> shift & 255);
  }
  for (int padding = 0;
       padding < 2 && !bytes.empty() && text[text.size() - 1 - static_cast<std::size_t>(padding)] == '='; ++padding)
    bytes.pop_back();
  // Bad digits, padding in the middle and stray bits all show as a difference here.
  if (encode_base64(bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace troupe
