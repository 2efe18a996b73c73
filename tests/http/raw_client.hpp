// A socket and nothing more: what the tests say is on the wire byte for byte, and a hostile client can say anything.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::http::test {

class raw_client {
 public:
  /// Connects to 127.0.0.1. `receive_buffer` > 0 makes the kernel hold little for a client that does not read.
  explicit raw_client(std::uint16_t port, int receive_buffer = 0);
  ~raw_client();
  raw_client(const raw_client&) = delete;
  raw_client& operator=(const raw_client&) = delete;

  bool connected() const { return descriptor_ >= 0; }
  /// False when the peer has reset the connection.
  bool send(std::string_view bytes);
  /// Reads until `text` has been seen (then false is never returned), the end, or the time is over. What was read is in
  /// received().
  bool read_until(std::string_view text, std::chrono::milliseconds patience = std::chrono::seconds(5));
  /// Reads until the peer ends or resets. False when it does neither in time.
  bool read_to_end(std::chrono::milliseconds patience = std::chrono::seconds(5));
  const std::string& received() const { return received_; }
  void forget() { received_.clear(); }
  /// shutdown(SHUT_WR)
  void finish_sending();
  /// Closes so that the peer gets a reset.
  void reset();
  int descriptor() const { return descriptor_; }

 private:
  enum class outcome { bytes, end, nothing };
  outcome read_some(std::chrono::steady_clock::time_point deadline);

  int descriptor_ = -1;
  std::string received_;
};

}  // namespace troupe::http::test
