#include "runtime/tokenizer/stream_decoder.hpp"

#include "base/utf8.hpp"

namespace troupe {

std::string stream_decoder::push(std::string_view token_bytes) {
  std::string bytes = std::move(pending_);
  bytes.append(token_bytes);
  const std::size_t complete = bytes.size() - incomplete_utf8_suffix(bytes);
  pending_ = bytes.substr(complete);
  bytes.resize(complete);
  return repair_utf8(bytes);
}

std::string stream_decoder::finish() {
  std::string text = repair_utf8(pending_);
  pending_.clear();
  return text;
}

}  // namespace troupe
