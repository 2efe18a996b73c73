// A client of a node inside this process.
#include "actors/node.hpp"
#include "client/connection.hpp"
#include "runtime/chat/chat_encoder.hpp"
#include "runtime/store/model_store.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe {
namespace {

// Passes what the gateway says to the stream's reader.
class observer final : public generation_observer {
 public:
  explicit observer(std::shared_ptr<token_stream::source> to) : to_(std::move(to)) {}

  void on_prompt_logprobs(std::span<const prompt_token_logprob>) override {}

  void on_tokens(std::span<const generated_token> tokens) override {
    stream_piece piece;
    for (const auto& token : tokens) {
      piece.text += token.text;
      piece.tokens.push_back(token);
    }
    to_->put(std::move(piece));
  }

  void on_end(finish_reason reason, const token_usage& usage, const std::optional<error>& failure) override {
    to_->end({reason, usage, failure});
  }

 private:
  std::shared_ptr<token_stream::source> to_;
};

class local_connection final : public client::connection {
 public:
  explicit local_connection(std::unique_ptr<node> running)
      : node_(std::move(running)), service_(node_->shared_service()) {}

  result<token_stream> complete(std::string_view prompt, const sampling_params& sampling,
                                const service_objective& objective) override {
    return submit(node_->shared_tokenizer()->encode_prompt(prompt, special_tokens::parse), sampling, objective);
  }

  result<token_stream> chat(const std::vector<chat_message>& messages, const sampling_params& sampling,
                            const service_objective& objective) override {
    const auto chat = node_->shared_chat_template();
    if (!chat) return make_error(errc::unsupported, "This model has no chat template; use complete().");
    nlohmann::ordered_json context{{"messages", nlohmann::ordered_json::array()}, {"add_generation_prompt", true}};
    for (const auto& message : messages)
      context["messages"].push_back({{"role", message.role}, {"content", message.content}});
    auto prompt = encode_chat(*chat, *node_->shared_tokenizer(), std::move(context));
    if (!prompt) return prompt.error();
    return submit(std::move(prompt->tokens), sampling, objective);
  }

  result<std::vector<std::string>> models() override { return std::vector<std::string>{node_->model_name()}; }

  void close() override { node_.reset(); }

 private:
  result<token_stream> submit(std::vector<token_id> prompt, const sampling_params& sampling,
                              const service_objective& objective) {
    if (auto valid = validate(sampling); !valid) return valid.error();
    generation_request request;
    request.id = service_->next_request_id();
    request.model = node_->model_name();
    request.prompt = std::move(prompt);
    request.sampling = sampling;
    request.objective = objective;
    const auto source = std::make_shared<token_stream::source>();
    // The service may outlive this connection in a stream's hands, never the other way round.
    source->on_cancel([service = service_, id = request.id] { service->cancel(id); });
    service_->submit(std::move(request), std::make_shared<observer>(source));
    return token_stream(source);
  }

  std::unique_ptr<node> node_;
  std::shared_ptr<generation_service> service_;
};

}  // namespace

result<std::shared_ptr<client::connection>> connect_local(std::string_view model, const client_options& options) {
  const auto path = resolve_model(model);
  if (!path) return path.error();
  node_options local;
  local.model = *path;
  local.threads = options.threads;
  auto running = node::start(local);
  if (!running) return running.error();
  return std::shared_ptr<client::connection>(std::make_shared<local_connection>(*std::move(running)));
}

}  // namespace troupe
