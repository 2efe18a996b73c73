// Server-sent events from bytes, as the HTML standard says (section 9.2.6): lines end in LF, CR or CRLF, several data
// lines are one event's lines, a line that begins with a colon is a comment, and an event that the stream's end cuts
// short is none. Bytes may be cut anywhere, within a line ending or a byte order mark too.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace troupe::http {

struct server_event {
  std::string type = "message";
  std::string data;
  std::string id;  // the last one given, by this event or an earlier one
};

class event_parser {
 public:
  /// False stops the parser: the rest of the bytes is ignored.
  using callback = std::function<bool(const server_event&)>;

  explicit event_parser(std::size_t max_event_bytes = 16 * 1024 * 1024) : max_event_bytes_(max_event_bytes) {}

  /// Calls back for each event that these bytes complete. True as long as more is wanted; an error for an event over
  /// the limit.
  result<bool> feed(std::string_view bytes, const callback& on_event);

 private:
  bool end_line(const callback& on_event);
  void take_field(std::string_view name, std::string_view value);

  const std::size_t max_event_bytes_;
  std::string line_;
  server_event event_;
  bool has_data_ = false;
  bool after_cr_ = false;  // a LF that follows belongs to the same line ending
  bool at_begin_ = true;   // a byte order mark may come
  bool stopped_ = false;
};

}  // namespace troupe::http
