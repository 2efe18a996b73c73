// Text from tokens as they come: gives out whole characters only, keeping an incomplete one back.
#pragma once

#include <string>
#include <string_view>

namespace troupe {

class stream_decoder {
 public:
  /// Appends one token's bytes; returns the characters that are complete now. Invalid bytes become U+FFFD.
  std::string push(std::string_view token_bytes);
  /// The end of the stream: an incomplete character comes out as U+FFFD.
  std::string finish();

 private:
  std::string pending_;  // at most three bytes
};

}  // namespace troupe
