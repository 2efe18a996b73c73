// Uses the installed client API as far as one can without a server: nobody listens on port 1.
#include <iostream>

#include <troupe/client.hpp>

int main() {
  const auto client =
      troupe::client::connect("http://127.0.0.1:1", {.connect_timeout = std::chrono::milliseconds(500)});
  if (client) {
    std::cerr << "connected to nobody\n";
    return 1;
  }
  std::cout << client.error().message << '\n';
  return client.error().code == troupe::errc::unavailable ? 0 : 1;
}
