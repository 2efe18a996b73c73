// How much one request may ask for. Past a limit it is refused with the field's name; nothing is cut silently.
#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe::openai {

struct request_limits {
  std::uint32_t n = 8;                  // choices of one prompt
  std::size_t prompts = 64;             // of one completions request
  std::size_t embedding_inputs = 2048;  // of one request, as OpenAI's
  std::size_t choices = 128;            // prompts times n: streams of one request
  std::size_t stop_strings = 16;        // OpenAI allows 4
  std::size_t stop_bytes = 1024;        // of each
  std::size_t stop_tokens = 64;
  std::size_t logit_bias = 1024;
  std::int32_t logprobs = 20;  // alternatives beside the chosen token
  std::size_t messages = 4096;
  std::size_t tools = 128;
  std::size_t name_bytes = 256;  // of a model, a user, a cache salt
};

}  // namespace troupe::openai
