// The log's periodic line: what the server has done since the last one. Silent while nothing happens.
#pragma once

#include "base/generation_service.hpp"

#include <chrono>
#include <memory>

namespace troupe::cli {

class status_line {
 public:
  explicit status_line(std::shared_ptr<generation_service> service);

  /// Logs if a token was computed since the last call, that long ago, or a request is there.
  void tick(std::chrono::duration<double> since_last);

 private:
  std::shared_ptr<generation_service> service_;
  service_status last_;
};

}  // namespace troupe::cli
