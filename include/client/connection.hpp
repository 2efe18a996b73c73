// What the two kinds of connection share, and the queue between whoever produces a stream and whoever reads it.
#pragma once

#include "troupe/client.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace troupe {

/// Filled by one thread, read by another. Its bound is the answer's max_tokens: nothing more is ever queued.
class token_stream::source {
 public:
  void put(stream_piece piece);
  void end(stream_outcome outcome);
  /// What cancel() calls; called once, never after the end.
  void on_cancel(std::function<void()> callback);

  std::optional<stream_piece> next();
  stream_outcome wait_end();
  void cancel();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<stream_piece> pieces_;
  std::optional<stream_outcome> outcome_;
  std::function<void()> cancel_;
  bool cancelled_ = false;
};

class client::connection {
 public:
  virtual ~connection() = default;
  virtual result<token_stream> complete(std::string_view prompt, const sampling_params& sampling,
                                        const service_objective& objective) = 0;
  virtual result<token_stream> chat(const std::vector<chat_message>& messages, const sampling_params& sampling,
                                    const service_objective& objective) = 0;
  virtual result<std::vector<std::string>> models() = 0;
  virtual void close() = 0;
};

result<std::shared_ptr<client::connection>> connect_local(std::string_view model, const client_options& options);
result<std::shared_ptr<client::connection>> connect_http(std::string_view url, const client_options& options);

}  // namespace troupe
