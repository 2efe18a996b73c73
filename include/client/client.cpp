#include "troupe/client.hpp"

#include "client/connection.hpp"

#include <utility>

namespace troupe {

void token_stream::source::put(stream_piece piece) {
  {
    std::lock_guard lock(mutex_);
    pieces_.push_back(std::move(piece));
  }
  changed_.notify_all();
}

void token_stream::source::end(stream_outcome outcome) {
  {
    std::lock_guard lock(mutex_);
    if (outcome_) return;
    outcome_ = std::move(outcome);
    cancel_ = nullptr;
  }
  changed_.notify_all();
}

void token_stream::source::on_cancel(std::function<void()> callback) {
  bool already = false;
  {
    std::lock_guard lock(mutex_);
    if (outcome_) return;
    already = cancelled_;
    if (!already) cancel_ = callback;
  }
  if (already) callback();
}

std::optional<stream_piece> token_stream::source::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !pieces_.empty() || outcome_; });
  if (pieces_.empty()) return std::nullopt;
  auto piece = std::move(pieces_.front());
  pieces_.pop_front();
  return piece;
}

stream_outcome token_stream::source::wait_end() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return outcome_.has_value(); });
  return *outcome_;
}

void token_stream::source::cancel() {
  std::function<void()> callback;
  {
    std::lock_guard lock(mutex_);
    cancelled_ = true;
    callback = std::exchange(cancel_, nullptr);
  }
  if (callback) callback();
}

token_stream::token_stream(std::shared_ptr<source> from) : source_(std::move(from)) {}
token_stream::token_stream(token_stream&&) noexcept = default;
token_stream& token_stream::operator=(token_stream&& other) noexcept {
  if (source_ && source_ != other.source_) source_->cancel();
  source_ = std::move(other.source_);
  return *this;
}
token_stream::~token_stream() {
  if (source_) source_->cancel();
}

std::optional<stream_piece> token_stream::next() {
  return source_->next();
}

stream_outcome token_stream::finish() {
  while (source_->next()) {
  }
  return source_->wait_end();
}

result<std::string> token_stream::text() {
  std::string all;
  while (auto piece = source_->next())
    all += piece->text;
  auto outcome = source_->wait_end();
  if (outcome.failure) return *std::move(outcome.failure);
  return all;
}

void token_stream::cancel() {
  source_->cancel();
}

client::client(std::shared_ptr<connection> to) : connection_(std::move(to)) {}
client::client(client&&) noexcept = default;
client& client::operator=(client&&) noexcept = default;
client::~client() {
  close();
}

result<client> client::connect(std::string_view address, client_options options) {
  const auto wrap = [](result<std::shared_ptr<connection>> made) -> result<client> {
    if (!made) return made.error();
    return client(*std::move(made));
  };
  if (address.starts_with("local:")) return wrap(connect_local(address.substr(6), options));
  if (address.starts_with("http://")) return wrap(connect_http(address, options));
  return make_error(errc::invalid_argument,
                    "Cannot connect to '" + std::string(address) + "': an address is http://HOST:PORT or local:MODEL.",
                    "address");
}

result<token_stream> client::complete(std::string_view prompt, const sampling_params& sampling,
                                      const service_objective& objective) {
  if (!connection_) return make_error(errc::unavailable, "This client is closed.");
  return connection_->complete(prompt, sampling, objective);
}

result<token_stream> client::chat(const std::vector<chat_message>& messages, const sampling_params& sampling,
                                  const service_objective& objective) {
  if (!connection_) return make_error(errc::unavailable, "This client is closed.");
  return connection_->chat(messages, sampling, objective);
}

result<std::vector<std::string>> client::models() {
  if (!connection_) return make_error(errc::unavailable, "This client is closed.");
  return connection_->models();
}

void client::close() {
  if (connection_) connection_->close();
  connection_.reset();
}

}  // namespace troupe
