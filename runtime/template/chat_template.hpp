// Chat templates: the subset of Jinja that models' `tokenizer.chat_template` use, so that a list of messages becomes a
// prompt. Tested against Python's jinja2.
#pragma once

#include "base/result.hpp"

#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace troupe {

class chat_template {
 public:
  /// Errors name the line and what is wrong or not supported. Sources over 64 KiB or nested deeper than 64 are refused.
  static result<std::shared_ptr<const chat_template>> parse(std::string_view source);
  virtual ~chat_template() = default;

  /// context: an object; its members are the template's variables (messages, add_generation_prompt, bos_token, tools,
  /// …). strftime_now('…') in the template tells the present time in UTC; an integer in the context under its name is
  /// taken as that time, in seconds since 1970. raise_exception('…') in the template comes out as invalid_argument with
  /// its words. Output over max_bytes is refused.
  virtual result<std::string> render(const nlohmann::ordered_json& context, std::size_t max_bytes = 8 << 20) const = 0;
};

}  // namespace troupe
