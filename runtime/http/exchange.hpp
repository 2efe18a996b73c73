// One request's answer on its way from whoever writes it (any thread) to the connection (the server's thread).
//
// What is written is collected under the exchange's own lock; the exchange then enters the outbox, a list that wakes
// the server's thread once however many exchanges and events entered it since. An engine step that gives a token to a
// hundred streams costs one wake-up.
#pragma once

#include "runtime/http/server.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::http {

class exchange;

/// Exchanges with something to write. Outlives the server for as long as a handler keeps a stream.
class outbox {
 public:
  /// `wake` is called once per batch, from any thread, until close().
  explicit outbox(std::function<void()> wake) : wake_(std::move(wake)) {}
  void add(std::shared_ptr<exchange> ready);
  std::vector<std::shared_ptr<exchange>> take();
  void close();

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<exchange>> ready_;
  std::function<void()> wake_;
};

/// What the server's thread implements to be told that its exchange has something to write.
class exchange_reader {
 public:
  virtual void on_written() = 0;

 protected:
  ~exchange_reader() = default;
};

/// The part of an answer that has not been given to the connection.
struct written_part {
  std::optional<response> whole;
  std::optional<header_list> event_headers;  // the stream begins
  std::string events;                        // ready for the wire
  bool ended = false;                        // end_events()
  bool abandoned = false;                    // the last reference went before the answer was complete
  bool overflowed = false;                   // more unsent than the limit
};

class exchange : public std::enable_shared_from_this<exchange> {
 public:
  /// `chunked` frames events as HTTP/1.1 chunks; `silent` drops them (an answer to HEAD has no body).
  exchange(std::shared_ptr<outbox> outbox, std::size_t unsent_limit, bool chunked, bool silent)
      : outbox_(std::move(outbox)), unsent_limit_(unsent_limit), chunked_(chunked), silent_(silent) {}

  /// The handler's side, a response_stream whose last reference calls abandon(). Made once.
  std::shared_ptr<response_stream> make_stream();

  // For the writer, from any thread; response_stream documents them.
  void send(response whole);
  void start_events(header_list headers);
  void send_event(std::string_view data);
  void end_events();
  void on_disconnect(std::function<void()> callback);
  void abandon();

  // For the connection, on the server's thread.
  void set_reader(exchange_reader* reader) { reader_ = reader; }
  exchange_reader* reader() const { return reader_; }
  written_part take();
  /// The handler threw: if nothing is written, this is the answer, and whatever the handler's threads still write is
  /// dropped.
  void answer_for_failed_handler(response whole);
  /// Bytes that were taken but that the client has not: they count as unsent.
  void set_unsent(std::size_t bytes) { unsent_.store(bytes, std::memory_order_relaxed); }
  /// The answer is on its way in full: forgets the callback.
  void complete();
  /// The client is gone: calls the callback, once. With `deaf`, later writes are dropped; without, the client has only
  /// closed its sending side as far as anyone can tell, and an answer is still tried.
  void disconnect(bool deaf);

 private:
  enum class phase { waiting, whole, events, ended };

  /// Under the lock: queues this exchange unless it is queued already. True if the caller must pass it to the outbox.
  bool queue();
  void publish(bool queued);

  const std::shared_ptr<outbox> outbox_;
  const std::size_t unsent_limit_;
  const bool chunked_;
  const bool silent_;
  exchange_reader* reader_ = nullptr;  // the server's thread only
  std::atomic<std::size_t> unsent_{0};

  std::mutex mutex_;
  phase phase_ = phase::waiting;
  written_part part_;
  bool queued_ = false;
  bool deaf_ = false;
  bool disconnected_ = false;
  bool complete_ = false;
  std::function<void()> callback_;
};

/// `data: <text>\n\n`, as a chunk if asked for. A line break in the text begins another data line.
void append_event(std::string& out, std::string_view data, bool chunked);
void append_chunk(std::string& out, std::string_view bytes);

}  // namespace troupe::http
