#include "raw_client.hpp"

#include <algorithm>
#include <array>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace troupe::http::test {

raw_client::raw_client(std::uint16_t port, int receive_buffer) {
  descriptor_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer > 0) setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  const int yes = 1;
  setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(descriptor_);
    descriptor_ = -1;
  }
}

raw_client::~raw_client() {
  if (descriptor_ >= 0) close(descriptor_);
}

bool raw_client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

raw_client::outcome raw_client::read_some(std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  pollfd waited{descriptor_, POLLIN, 0};
  if (poll(&waited, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) <= 0) return outcome::nothing;
  std::array<char, 16 * 1024> buffer;
  const auto size = recv(descriptor_, buffer.data(), buffer.size(), 0);
  if (size <= 0) return outcome::end;
  received_.append(buffer.data(), static_cast<std::size_t>(size));
  return outcome::bytes;
}

bool raw_client::read_until(std::string_view text, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (received_.find(text) == std::string::npos) {
    if (read_some(deadline) != outcome::bytes) return false;
  }
  return true;
}

bool raw_client::read_to_end(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    switch (read_some(deadline)) {
      case outcome::bytes:
        break;
      case outcome::end:
        return true;
      case outcome::nothing:
        return false;
    }
  }
}

void raw_client::finish_sending() {
  shutdown(descriptor_, SHUT_WR);
}

void raw_client::reset() {
  const linger now{1, 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(descriptor_);
  descriptor_ = -1;
}

}  // namespace troupe::http::test
