// Base64 (RFC 4648, with padding): how etcd's JSON carries keys and values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace troupe {

std::string encode_base64(std::string_view bytes);

/// nullopt for anything that encode_base64 does not write.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace troupe
