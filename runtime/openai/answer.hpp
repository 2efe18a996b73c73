// One answer in the making: the streams of a plan come in, one HTTP answer goes out, whole or as server-sent events.
//
//   submitted --first token, streaming--> events --last end--> [usage] [DONE]
//       |                                   |--a stream fails--> error event, end
//       |--last end, not streaming--> whole answer
//       |--a stream fails, nothing sent--> the error with its HTTP status
//       '--the client goes--> nothing; in all three failing cases the other streams are cancelled
//
// No byte goes out before the first token, so that a request refused late still gets its HTTP status.
#pragma once

#include "base/generation_service.hpp"
#include "runtime/openai/answer_writer.hpp"
#include "runtime/openai/generation_plan.hpp"
#include "runtime/openai/logprob_writer.hpp"
#include "runtime/openai/reply.hpp"
#include "runtime/openai/tool_call_reader.hpp"

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace troupe::openai {

class answer : public std::enable_shared_from_this<answer> {
 public:
  /// Submits the plan. The answer lives as long as the service holds one of its observers.
  static void begin(generation_plan plan, std::shared_ptr<generation_service> service,
                    std::shared_ptr<const tokenizer> vocabulary, std::shared_ptr<reply> out);

  answer(const generation_plan& plan, std::shared_ptr<generation_service> service,
         std::shared_ptr<const tokenizer> vocabulary, std::shared_ptr<reply> out);

 private:
  class stream_observer;

  struct choice {
    logprob_writer logprobs;  // of what has not been sent
    prompt_echo echo;
    std::string text;         // of what has not been sent
    tool_call_reader reader;  // where the format calls tools
    std::vector<tool_call> calls;
    std::size_t n_calls_sent = 0;
    std::size_t characters = 0;  // of the tokens so far, for text_offset
    finish_reason reason = finish_reason::unfinished;
    bool opened = false;  // its first event is out
  };

  void submit(generation_plan plan);
  void take_prompt_logprobs(std::size_t index, std::span<const prompt_token_logprob> prompt);
  void take_tokens(std::size_t index, std::span<const generated_token> tokens);
  void take_end(std::size_t index, finish_reason reason, const token_usage& usage, const std::optional<error>& failure);
  void lose_client();

  // Called with the lock held.
  void open(std::size_t index);
  void send_text(std::size_t index);
  void send_calls(std::size_t index);
  void end_choice(std::size_t index, finish_reason reason, const token_usage& usage);
  void complete();
  void fail(const error& failure);

  bool over();
  void cancel_all();

  const answer_format format_;
  const std::uint32_t n_;
  const answer_writer writer_;
  const std::shared_ptr<generation_service> service_;
  const std::shared_ptr<const tokenizer> vocabulary_;
  std::vector<request_id> ids_;

  std::mutex mutex_;  // several streams may report at once; also guards the reply
  const std::shared_ptr<reply> reply_;
  std::vector<choice> choices_;
  std::size_t unfinished_;
  token_usage usage_;
  bool events_started_ = false;
  bool over_ = false;
  std::string event_;  // reused, so that a token allocates nothing here
};

}  // namespace troupe::openai
