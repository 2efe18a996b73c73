#include "cli/status_line.hpp"

#include "runtime/observe/log.hpp"

#include <utility>

namespace troupe::cli {

status_line::status_line(std::shared_ptr<generation_service> service)
    : service_(std::move(service)), last_(service_->status()) {}

void status_line::tick(std::chrono::duration<double> since_last) {
  const service_status now = service_->status();
  const auto n_prompt = now.prompt_tokens_total - last_.prompt_tokens_total;
  const auto n_generated = now.generation_tokens_total - last_.generation_tokens_total;
  const bool busy = n_prompt + n_generated > 0 || now.requests_running + now.requests_waiting > 0;
  last_ = now;
  if (!busy) return;
  log(log_level::info, "serve", "status",
      {{"running", now.requests_running},
       {"waiting", now.requests_waiting},
       {"prompt_tokens_s", static_cast<double>(n_prompt) / since_last.count()},
       {"generation_tokens_s", static_cast<double>(n_generated) / since_last.count()},
       {"kv_used", now.kv_blocks_total == 0 ? 0.0 : static_cast<double>(now.kv_blocks_used) / now.kv_blocks_total}});
}

}  // namespace troupe::cli
