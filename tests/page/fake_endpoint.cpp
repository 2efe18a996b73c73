// A stand-in for `troupe serve`: the page's assets and just enough of the endpoint for the page to be driven in a
// browser.
//
//   fake_endpoint [KEY]     prints its port; ends when its standard input does
//
// The answer repeats the question among some markup, a word every few milliseconds; a question with "long" in it is
// answered at length. /metrics counts what really happened.
#include "runtime/http/server.hpp"
#include "runtime/page/page.hpp"

#include <atomic>
#include <condition_variable>
#include <iostream>
#include <list>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

using namespace troupe;
using json = nlohmann::json;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds first_word_after{120};
constexpr std::chrono::milliseconds between_words{15};

http::response as_error(int status, std::string_view message, std::string_view code) {
  const json body{
      {"error", {{"message", message}, {"type", "invalid_request_error"}, {"param", nullptr}, {"code", code}}}};
  return {status, "application/json", {}, body.dump()};
}

/// One answer on its way.
struct stream_state {
  std::shared_ptr<http::response_stream> stream;
  std::vector<std::string> words;
  std::size_t next = 0;
  std::size_t prompt_tokens = 0;
  steady::time_point due;
  std::shared_ptr<std::atomic<bool>> gone = std::make_shared<std::atomic<bool>>(false);
};

/// Speaks all answers on one thread.
class speaker {
 public:
  speaker() : thread_([this] { run(); }) {}
  ~speaker() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void add(stream_state started) {
    started.stream->on_disconnect([gone = started.gone] { *gone = true; });
    started.stream->start_events({});
    std::lock_guard lock(mutex_);
    prompt_tokens_ += started.prompt_tokens;
    streams_.push_back(std::move(started));
    changed_.notify_all();
  }

  /// Prometheus text under the names of the real endpoint.
  std::string metrics() {
    std::lock_guard lock(mutex_);
    std::ostringstream out;
    out << "# TYPE troupe_requests_running gauge\ntroupe_requests_running{worker=\"0\"} " << streams_.size()
        << "\ntroupe_requests_waiting 0\ntroupe_kv_usage_ratio{worker=\"0\"} "
        << 0.04 * static_cast<double>(streams_.size()) << "\ntroupe_prompt_tokens_total " << prompt_tokens_
        << "\ntroupe_generation_tokens_total " << generated_ << "\ntroupe_prefix_cache_queries_total " << prompt_tokens_
        << "\ntroupe_prefix_cache_hits_total " << prompt_tokens_ / 2 << "\n";
    histogram(out, "troupe_time_to_first_token_seconds", answers_, 0.1, 0.25);
    histogram(out, "troupe_inter_token_latency_seconds", generated_, 0.01, 0.025);
    return out.str();
  }

 private:
  static void histogram(std::ostream& out, const char* name, std::uint64_t count, double low, double high) {
    out << name << "_bucket{le=\"" << low << "\"} 0\n"
        << name << "_bucket{le=\"" << high << "\"} " << count << '\n'
        << name << "_bucket{le=\"+Inf\"} " << count << '\n'
        << name << "_count " << count << '\n';
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (streams_.empty()) {
        changed_.wait(lock);
        continue;
      }
      changed_.wait_for(lock, std::chrono::milliseconds(2));
      for (auto each = streams_.begin(); each != streams_.end();)
        each = speak(*each) ? std::next(each) : streams_.erase(each);
    }
  }

  /// False when there is no more to say.
  bool speak(stream_state& each) {
    if (*each.gone) return false;
    if (steady::now() < each.due) return true;
    each.due += between_words;
    if (each.next < each.words.size()) {
      if (each.next == 0) ++answers_;
      ++generated_;
      each.stream->send_event(json{
          {"choices", {{{"index", 0}, {"delta", {{"content", each.words[each.next++]}}}, {"finish_reason", nullptr}}}}}
                                  .dump());
      return true;
    }
    each.stream->send_event(R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})");
    each.stream->send_event(json{{"choices", json::array()},
                                 {"usage",
                                  {{"prompt_tokens", each.prompt_tokens},
                                   {"completion_tokens", each.words.size()},
                                   {"prompt_tokens_details", {{"cached_tokens", each.prompt_tokens / 2}}}}}}
                                .dump());
    each.stream->send_event("[DONE]");
    each.stream->end_events();
    return false;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<stream_state> streams_;
  std::uint64_t prompt_tokens_ = 0;
  std::uint64_t generated_ = 0;
  std::uint64_t answers_ = 0;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find(' ', begin + 1), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

stream_state make_answer(const json& body, std::shared_ptr<http::response_stream> stream) {
  const auto question = body.at("messages").back().at("content").get<std::string>();
  std::string text = "You said: " + question +
                     "\n\nA model would say **something** about it, with `code` perhaps:\n```python\n"
                     "def answer(question):\n    return \"42\"\n```\nThat was all.";
  if (question.find("long") != std::string::npos) {
    for (int i = 0; i < 2000; ++i)
      text += " and so on";
  }
  stream_state made;
  made.stream = std::move(stream);
  made.words = split_words(text);
  made.prompt_tokens = body.dump().size() / 4;
  made.due = steady::now() + first_word_after;
  return made;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string key = argc > 1 ? argv[1] : "";
  speaker voice;
  const auto handle = [&](http::request asked, std::shared_ptr<http::response_stream> stream) {
    if (const auto asset = find_page_asset(asked.path)) return stream->send(*asset);
    if (asked.path == "/version") return stream->send({200, "application/json", {}, R"({"version":"0.0-fake"})"});
    if (!key.empty() && asked.header("authorization") != "Bearer " + key) {
      return stream->send(as_error(401, "Incorrect API key provided.", "invalid_api_key"));
    }
    if (asked.path == "/metrics") return stream->send({200, "text/plain; version=0.0.4", {}, voice.metrics()});
    if (asked.path == "/v1/models")
      return stream->send(
          {200, "application/json", {}, R"({"object":"list","data":[{"id":"fake-135m","object":"model"}]})"});
    if (asked.path != "/v1/chat/completions") return stream->send(as_error(404, "No such path.", "not_found"));
    const auto body = json::parse(asked.body, nullptr, false);
    if (body.is_discarded() || !body.contains("messages") || body["messages"].empty()) {
      return stream->send(as_error(400, "The body is no chat request.", "invalid_json"));
    }
    voice.add(make_answer(body, std::move(stream)));
  };
  http::options opts;
  opts.port = 0;
  http::server served(opts, handle,
                      [](int status, std::string_view message) { return as_error(status, message, "refused"); });
  if (const auto started = served.start(); !started) {
    std::cerr << started.error().message << '\n';
    return 1;
  }
  std::cout << served.port() << std::endl;
  std::string ignored;
  while (std::getline(std::cin, ignored)) {
  }
  return 0;
}
