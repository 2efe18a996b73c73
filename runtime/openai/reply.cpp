#include "runtime/openai/reply.hpp"

#include "runtime/openai/errors.hpp"

namespace troupe::openai {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::steady_clock;

reply::reply(std::shared_ptr<http::response_stream> stream, http::header_list headers, request_record record,
             record_sink sink)
    : stream_(std::move(stream)),
      headers_(std::move(headers)),
      record_(std::move(record)),
      sink_(std::move(sink)),
      arrival_(steady_clock::now()) {}

void reply::finish(int status, std::string_view error_code) {
  record_.status = status;
  record_.error_code = error_code;
  record_.duration = duration_cast<microseconds>(steady_clock::now() - arrival_);
  if (const auto sink = std::exchange(sink_, nullptr)) sink(record_);
}

void reply::send(http::response whole) {
  const int status = whole.status;
  whole.headers.insert(whole.headers.end(), headers_.begin(), headers_.end());
  stream_->send(std::move(whole));
  finish(status, {});
}

void reply::refuse(const error& failure, std::string_view allowed_methods) {
  http::response response = error_response(failure, allowed_methods);
  response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
  stream_->send(std::move(response));
  const error_shape shape = shape_of(failure);
  finish(shape.status, shape.code);
}

void reply::start_events() {
  record_.streamed = true;
  stream_->start_events(headers_);
}

void reply::send_event(std::string_view data) {
  stream_->send_event(data);
}

void reply::end_events() {
  stream_->end_events();
  finish(200, {});
}

void reply::fail_events(const error& failure) {
  stream_->send_event(error_body(failure));
  stream_->end_events();
  finish(200, shape_of(failure).code);
}

void reply::on_disconnect(std::function<void()> callback) {
  stream_->on_disconnect(std::move(callback));
}

void reply::abandon() {
  record_.client_gone = true;
  const error_shape shape = shape_of(error{errc::cancelled, {}, {}});
  finish(shape.status, shape.code);
}

void reply::note_first_token() {
  if (record_.first_token.count() == 0)
    record_.first_token = duration_cast<microseconds>(steady_clock::now() - arrival_);
}

}  // namespace troupe::openai
