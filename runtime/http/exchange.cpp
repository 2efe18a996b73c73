#include "runtime/http/exchange.hpp"

#include "base/assert.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace troupe::http {

namespace {

/// What handlers hold. Its end without an answer is an answer: 500.
class stream_handle final : public response_stream {
 public:
  explicit stream_handle(std::shared_ptr<exchange> target) : target_(std::move(target)) {}
  ~stream_handle() override { target_->abandon(); }
  void send(response whole) override { target_->send(std::move(whole)); }
  void start_events(header_list headers) override { target_->start_events(std::move(headers)); }
  void send_event(std::string_view data) override { target_->send_event(data); }
  void end_events() override { target_->end_events(); }
  void on_disconnect(std::function<void()> callback) override { target_->on_disconnect(std::move(callback)); }

 private:
  std::shared_ptr<exchange> target_;
};

void append_chunk_size(std::string& out, std::size_t size) {
  std::array<char, 16> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), size, 16).ptr;
  out.append(digits.data(), end);
  out += "\r\n";
}

}  // namespace

void append_chunk(std::string& out, std::string_view bytes) {
  if (bytes.empty()) return;  // a chunk of no bytes would be the last
  append_chunk_size(out, bytes.size());
  out += bytes;
  out += "\r\n";
}

void append_event(std::string& out, std::string_view data, bool chunked) {
  constexpr std::string_view field = "data: ";
  if (data.find_first_of("\r\n") != std::string_view::npos) {
    std::string lines;
    for (std::size_t begin = 0; begin <= data.size();) {
      const auto end = std::min(data.find_first_of("\r\n", begin), data.size());
      lines.append(field).append(data.substr(begin, end - begin)) += '\n';
      begin = end + (data.substr(end).starts_with("\r\n") ? 2 : 1);
    }
    lines += '\n';
    if (chunked) {
      append_chunk(out, lines);
    } else {
      out += lines;
    }
    return;
  }
  if (chunked) append_chunk_size(out, field.size() + data.size() + 2);
  out.append(field).append(data).append("\n\n");
  if (chunked) out += "\r\n";
}

void outbox::add(std::shared_ptr<exchange> ready) {
  std::lock_guard lock(mutex_);
  if (!wake_) return;
  ready_.push_back(std::move(ready));
  if (ready_.size() == 1) wake_();
}

std::vector<std::shared_ptr<exchange>> outbox::take() {
  std::lock_guard lock(mutex_);
  return std::exchange(ready_, {});
}

void outbox::close() {
  std::vector<std::shared_ptr<exchange>> dropped;  // released outside the lock
  std::lock_guard lock(mutex_);
  wake_ = nullptr;
  dropped.swap(ready_);
}

std::shared_ptr<response_stream> exchange::make_stream() {
  return std::make_shared<stream_handle>(shared_from_this());
}

bool exchange::queue() {
  return !std::exchange(queued_, true);
}

void exchange::publish(bool queued) {
  if (queued) outbox_->add(shared_from_this());
}

void exchange::send(response whole) {
  bool queued = false;
  {
    std::lock_guard lock(mutex_);
    if (deaf_) return;
    TROUPE_ASSERT(phase_ == phase::waiting, "an answer is started once");
    phase_ = phase::whole;
    part_.whole = std::move(whole);
    queued = queue();
  }
  publish(queued);
}

void exchange::start_events(header_list headers) {
  bool queued = false;
  {
    std::lock_guard lock(mutex_);
    if (deaf_) return;
    TROUPE_ASSERT(phase_ == phase::waiting, "an answer is started once");
    phase_ = phase::events;
    part_.event_headers = std::move(headers);
    queued = queue();
  }
  publish(queued);
}

void exchange::send_event(std::string_view data) {
  bool queued = false;
  {
    std::lock_guard lock(mutex_);
    if (deaf_) return;
    TROUPE_ASSERT(phase_ == phase::events, "events come after start_events() and before end_events()");
    if (silent_) return;
    append_event(part_.events, data, chunked_);
    if (part_.events.size() + unsent_.load(std::memory_order_relaxed) > unsent_limit_) {
      part_.events = {};
      part_.overflowed = true;
      deaf_ = true;
    }
    queued = queue();
  }
  publish(queued);
}

void exchange::end_events() {
  bool queued = false;
  {
    std::lock_guard lock(mutex_);
    if (deaf_) return;
    TROUPE_ASSERT(phase_ == phase::events, "end_events() ends what start_events() began");
    phase_ = phase::ended;
    part_.ended = true;
    queued = queue();
  }
  publish(queued);
}

void exchange::on_disconnect(std::function<void()> callback) {
  {
    std::lock_guard lock(mutex_);
    if (complete_) return;
    if (!disconnected_) {
      callback_ = std::move(callback);
      return;
    }
  }
  callback();
}

void exchange::abandon() {
  bool queued = false;
  {
    std::lock_guard lock(mutex_);
    if (deaf_ || phase_ == phase::whole || phase_ == phase::ended) return;
    deaf_ = true;
    part_.abandoned = true;
    queued = queue();
  }
  publish(queued);
}

written_part exchange::take() {
  std::lock_guard lock(mutex_);
  queued_ = false;
  // The bytes taken count as unsent at once: between here and set_unsent() no event may slip past the limit.
  unsent_.fetch_add(part_.events.size(), std::memory_order_relaxed);
  return std::exchange(part_, {});
}

void exchange::answer_for_failed_handler(response whole) {
  bool queued = false;
  {
    std::lock_guard lock(mutex_);
    if (deaf_) return;
    deaf_ = true;
    if (phase_ == phase::waiting) {
      phase_ = phase::whole;
      part_.whole = std::move(whole);
    } else if (phase_ == phase::events) {
      part_.abandoned = true;
    }
    queued = queue();
  }
  publish(queued);
}

void exchange::complete() {
  std::function<void()> dropped;
  std::lock_guard lock(mutex_);
  complete_ = true;
  deaf_ = true;
  dropped.swap(callback_);
}

void exchange::disconnect(bool deaf) {
  std::function<void()> callback;
  {
    std::lock_guard lock(mutex_);
    if (deaf) {
      deaf_ = true;
      part_ = {};
    }
    if (complete_ || std::exchange(disconnected_, true)) return;
    callback.swap(callback_);
  }
  if (callback) callback();
}

}  // namespace troupe::http
