#include "actors/protocols/membership.hpp"

namespace troupe {

std::optional<std::uint8_t> parse_roles(std::string_view text) {
  std::uint8_t roles = 0;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const auto role = text.substr(0, comma);
    if (role == "worker")
      roles |= worker_role::both;
    else if (role == "prefill")
      roles |= worker_role::prefill;
    else if (role == "decode")
      roles |= worker_role::decode;
    else
      return std::nullopt;
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return roles == 0 ? std::nullopt : std::optional(roles);
}

std::string roles_to_string(std::uint8_t roles) {
  if (roles == worker_role::both) return "worker";
  if (roles == worker_role::prefill) return "prefill";
  if (roles == worker_role::decode) return "decode";
  return "none";
}

std::string_view to_string(member_condition condition) {
  return condition == member_condition::serving ? "serving" : "draining";
}

std::string_view to_string(member_state state) {
  switch (state) {
    case member_state::searching:
      return "searching";
    case member_state::joining:
      return "joining";
    case member_state::serving:
      return "serving";
    case member_state::leaving:
      return "leaving";
    case member_state::gone:
      return "gone";
  }
  return "unknown";
}

std::string_view to_string(member_event event) {
  switch (event) {
    case member_event::found:
      return "found";
    case member_event::joined:
      return "joined";
    case member_event::refused:
      return "refused";
    case member_event::refused_for_good:
      return "refused_for_good";
    case member_event::down:
      return "down";
    case member_event::leave:
      return "leave";
  }
  return "unknown";
}

std::optional<member_state> next(member_state state, member_event event) {
  switch (state) {
    case member_state::searching:
      if (event == member_event::found) return member_state::joining;
      if (event == member_event::leave) return member_state::gone;
      return std::nullopt;
    case member_state::joining:
      if (event == member_event::joined) return member_state::serving;
      if (event == member_event::refused || event == member_event::down) return member_state::searching;
      if (event == member_event::refused_for_good || event == member_event::leave) return member_state::gone;
      return std::nullopt;
    case member_state::serving:
      if (event == member_event::down) return member_state::searching;
      if (event == member_event::leave) return member_state::leaving;
      return std::nullopt;
    case member_state::leaving:
      if (event == member_event::down) return member_state::gone;
      return std::nullopt;
    case member_state::gone:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace troupe
