#include "runtime/http/event_parser.hpp"

#include <utility>

namespace troupe::http {

result<bool> event_parser::feed(std::string_view bytes, const callback& on_event) {
  while (!bytes.empty() && !stopped_) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const auto end = bytes.find_first_of("\r\n");
    const auto part = bytes.substr(0, end);
    if (line_.size() + event_.data.size() + part.size() > max_event_bytes_) {
      stopped_ = true;
      return make_error(errc::too_large,
                        "The server sent an event longer than " + std::to_string(max_event_bytes_) + " bytes.");
    }
    line_ += part;
    if (end == std::string_view::npos) break;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (!end_line(on_event)) stopped_ = true;
  }
  return !stopped_;
}

bool event_parser::end_line(const callback& on_event) {
  auto whole = std::exchange(line_, {});
  std::string_view line = whole;
  if (std::exchange(at_begin_, false) && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  if (line.empty()) {
    bool wants_more = true;
    if (std::exchange(has_data_, false)) {
      event_.data.pop_back();  // the line break after the last line
      wants_more = on_event(event_);
    }
    event_.data.clear();
    event_.type = "message";
    return wants_more;
  }
  if (line.front() == ':') return true;
  const auto colon = line.find(':');
  auto value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  take_field(line.substr(0, colon), value);
  return true;
}

void event_parser::take_field(std::string_view name, std::string_view value) {
  if (name == "data") {
    event_.data.append(value) += '\n';
    has_data_ = true;
  } else if (name == "event") {
    event_.type = value.empty() ? "message" : std::string(value);
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    event_.id = std::string(value);
  }  // "retry" is for clients that reconnect; unknown fields are ignored
}

}  // namespace troupe::http
