#include "cli/log_setup.hpp"

#include "runtime/observe/log.hpp"
#include "runtime/observe/metrics.hpp"
#include "runtime/openai/reply.hpp"

#include <string>

namespace troupe::cli {

result<> open_log(const serve_options& options) {
  const auto level = parse_log_level(options.log_level);
  if (!level) return make_error(errc::invalid_argument, "unknown log level '" + options.log_level + "'.", "log-level");
  return configure_log({options.log_format == "json" ? log_format::json : log_format::text, *level, options.log_file});
}

void log_http_request(const openai::request_record& record, metrics& figures) {
  figures.count_http_request(record.route.empty() ? "none" : record.route, record.status);
  if (record.status >= 400) figures.count_rejected_request(record.error_code);
  const auto level = record.status >= 500 ? log_level::warning : log_level::debug;
  if (!log_enabled(level)) return;
  const auto milliseconds = [](std::chrono::microseconds span) { return static_cast<double>(span.count()) / 1e3; };
  log(level, "http", record.client_gone ? "client gone" : "answered",
      {{"method", record.method},
       {"route", record.route},
       {"status", record.status},
       {"error", record.error_code},
       {"ms", milliseconds(record.duration)},
       {"first_token_ms", milliseconds(record.first_token)},
       {"prompt_tokens", record.usage.prompt_tokens},
       {"completion_tokens", record.usage.completion_tokens},
       {"traceparent", record.traceparent}},
      record.id);
}

}  // namespace troupe::cli
