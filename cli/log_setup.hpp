// The server's settings as the log takes them, and one line for each HTTP request.
#pragma once

#include "base/result.hpp"
#include "cli/settings.hpp"

namespace troupe {
class metrics;
namespace openai {
struct request_record;
}
}  // namespace troupe

namespace troupe::cli {

result<> open_log(const serve_options& options);
void log_http_request(const openai::request_record& record, metrics& figures);

}  // namespace troupe::cli
