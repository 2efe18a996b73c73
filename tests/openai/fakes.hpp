// Both neighbours of the endpoint, played by the test: the service that answers and the client's connection.
#pragma once

#include "base/generation_service.hpp"
#include "fake_text.hpp"
#include "runtime/http/server.hpp"
#include "runtime/openai/endpoint.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe::testing {

using json = nlohmann::ordered_json;

/// Keeps what was submitted; the test then speaks for the model. `on_submit`, when set, speaks at once.
class scripted_service final : public generation_service {
 public:
  struct submission {
    generation_request request;
    std::shared_ptr<generation_observer> observer;
  };

  request_id next_request_id() override { return {next_++}; }
  void submit(generation_request request, std::shared_ptr<generation_observer> observer) override {
    submission made{std::move(request), std::move(observer)};
    {
      std::lock_guard lock(mutex_);
      submissions_.push_back(made);
    }
    if (on_submit) on_submit(made);
  }
  void cancel(request_id id) override {
    std::lock_guard lock(mutex_);
    cancelled_.push_back(id);
  }
  service_status status() const override { return current; }

  std::vector<submission> submissions() const {
    std::lock_guard lock(mutex_);
    return submissions_;
  }
  std::vector<request_id> cancelled() const {
    std::lock_guard lock(mutex_);
    return cancelled_;
  }

  /// Lets go of all observers: each holds its answer, and an answer holds the service.
  void forget() {
    std::vector<submission> forgotten;
    std::lock_guard lock(mutex_);
    forgotten.swap(submissions_);
  }

  std::function<void(submission&)> on_submit;
  service_status current{.ready = true, .workers = 1};

 private:
  std::atomic<std::uint64_t> next_{1};
  mutable std::mutex mutex_;
  std::vector<submission> submissions_;
  std::vector<request_id> cancelled_;
};

/// Keeps what the client would have read.
class recording_stream final : public http::response_stream {
 public:
  void send(http::response whole) override {
    std::lock_guard lock(mutex_);
    starts_++;
    response_ = std::move(whole);
    ended_ = true;
  }
  void start_events(http::header_list headers) override {
    std::lock_guard lock(mutex_);
    starts_++;
    response_.headers = std::move(headers);
    response_.content_type = "text/event-stream";
  }
  void send_event(std::string_view data) override {
    std::lock_guard lock(mutex_);
    events_.emplace_back(data);
  }
  void end_events() override {
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  void on_disconnect(std::function<void()> callback) override {
    bool gone;
    {
      std::lock_guard lock(mutex_);
      gone = gone_;
      if (!gone) callback_ = callback;
    }
    if (gone) callback();
  }
  /// The client closes its end.
  void disconnect() {
    std::function<void()> callback;
    {
      std::lock_guard lock(mutex_);
      gone_ = true;
      callback = std::exchange(callback_, nullptr);
    }
    if (callback) callback();
  }

  http::response response() const {
    std::lock_guard lock(mutex_);
    return response_;
  }
  json body() const { return json::parse(response().body); }
  std::vector<std::string> events() const {
    std::lock_guard lock(mutex_);
    return events_;
  }
  bool ended() const {
    std::lock_guard lock(mutex_);
    return ended_;
  }
  int starts() const {
    std::lock_guard lock(mutex_);
    return starts_;
  }
  std::string header(std::string_view name) const {
    for (const auto& [key, value] : response().headers)
      if (key == name) return value;
    return {};
  }

 private:
  mutable std::mutex mutex_;
  http::response response_;
  std::vector<std::string> events_;
  std::function<void()> callback_;
  int starts_ = 0;
  bool ended_ = false;
  bool gone_ = false;
};

/// An endpoint between the two, for a model called "tiny" (alias "other") with a context of 1,000 tokens.
struct stage {
  std::shared_ptr<scripted_service> service = std::make_shared<scripted_service>();
  std::vector<openai::request_record> records;
  openai::endpoint_options options;
  openai::endpoint_parts parts;
  std::unique_ptr<openai::endpoint> endpoint;

  stage() {
    options.version = "1.2.3";
    options.fingerprint = "fp_test";
    options.queue_grammars = false;  // all on the test's thread
    parts.service = service;
    parts.model.names = {"tiny", "other"};
    parts.model.vocabulary = std::make_shared<byte_tokenizer>();
    parts.model.chat = std::make_shared<chatml_template>();
    parts.model.grammars = std::make_shared<vocabulary_grammars>(parts.model.vocabulary);
    parts.model.context_length = 1000;
    parts.model.created = 1700000000;
    parts.expose_metrics = [] { return std::string("troupe_requests_total 1\n"); };
    parts.on_request = [this](const openai::request_record& record) { records.push_back(record); };
  }
  ~stage() {
    endpoint.reset();
    service->forget();
  }

  std::shared_ptr<recording_stream> send(http::request request) {
    if (!endpoint) endpoint = std::make_unique<openai::endpoint>(options, parts);
    auto stream = std::make_shared<recording_stream>();
    endpoint->handle(std::move(request), stream);
    return stream;
  }
  std::shared_ptr<recording_stream> get(std::string path) { return send({"GET", std::move(path), "", {}, ""}); }
  std::shared_ptr<recording_stream> post(std::string path, const json& body, http::header_list headers = {}) {
    return post_text(std::move(path), body.dump(), std::move(headers));
  }
  std::shared_ptr<recording_stream> post_text(std::string path, std::string body, http::header_list headers = {}) {
    headers.emplace_back("Content-Type", "application/json");
    return send({"POST", std::move(path), "", std::move(headers), std::move(body)});
  }
  /// The submission of a request that the endpoint took.
  generation_request submitted(std::size_t index = 0) const { return service->submissions().at(index).request; }
};

inline json chat_body(json more = json::object()) {
  json body{{"model", "tiny"}, {"messages", json::array({{{"role", "user"}, {"content", "hi"}}})}};
  body.update(more);
  return body;
}

inline json completion_body(json more = json::object()) {
  json body{{"model", "tiny"}, {"prompt", "ab"}};
  body.update(more);
  return body;
}

/// A token of one byte.
inline generated_token byte_token(std::uint32_t index, char c, float logprob = 0.0f) {
  return {index, static_cast<unsigned char>(c), std::string(1, c), logprob, {}};
}

/// Gives a whole text byte by byte and ends.
inline void speak(scripted_service::submission& to, std::string_view text, finish_reason reason = finish_reason::stop) {
  for (std::uint32_t i = 0; i < text.size(); ++i) {
    const generated_token token = byte_token(i, text[i]);
    to.observer->on_tokens({&token, 1});
  }
  const token_usage usage{static_cast<std::uint32_t>(to.request.prompt.size()), 0,
                          static_cast<std::uint32_t>(text.size())};
  to.observer->on_end(reason, usage, std::nullopt);
}

}  // namespace troupe::testing
