// An event as text: what stands after the time and level in a line for people, or in a JSON object.
#pragma once

#include "runtime/observe/log.hpp"

#include <span>
#include <string>
#include <string_view>

namespace troupe {

struct log_event {
  std::string_view component, message, request_id;
  std::span<const log_field> fields;
};

/// gateway [request] message key=value key="two words"
std::string text_line(const log_event& event);
/// "component":"gateway","request":"…","message":"…","key":value — the inside of an object
std::string json_members(const log_event& event);

}  // namespace troupe
