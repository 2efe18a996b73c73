// A client of an OpenAI-compatible endpoint over HTTP.
#include "client/connection.hpp"
#include "runtime/http/client.hpp"

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe {
namespace {

using nlohmann::json;

result<json> sampling_json(const sampling_params& p) {
  json body{{"temperature", p.temperature},
            {"top_p", p.top_p},
            {"top_k", p.top_k},
            {"min_p", p.min_p},
            {"presence_penalty", p.presence_penalty},
            {"frequency_penalty", p.frequency_penalty},
            {"repetition_penalty", p.repetition_penalty},
            {"seed", p.seed & 0x7fffffffffffffffu},
            {"max_tokens", p.max_tokens},
            {"min_tokens", p.min_tokens},
            {"ignore_eos", p.ignore_eos},
            {"include_stop_str_in_output", p.include_stop_in_output},
            {"stream", true},
            {"stream_options", {{"include_usage", true}}}};
  if (!p.stop.empty()) body["stop"] = p.stop;
  if (!p.stop_tokens.empty()) body["stop_token_ids"] = p.stop_tokens;
  for (const auto& [token, bias] : p.logit_bias)
    body["logit_bias"][std::to_string(token)] = bias;
  switch (p.grammar.kind) {
    case grammar_kind::none:
      break;
    case grammar_kind::gbnf:
      body["grammar"] = p.grammar.source;
      break;
    case grammar_kind::json_schema:
      body["json_schema"] = p.grammar.source;
      break;
    case grammar_kind::json_object:
      body["response_format"] = {{"type", "json_object"}};
      break;
    case grammar_kind::tool_calls:
      return make_error(errc::unsupported, "This client sends no tools to a server.", "grammar");
  }
  return body;
}

json objective_json(const service_objective& o) {
  json body = json::object();
  if (o.ttft.count() > 0) body["ttft_ms"] = o.ttft.count();
  if (o.tpot.count() > 0) body["tpot_ms"] = o.tpot.count();
  if (o.ttlt.count() > 0) body["ttlt_ms"] = o.ttlt.count();
  if (o.deadline.count() > 0) body["deadline_ms"] = o.deadline.count();
  if (o.priority != 0) body["priority"] = o.priority;
  return body;
}

errc code_of(int status) {
  switch (status) {
    case 400:
      return errc::invalid_argument;
    case 401:
      return errc::unauthenticated;
    case 404:
      return errc::not_found;
    case 413:
      return errc::too_large;
    case 429:
      return errc::overloaded;
    case 503:
      return errc::unavailable;
    case 504:
      return errc::deadline_exceeded;
    default:
      return errc::internal;
  }
}

// The endpoint's error object, or whatever it said instead.
error error_of(int status, const std::string& body) {
  const auto parsed = json::parse(body, nullptr, false);
  std::string message = "The server answered with status " + std::to_string(status) + ".";
  std::string param;
  if (parsed.is_object() && parsed.contains("error") && parsed["error"].is_object()) {
    message = parsed["error"].value("message", message);
    if (parsed["error"].contains("param") && parsed["error"]["param"].is_string()) param = parsed["error"]["param"];
  }
  return make_error(code_of(status), std::move(message), std::move(param));
}

// Turns the chunks of one answer into pieces and an outcome.
class chunk_reader {
 public:
  explicit chunk_reader(token_stream::source& to) : to_(to) {}

  /// False after the last chunk.
  bool read(std::string_view data) {
    if (data == "[DONE]") return false;
    const auto chunk = json::parse(data, nullptr, false);
    if (!chunk.is_object()) return fail("The server sent a chunk that is not JSON.");
    if (const auto failure = chunk.find("error"); failure != chunk.end() && failure->is_object())
      return fail(failure->value("message", "The answer failed."));
    if (const auto usage = chunk.find("usage"); usage != chunk.end() && usage->is_object()) read_usage(*usage);
    const auto choices = chunk.find("choices");
    if (choices == chunk.end() || !choices->is_array() || choices->empty()) return true;
    const auto& choice = choices->front();
    const auto text = choice.contains("delta") ? choice["delta"].value("content", "") : choice.value("text", "");
    if (!text.empty()) to_.put({text, {}});
    if (choice.contains("finish_reason") && choice["finish_reason"].is_string())
      outcome_.reason = choice["finish_reason"] == "length" ? finish_reason::length : finish_reason::stop;
    return true;
  }

  bool fail(std::string message) {
    outcome_.reason = finish_reason::failed;
    outcome_.failure = make_error(errc::internal, std::move(message));
    return false;
  }

  stream_outcome outcome(bool cancelled, const std::optional<error>& transport) {
    if (cancelled) return {finish_reason::cancelled, outcome_.usage, std::nullopt};
    if (outcome_.reason == finish_reason::unfinished || outcome_.reason == finish_reason::failed) {
      outcome_.reason = finish_reason::failed;
      if (transport) outcome_.failure = transport;
      if (!outcome_.failure)
        outcome_.failure = make_error(errc::unavailable, "The server closed the stream before its end.");
    }
    return outcome_;
  }

 private:
  void read_usage(const json& usage) {
    outcome_.usage.prompt_tokens = usage.value("prompt_tokens", 0u);
    outcome_.usage.completion_tokens = usage.value("completion_tokens", 0u);
    if (const auto details = usage.find("prompt_tokens_details"); details != usage.end() && details->is_object())
      outcome_.usage.cached_tokens = details->value("cached_tokens", 0u);
  }

  token_stream::source& to_;
  stream_outcome outcome_;
};

class http_connection final : public client::connection {
 public:
  http_connection(std::string url, client_options options) : url_(std::move(url)), options_(std::move(options)) {
    while (url_.ends_with('/'))
      url_.pop_back();
  }
  ~http_connection() override { close(); }

  /// Asks for the models: is somebody there, and is the key right?
  result<> greet() {
    auto known = models();
    if (!known) return known.error();
    if (options_.model.empty() && !known->empty()) options_.model = known->front();
    return {};
  }

  result<std::vector<std::string>> models() override {
    http::client caller({.connect_timeout = options_.connect_timeout});
    const auto answer = caller.request("GET", url_ + "/v1/models", headers(), "", options_.connect_timeout);
    if (!answer) return answer.error();
    if (answer->status != 200) return error_of(answer->status, answer->body);
    const auto parsed = json::parse(answer->body, nullptr, false);
    if (!parsed.is_object() || !parsed.contains("data") || !parsed["data"].is_array())
      return make_error(errc::unsupported, "The server at " + url_ + " does not speak OpenAI's API.");
    std::vector<std::string> names;
    for (const auto& model : parsed["data"])
      if (model.is_object()) names.push_back(model.value("id", ""));
    return names;
  }

  result<token_stream> complete(std::string_view prompt, const sampling_params& sampling,
                                const service_objective& objective) override {
    auto body = sampling_json(sampling);
    if (!body) return body.error();
    (*body)["prompt"] = prompt;
    return stream("/v1/completions", *std::move(body), objective);
  }

  result<token_stream> chat(const std::vector<chat_message>& messages, const sampling_params& sampling,
                            const service_objective& objective) override {
    auto body = sampling_json(sampling);
    if (!body) return body.error();
    (*body)["messages"] = json::array();
    for (const auto& message : messages)
      (*body)["messages"].push_back({{"role", message.role}, {"content", message.content}});
    return stream("/v1/chat/completions", *std::move(body), objective);
  }

  void close() override {
    std::list<running> ending;
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
      ending.swap(running_);
    }
    for (auto& r : ending)
      r.caller->cancel();
    for (auto& r : ending)
      r.thread.join();
  }

 private:
  struct running {
    std::shared_ptr<http::client> caller;
    std::shared_ptr<std::atomic<bool>> done;
    std::thread thread;
  };

  http::header_list headers() const {
    http::header_list list{{"content-type", "application/json"}};
    if (!options_.api_key.empty()) list.emplace_back("authorization", "Bearer " + options_.api_key);
    return list;
  }

  result<token_stream> stream(const char* path, json body, const service_objective& objective) {
    if (!options_.model.empty()) body["model"] = options_.model;
    if (auto promised = objective_json(objective); !promised.empty()) body["troupe"] = std::move(promised);
    const auto source = std::make_shared<token_stream::source>();
    const auto caller =
        std::make_shared<http::client>(http::client_limits{.connect_timeout = options_.connect_timeout});
    const auto cancelled = std::make_shared<std::atomic<bool>>(false);
    const auto done = std::make_shared<std::atomic<bool>>(false);
    source->on_cancel([caller, cancelled] {
      cancelled->store(true);
      caller->cancel();
    });
    std::lock_guard lock(mutex_);
    if (closed_) return make_error(errc::unavailable, "This client is closed.");
    join_finished();
    std::thread thread([=, url = url_ + path, sent = headers(), text = body.dump()] {
      chunk_reader reader(*source);
      const auto ended =
          caller->stream_events(url, sent, text, [&](std::string_view data) { return reader.read(data); });
      std::optional<error> transport;
      if (!ended)
        transport = ended.error();
      else if (ended->status != 200)
        transport = error_of(ended->status, ended->body);
      source->end(reader.outcome(cancelled->load(), transport));
      done->store(true);
    });
    running_.push_back({caller, done, std::move(thread)});
    return token_stream(source);
  }

  void join_finished() {
    for (auto it = running_.begin(); it != running_.end();) {
      if (!it->done->load()) {
        ++it;
        continue;
      }
      it->thread.join();
      it = running_.erase(it);
    }
  }

  std::string url_;
  client_options options_;
  std::mutex mutex_;
  bool closed_ = false;
  std::list<running> running_;
};

}  // namespace

result<std::shared_ptr<client::connection>> connect_http(std::string_view url, const client_options& options) {
  auto made = std::make_shared<http_connection>(std::string(url), options);
  if (auto greeted = made->greet(); !greeted) return greeted.error();
  return std::shared_ptr<client::connection>(std::move(made));
}

}  // namespace troupe
