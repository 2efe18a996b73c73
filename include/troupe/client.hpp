// The client API: connect to a Troupe, submit prompts or chats, stream the tokens, cancel, close.
//
//   auto client = troupe::client::connect("http://127.0.0.1:8000");       // a running `troupe serve`
//   auto client = troupe::client::connect("local:smollm2");               // or a model inside this process
//   if (!client) { std::cerr << client.error().message << '\n'; return 1; }
//   auto stream = client->chat({{"user", "What is an actor?"}}, {.max_tokens = 64});
//   while (auto piece = stream->next()) std::cout << piece->text << std::flush;
//
// Thread-safety: a client may be used from several threads; a token_stream from one, but cancel() from any.
// examples/client_chat.cpp is a program to start from.
#pragma once

#include "base/generation.hpp"
#include "base/result.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

struct client_options {
  std::string api_key{};  // empty: none. For http addresses
  std::string model{};    // empty: the first that the server names
  std::chrono::milliseconds connect_timeout{5'000};
  std::uint32_t threads = 0;  // for local: addresses; 0: one for each processor
};

struct chat_message {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

/// What has come since the last call.
struct stream_piece {
  std::string text;                     // whole UTF-8 characters
  std::vector<generated_token> tokens;  // empty over HTTP unless logprobs were asked for
};

struct stream_outcome {
  finish_reason reason = finish_reason::unfinished;
  token_usage usage;
  std::optional<error> failure;  // set exactly when reason is failed
};

/// One answer on its way. Dropping it cancels it.
class token_stream {
 public:
  class source;  // how a connection feeds the stream
  explicit token_stream(std::shared_ptr<source> from);
  token_stream(token_stream&&) noexcept;
  token_stream& operator=(token_stream&&) noexcept;
  ~token_stream();

  /// Waits for the next piece; nullopt when the answer has ended.
  std::optional<stream_piece> next();
  /// Drains what is left and says how it ended.
  stream_outcome finish();
  /// The rest of the answer as one text, or the failure.
  result<std::string> text();
  /// Ends the answer with finish_reason::cancelled. Returns at once.
  void cancel();

 private:
  std::shared_ptr<source> source_;
};

class client {
 public:
  class connection;  // an HTTP endpoint, or a node inside this process

  /// address: "http://HOST:PORT", or "local:MODEL" with the path of a GGUF file or the name of a pulled model.
  /// Errors: an address of another kind, nobody there, an unreadable model, a wrong key.
  static result<client> connect(std::string_view address, client_options options = {});
  client(client&&) noexcept;
  client& operator=(client&&) noexcept;
  /// close()
  ~client();

  /// Continues a text.
  result<token_stream> complete(std::string_view prompt, const sampling_params& sampling = {},
                                const service_objective& objective = {});
  /// Answers a conversation, by the model's own chat template.
  result<token_stream> chat(const std::vector<chat_message>& messages, const sampling_params& sampling = {},
                            const service_objective& objective = {});

  /// The models the other side serves.
  result<std::vector<std::string>> models();
  /// Cancels what is running and lets go of the server. Calls after it fail with errc::unavailable.
  void close();

 private:
  explicit client(std::shared_ptr<connection> to);
  std::shared_ptr<connection> connection_;
};

}  // namespace troupe
