#include "runtime/http/client.hpp"

#include "runtime/http/event_parser.hpp"
#include "runtime/http/response_parser.hpp"
#include "runtime/http/text.hpp"
#include "runtime/http/url.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace troupe::http {

namespace {

using steady = std::chrono::steady_clock;

class file_descriptor {
 public:
  explicit file_descriptor(int number = -1) : number_(number) {}
  file_descriptor(file_descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  file_descriptor& operator=(file_descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~file_descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }

 private:
  int number_;
};

std::string reason(int code) {
  return std::generic_category().message(code);
}

result<std::string> format_request(std::string_view method, const url& target, const header_list& headers,
                                   std::string_view body) {
  if (!is_header_name(method))
    return make_error(errc::invalid_argument, "The method is not a word such as GET.", "method");
  std::string text(method);
  text += " " + target.target + " HTTP/1.1\r\nhost: " + target.authority + "\r\nconnection: close\r\n";
  if (!body.empty() || method == "POST" || method == "PUT")
    text += "content-length: " + std::to_string(body.size()) + "\r\n";
  for (const auto& [name, value] : headers) {
    if (!is_header_name(name) || safe_header_value(value) != value) {
      return make_error(errc::invalid_argument,
                        "The header \"" + safe_header_value(name) + "\" has characters that no header may have.",
                        "headers");
    }
    text += name + ": " + value + "\r\n";
  }
  text += "\r\n";
  return text.append(body);
}

}  // namespace

struct client::implementation {
  explicit implementation(client_limits limits)
      : bounds(limits), cancelled_event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  client_limits bounds;
  file_descriptor cancelled_event;  // readable from cancel() on: poll() sees it beside the socket
  file_descriptor connection;

  /// Waits for the connection to be ready for `what`.
  result<> wait(short what, steady::time_point deadline) const {
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady::now()).count();
      std::array<pollfd, 2> waited{pollfd{connection.get(), what, 0}, pollfd{cancelled_event.get(), POLLIN, 0}};
      const int ready =
          poll(waited.data(), waited.size(), static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000'000)));
      if (ready < 0 && errno == EINTR) continue;
      if (ready < 0) return make_error(errc::internal, "poll: " + reason(errno));
      if (waited[1].revents != 0) return make_error(errc::cancelled, "The call was cancelled.");
      if (waited[0].revents != 0) return {};
      if (left <= 0) return make_error(errc::deadline_exceeded, "The server did not answer in time.");
    }
  }

