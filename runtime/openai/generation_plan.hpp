// One request of a client as what is to be submitted to the service (a stream for each prompt and choice) and how the
// answer is to be written.
#pragma once

#include "base/generation_service.hpp"
#include "runtime/openai/chat_request.hpp"
#include "runtime/openai/completion_request.hpp"
#include "runtime/openai/served_model.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::openai {

enum class answer_kind : std::uint8_t { chat, completion };

/// What is the same in every object of one answer.
struct answer_format {
  answer_kind kind = answer_kind::chat;
  std::string id;            // "chatcmpl-…" or "cmpl-…"
  std::int64_t created = 0;  // seconds since 1970
  std::string model;         // as the client called it
  std::string fingerprint;   // the build
  bool stream = false;
  bool include_usage = false;
  bool logprobs = false;
  std::int32_t alternatives = 0;  // logprobs beside the chosen token
  bool calls_tools = false;       // calls are told from text
};

struct prompt_echo {
  std::string text;
  bool begin_added = false;  // the first token is no part of the text
};

struct generation_plan {
  answer_format format;
  std::uint32_t n = 1;                          // choices of each prompt
  std::vector<generation_request> submissions;  // choice i of prompt p is number p * n + i
  std::vector<prompt_echo> echoes;              // one a prompt; empty without echo
};

/// What a plan needs besides the request.
struct plan_context {
  std::string answer_id;  // without its prefix
  std::int64_t created = 0;
  std::string fingerprint;
  std::string tenant;
  std::uint64_t fresh_seed = 0;  // used when the client gave none
};

/// The seed of a request's choice i: the first has the request's own, so that it equals the answer to n = 1.
std::uint64_t seed_of_choice(std::uint64_t seed, std::uint32_t choice);

result<generation_plan> plan_chat(chat_request request, const served_model& model, generation_service& service,
                                  plan_context context);
result<generation_plan> plan_completion(completion_request request, const served_model& model,
                                        generation_service& service, plan_context context);

}  // namespace troupe::openai
