// The endpoint on a real socket with a babbling service behind it, so that real clients can be held against it without
// a model.
//
//   fake_server [PORT] [MICROSECONDS_BETWEEN_TOKENS]
//
// Prints its URL and serves until its input ends.
#include "../openai/fake_embeddings.hpp"
#include "../openai/fake_text.hpp"
#include "babbling_service.hpp"
#include "runtime/http/server.hpp"
#include "runtime/openai/endpoint.hpp"
#include "runtime/openai/errors.hpp"

#include <cstdlib>
#include <iostream>
#include <string>

using namespace troupe;

int main(int argc, char** argv) {
  http::options options;
  options.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
  const std::chrono::microseconds pace(argc > 2 ? std::atoi(argv[2]) : 1000);

  const auto vocabulary = std::make_shared<testing::byte_tokenizer>();
  const auto service = std::make_shared<testing::babbling_service>(vocabulary, pace);
  openai::endpoint_options endpoint_options;
  endpoint_options.version = "0.0.0";
  endpoint_options.fingerprint = "fp_babble";
  openai::endpoint_parts parts;
  parts.service = service;
  parts.model.names = {"babble"};
  parts.model.vocabulary = vocabulary;
  parts.model.chat = std::make_shared<testing::chatml_template>();
  parts.model.context_length = 8192;
  parts.embeddings.names = {"bytes"};
  parts.embeddings.service = std::make_shared<testing::byte_embeddings>();
  parts.expose_metrics = [service] {
    return "# TYPE troupe_requests_running gauge\ntroupe_requests_running " +
           std::to_string(service->status().requests_running) + "\n";
  };
  openai::endpoint endpoint(endpoint_options, std::move(parts));
  http::server server(
      options, [&](auto request, auto stream) { endpoint.handle(std::move(request), std::move(stream)); },
      openai::format_server_refusal);
  if (const auto started = server.start(); !started) {
    std::cerr << started.error().message << '\n';
    return 1;
  }
  std::cout << "http://127.0.0.1:" << server.port() << std::endl;
  for (std::string line; std::getline(std::cin, line);)
    continue;
  server.stop();
}