  result<> connect_to(const url& target, steady::time_point deadline) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int failure = getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &found); failure != 0) {
      return make_error(errc::unavailable, "Cannot find the host " + target.host + " (" + gai_strerror(failure) + ").",
                        "url");
    }
    result<> outcome = make_error(errc::unavailable, "The host " + target.host + " has no address.", "url");
    for (auto* each = found; each != nullptr; each = each->ai_next) {
      outcome = connect_to(*each, target, deadline);
      if (outcome || outcome.error().code == errc::cancelled) break;
    }
    freeaddrinfo(found);
    return outcome;
  }

  result<> connect_to(const addrinfo& address, const url& target, steady::time_point deadline) {
    connection = file_descriptor(
        socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol));
    const auto failed = [&](int code) {
      return make_error(errc::unavailable,
                        "Cannot connect to " + target.authority + " (" + reason(code) + "); is the server running?",
                        "url");
    };
    if (connection.get() < 0) return failed(errno);
    const int yes = 1;
    setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(connection.get(), address.ai_addr, address.ai_addrlen) == 0) return {};
    if (errno != EINPROGRESS) return failed(errno);
    if (auto waited = wait(POLLOUT, deadline); !waited) return waited;
    int code = 0;
    socklen_t size = sizeof code;
    getsockopt(connection.get(), SOL_SOCKET, SO_ERROR, &code, &size);
    if (code != 0) return failed(code);
    return {};
  }

  /// A server may answer (413, say) and close before it has read everything: then the answer is what counts.
  result<> send_all(std::string_view bytes, steady::time_point deadline) const {
    while (!bytes.empty()) {
      const auto sent = ::send(connection.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        if (auto waited = wait(POLLOUT, deadline); !waited) return waited;
      } else if (errno == EPIPE || errno == ECONNRESET) {
        return {};
      } else if (errno != EINTR) {
        return make_error(errc::unavailable,
                          "The connection was lost while the request was sent (" + reason(errno) + ").");
      }
    }
    return {};
  }

  /// The next bytes; none at the end.
  result<std::string_view> receive(std::span<char> buffer, steady::time_point deadline) const {
    for (;;) {
      const auto size = recv(connection.get(), buffer.data(), buffer.size(), 0);
      if (size >= 0) return std::string_view(buffer.data(), static_cast<std::size_t>(size));
      if (errno == EAGAIN) {
        if (auto waited = wait(POLLIN, deadline); !waited) return waited.error();
      } else if (errno != EINTR) {
        return make_error(errc::unavailable,
                          "The connection was lost before the answer was complete (" + reason(errno) + ").");
      }
    }
  }

  struct call {
    std::string_view method;
    std::string_view url;
    const header_list& headers;
    std::string_view body;
    steady::time_point deadline;
    std::optional<std::chrono::milliseconds> silence;  // moves the deadline with every byte
  };

  /// `on_headers` sees the head of the answer and gives the sink of its body.
  result<response> perform(call asked, const std::function<response_parser::body_sink(response&)>& on_headers) {
    const auto target = parse_url(asked.url);
    if (!target) return target.error();
    const auto text = format_request(asked.method, *target, asked.headers, asked.body);
    if (!text) return text.error();
    auto outcome = connect_to(*target, std::min(asked.deadline, steady::now() + bounds.connect_timeout));
    if (outcome) outcome = send_all(*text, asked.deadline);
    if (!outcome) return outcome.error();
    // 1xx answers come before the real one, each a message of its own. Bounded, since each is as cheap for a server as
    // it is idle.
    std::string rest;
    for (int interim = 0; interim < 8; ++interim) {
      response_parser parser(bounds.header_bytes, asked.method == "HEAD");
      outcome = read_answer(parser, std::exchange(rest, {}), asked, on_headers);
      if (!outcome) return outcome.error();
      if (parser.head().status >= 200) return std::move(parser.head());
      rest = parser.take_rest();
    }
    return make_error(errc::corrupt, "The server sends interim answers without end.");
  }

  /// `begin` is what came behind the answer before this one.
  result<> read_answer(response_parser& parser, std::string_view begin, call& asked,
                       const std::function<response_parser::body_sink(response&)>& on_headers) {
    std::array<char, 16 * 1024> buffer;
    std::string_view bytes = begin;
    for (;;) {
      const bool had_headers = parser.headers_done();
      auto fed = parser.feed(bytes);
      if (fed && !had_headers && parser.headers_done() && parser.head().status >= 200) {
        parser.set_body_sink(on_headers(parser.head()));
        fed = parser.feed({});
      }
      if (!fed) return fed;
      if (parser.complete() || parser.stopped()) return {};
      const auto received = receive(buffer, asked.deadline);
      if (!received) return received.error();
      if (received->empty()) return parser.feed_end();
      if (asked.silence) asked.deadline = steady::now() + *asked.silence;
      bytes = *received;
    }
  }
};

client::client(client_limits bounds) : implementation_(std::make_unique<implementation>(bounds)) {}

client::~client() = default;

result<response> client::request(std::string_view method, std::string_view url, const header_list& headers,
                                 std::string_view body, std::chrono::milliseconds timeout) {
  bool too_large = false;
  const auto limit = implementation_->bounds.body_bytes;
  auto answer =
      implementation_->perform({method, url, headers, body, steady::now() + timeout, {}}, [&](response& head) {
        return [&head, &too_large, limit](std::string_view piece) {
          if (head.body.size() + piece.size() > limit) {
            too_large = true;
            return false;
          }
          head.body += piece;
          return true;
        };
      });
  implementation_->connection = file_descriptor();
  if (answer && too_large)
    return make_error(errc::too_large, "The answer is longer than " + std::to_string(limit) + " bytes.");
  return answer;
}

result<response> client::stream_events(std::string_view url, const header_list& headers, std::string_view body,
                                       const std::function<bool(std::string_view)>& on_data,
                                       std::chrono::milliseconds silence) {
  const auto limit = implementation_->bounds.body_bytes;
  event_parser events(implementation_->bounds.event_bytes);
  std::optional<error> failure;
  const auto to_events = [&](std::string_view piece) {
    const auto fed = events.feed(piece, [&](const server_event& event) { return on_data(event.data); });
    if (!fed) failure = fed.error();
    return fed && *fed;
  };
  const auto to_body = [&](response& head, std::string_view piece) {
    if (head.body.size() + piece.size() > limit) {
      failure = make_error(errc::too_large, "The answer is longer than " + std::to_string(limit) + " bytes.");
      return false;
    }
    head.body += piece;
    return true;
  };
  auto answer =
      implementation_->perform({body.empty() ? "GET" : "POST", url, headers, body, steady::now() + silence, silence},
                               [&](response& head) -> response_parser::body_sink {
                                 if (head.status == 200 && head.content_type.starts_with("text/event-stream"))
                                   return to_events;
                                 return [&](std::string_view piece) { return to_body(head, piece); };
                               });
  implementation_->connection = file_descriptor();
  if (answer && failure) return *failure;
  return answer;
}

void client::cancel() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(implementation_->cancelled_event.get(), &one, sizeof one);
}

}  // namespace troupe::http
