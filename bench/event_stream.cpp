#include "bench/event_stream.hpp"

#include <array>
#include <cstdlib>
#include <utility>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace troupe::bench {
namespace {

int connect_to(std::uint16_t port) {
  const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(made, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(made);
    return -1;
  }
  const int at_once = 1;
  ::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
  return made;
}

void send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // reading tells the rest
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

}  // namespace

event_stream::event_stream(std::uint16_t port, std::span<const token_id> prompt, std::uint32_t n_answer) {
  std::string body =
      R"({"stream":true,"temperature":0,"ignore_eos":true,"max_tokens":)" + std::to_string(n_answer) + R"(,"prompt":[)";
  for (std::size_t i = 0; i < prompt.size(); ++i)
    body += (i == 0 ? "" : ",") + std::to_string(prompt[i]);
  body += "]}";
  const std::string head =
      "POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
      "connection: close\r\ncontent-length: ";
  socket_ = connect_to(port);
  asked_ = clock::now();
  send_all(socket_, head + std::to_string(body.size()) + "\r\n\r\n" + body);
}

event_stream::event_stream(event_stream&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      asked_(other.asked_),
      arrivals_(std::move(other.arrivals_)),
      unread_(std::move(other.unread_)),
      complete_(other.complete_) {}

event_stream::~event_stream() {
  if (socket_ >= 0) ::close(socket_);
}

bool event_stream::read_some() {
  std::array<char, 16'384> bytes;
  const auto n = ::recv(socket_, bytes.data(), bytes.size(), 0);
  if (n <= 0) return false;
  const auto now = clock::now();
  unread_.append(bytes.data(), static_cast<std::size_t>(n));
  std::size_t begin = 0;
  for (auto end = unread_.find('\n'); end != std::string::npos; end = unread_.find('\n', begin)) {
    const std::string_view line = std::string_view(unread_).substr(begin, end - begin);
    if (line.starts_with("data: {") && line.find(R"("text":"")") == std::string_view::npos) arrivals_.push_back(now);
    complete_ = complete_ || line.starts_with("data: [DONE]");
    begin = end + 1;
  }
  unread_.erase(0, begin);
  return true;
}

void event_stream::read_all() {
  while (read_some()) {
  }
}

int http_status(std::uint16_t port, std::string_view path) {
  const int socket = connect_to(port);
  if (socket < 0) return 0;
  send_all(socket, "GET " + std::string(path) + " HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
  std::array<char, 16> line{};  // "HTTP/1.1 200 "
  const auto n = ::recv(socket, line.data(), 12, MSG_WAITALL);
  ::close(socket);
  return n == 12 ? std::atoi(line.data() + 9) : 0;
}

}  // namespace troupe::bench
