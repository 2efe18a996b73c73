#include "test_server.hpp"

#include <stdexcept>
#include <thread>

namespace troupe::http::test {

namespace {

response plain(int status, std::string body) {
  return {status, "text/plain", {}, std::move(body)};
}

options on_any_port(const limits& bounds) {
  options opts;
  opts.port = 0;
  opts.limits = bounds;
  return opts;
}

response as_error(int status, std::string_view message) {
  return {status, "application/json", {{"x-error", "1"}}, "{\"error\":\"" + std::string(message) + "\"}"};
}

}  // namespace

test_server::test_server(const limits& bounds)
    : server_(
          on_any_port(bounds),
          [this](request asked, std::shared_ptr<response_stream> stream) {
            answer(std::move(asked), std::move(stream));
          },
          as_error) {
  const auto started = server_.start();
  if (!started) throw std::runtime_error(started.error().message);
}

void test_server::answer(request asked, std::shared_ptr<response_stream> stream) {
  const auto& path = asked.path;
  const auto number = [&] { return std::stoul(path.substr(path.rfind('/') + 1)); };
  if (path == "/hello") return stream->send(plain(200, "hello"));
  if (path == "/echo") {
    return stream->send(plain(200, asked.method + " " + path + "?" + asked.query + "|" + asked.body));
  }
  if (path == "/headers") {
    std::string lines;
    for (const auto& [name, value] : asked.headers)
      lines += name + "=" + value + "\n";
    return stream->send(plain(200, lines));
  }
  if (path == "/throw") throw std::runtime_error("the handler's own words");
  if (path == "/drop") return;
  if (path == "/inject") {
    return stream->send({200,
                         "text/plain\r\nx-evil: 1",
                         {{"x-good", "a\r\nx-evil: 2"}, {"x bad", "v"}, {"Content-Length", "1"}},
                         "whole"});
  }
  if (path == "/empty") return stream->send({204, "", {}, ""});
  if (path.starts_with("/large/")) return stream->send(plain(200, std::string(number(), 'x')));
  if (path.starts_with("/stream/")) {
    stream->start_events({{"x-stream", "yes"}});
    for (std::size_t i = 0; i < number(); ++i)
      stream->send_event(std::to_string(i));
    return stream->end_events();
  }
  if (path == "/hold") {
    std::lock_guard lock(mutex_);
    held_.push_back(std::move(stream));
    arrived_.notify_all();
    return;
  }
  stream->send(plain(404, "no such path"));
}

std::shared_ptr<response_stream> test_server::wait_held() {
  std::unique_lock lock(mutex_);
  if (!arrived_.wait_for(lock, std::chrono::seconds(10), [&] { return !held_.empty(); })) {
    throw std::runtime_error("no request to /hold arrived");
  }
  auto next = std::move(held_.front());
  held_.erase(held_.begin());
  return next;
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

std::string get(std::string_view path, std::string_view more_headers) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n" + std::string(more_headers) + "\r\n";
}

std::string post(std::string_view path, std::string_view body) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

}  // namespace troupe::http::test
