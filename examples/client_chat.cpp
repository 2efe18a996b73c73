// Asks one question and prints the answer as it comes.
//
//   client_chat http://127.0.0.1:8000 "What is an actor?"        a running `troupe serve`
//   client_chat local:smollm2 "What is an actor?"                the model inside this process
#include "troupe/client.hpp"

#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: client_chat ADDRESS QUESTION\n";
    return 2;
  }
  auto client = troupe::client::connect(argv[1]);
  if (!client) {
    std::cerr << client.error().message << '\n';
    return 1;
  }
  troupe::sampling_params sampling;
  sampling.max_tokens = 200;
  sampling.temperature = 0.0f;
  auto stream = client->chat({{"user", argv[2]}}, sampling);
  if (!stream) {
    std::cerr << stream.error().message << '\n';
    return 1;
  }
  while (const auto piece = stream->next())
    std::cout << piece->text << std::flush;
  std::cout << '\n';

  const auto outcome = stream->finish();
  if (outcome.failure) {
    std::cerr << outcome.failure->message << '\n';
    return 1;
  }
  std::cerr << "[" << outcome.usage.prompt_tokens << " prompt tokens, " << outcome.usage.completion_tokens
            << " answer tokens, " << to_string(outcome.reason) << "]\n";
  return 0;
}
