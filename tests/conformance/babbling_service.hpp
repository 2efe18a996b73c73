// A generation_service without a model: what it says depends on prompt, seed and index only, so that clients can check
// seeds, stops, lengths and logprobs against it. One thread gives every open stream a token in turn.
#pragma once

#include "base/generation_service.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace troupe::testing {

class babbling_service final : public generation_service {
 public:
  babbling_service(std::shared_ptr<const tokenizer> vocabulary, std::chrono::microseconds between_tokens);
  ~babbling_service() override;

  request_id next_request_id() override;
  void submit(generation_request request, std::shared_ptr<generation_observer> observer) override;
  void cancel(request_id id) override;
  service_status status() const override;

 private:
  struct stream {
    request_id id;
    std::shared_ptr<generation_observer> observer;
    std::vector<prompt_token_logprob> prompt;  // empty: not asked for
    std::vector<generated_token> tokens;       // all that will be said
    std::size_t given = 0;
    finish_reason reason = finish_reason::length;
    token_usage usage;
    bool cancelled = false;
  };

  void run();
  /// True when the stream has ended.
  static bool advance(stream& open);
  stream compose(const generation_request& request) const;
  token_id draw(const sampling_params& sampling, std::uint64_t context, std::uint32_t index) const;
  std::vector<token_logprob> alternatives(token_id chosen, std::int32_t count) const;

  const std::shared_ptr<const tokenizer> vocabulary_;
  const std::chrono::microseconds between_tokens_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::shared_ptr<stream>> streams_;
  std::uint64_t next_id_ = 1;
  service_status totals_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace troupe::testing
