#include "runtime/http/server.hpp"

#include "base/assert.hpp"
#include "base/thread_slice.hpp"
#include "runtime/http/session.hpp"
#include "runtime/http/text.hpp"

#include <algorithm>
#include <mutex>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace troupe::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;

namespace {

/// Connections past the limit that may wait for their 503 at one time; beyond these there is not even an answer.
constexpr std::size_t refusals_at_once = 64;
/// Out of file descriptors: accepting again at once would spin.
constexpr std::chrono::milliseconds accept_pause{50};
/// What the kernel may hold of a stream that has not gone out: more would only hide how far behind a client is.
constexpr int unsent_in_kernel_bytes = 128 * 1024;

/// A thousand streams need a thousand descriptors, and the usual soft limit is 1,024.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void configure(tcp::socket& socket, const limits& bounds) {
  error_code ignored;
  socket.non_blocking(true, ignored);
  socket.set_option(tcp::no_delay(true), ignored);
  const int descriptor = socket.native_handle();
  setsockopt(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_in_kernel_bytes, sizeof unsent_in_kernel_bytes);
  // A peer that vanished without a word (power, cable) is found when what was sent stays unacknowledged this long.
  const auto vanished_ms = static_cast<unsigned>(bounds.stalled_write_timeout.count());
  setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &vanished_ms, sizeof vanished_ms);
}

std::string place(const options& opts) {
  const bool is_v6 = opts.host.find(':') != std::string::npos && !opts.host.starts_with('[');
  return (is_v6 ? "[" + opts.host + "]" : opts.host) + ":" + std::to_string(opts.port);
}

error bind_error(const options& opts, const error_code& ec) {
  if (ec == asio::error::address_in_use) {
    return make_error(errc::unavailable, "Another program listens on " + place(opts) + "; choose another port.",
                      "port");
  }
  if (ec == asio::error::access_denied || ec == boost::system::errc::permission_denied) {
    return make_error(errc::invalid_argument,
                      "No permission to listen on " + place(opts) + "; ports below 1024 usually need one.", "port");
  }
  return make_error(errc::invalid_argument,
                    "Cannot listen on " + place(opts) + " (" + ec.message() + "); give an address of this machine.",
                    "host");
}

}  // namespace

std::optional<std::string_view> request::header(std::string_view name) const {
  const auto found =
      std::find_if(headers.begin(), headers.end(), [&](const auto& field) { return iequals(field.first, name); });
  if (found == headers.end()) return std::nullopt;
  return found->second;
}

struct server::implementation {
  implementation(options opts, handler handle, error_formatter format_error) : opts_(std::move(opts)) {
    context_.limits = opts_.limits;
    context_.handle = std::move(handle);
    context_.format_error = std::move(format_error);
    context_.on_last_session_closed = [this] { finish_if_drained(); };
    context_.outbox = std::make_shared<outbox>([this] { asio::post(io_, [this] { deliver(); }); });
  }

  ~implementation() {
    stop(std::chrono::milliseconds(0));
    context_.outbox->close();
  }

  result<> start() {
    TROUPE_ASSERT(!thread_.joinable() && !stopped_, "a server is started once");
    raise_descriptor_limit();
    if (auto opened = open(); !opened) return opened;
    accept();
    thread_ = std::thread([this] {
      take_short_turns();
      run();
    });
    return {};
  }

  void stop(std::chrono::milliseconds drain) {
    std::lock_guard lock(stop_mutex_);
    stopped_ = true;
    if (!thread_.joinable()) return;
    TROUPE_ASSERT(thread_.get_id() != std::this_thread::get_id(), "a handler cannot stop its own server");
    asio::post(io_, [this, drain] { begin_stop(drain); });
    thread_.join();
  }

  std::uint16_t port_ = 0;
  session_context context_;

 private:
  result<> open() {
    auto host = opts_.host;
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    error_code ec;
    tcp::resolver resolver(io_);
    const auto found = resolver.resolve(host, std::to_string(opts_.port), tcp::resolver::passive, ec);
    if (ec)
      return make_error(errc::invalid_argument, "\"" + opts_.host + "\" is not a host (" + ec.message() + ").", "host");
    for (const auto& entry : found) {
      if (listen(entry.endpoint(), ec)) {
        port_ = acceptor_.local_endpoint(ec).port();
        return {};
      }
    }
    return bind_error(opts_, ec);
  }

  bool listen(const tcp::endpoint& endpoint, error_code& ec) {
    acceptor_ = tcp::acceptor(io_);
    acceptor_.open(endpoint.protocol(), ec);
    if (!ec) acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor_.bind(endpoint, ec);
    if (!ec) acceptor_.listen(tcp::acceptor::max_listen_connections, ec);
    return !ec;
  }

  void run() {
    for (;;) {
      try {
        io_.run();
        return;
      } catch (...) {
        // Connections guard their own turns; what arrives here is no memory for a wait, and the loop must not end for
        // that.
      }
    }
  }

  void accept() {
    acceptor_.async_accept([this](const error_code& ec, tcp::socket socket) {
      if (!acceptor_.is_open()) return;
      if (!ec) {
        try {
          admit(std::move(socket));
        } catch (...) {  // no memory for one more connection; the next may find some
        }
      } else if (ec != asio::error::connection_aborted) {
        accept_timer_.expires_after(accept_pause);
        accept_timer_.async_wait([this](const error_code& cancelled) {
          if (!cancelled && acceptor_.is_open()) accept();
        });
        return;
      }
      accept();
    });
  }

  void admit(tcp::socket socket) {
    const auto open = context_.sessions.size();
    if (open >= opts_.limits.connections + refusals_at_once) {
      context_.rejected_total.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    configure(socket, opts_.limits);
    auto arrived = std::make_shared<session>(context_, std::move(socket));
    context_.sessions.emplace(arrived.get(), arrived);
    if (open >= opts_.limits.connections) {
      arrived->start_refused(503, "The server has its most connections open (" +
                                      std::to_string(opts_.limits.connections) + "); try again soon.");
    } else {
      arrived->start();
    }
  }

  /// What handlers have written since the last turn.
  void deliver() {
    for (const auto& ready : context_.outbox->take()) {
      if (auto* reader = ready->reader()) reader->on_written();
    }
  }

  void begin_stop(std::chrono::milliseconds drain) {
    error_code ignored;
    acceptor_.close(ignored);
    accept_timer_.cancel(ignored);
    context_.draining = true;
    for_each_session([&](session& each) { drain.count() > 0 ? each.drain() : each.close(); });
    drain_timer_.expires_after(drain);
    drain_timer_.async_wait([this](const error_code&) { for_each_session([](session& each) { each.close(); }); });
    work_.reset();
    finish_if_drained();
  }

  void finish_if_drained() {
    if (context_.draining && context_.sessions.empty()) drain_timer_.cancel();
  }

  template <class Action>
  void for_each_session(Action action) {
    const auto sessions = context_.sessions;  // they leave the map when they close
    for (const auto& [key, each] : sessions)
      action(*each);
  }

  const options opts_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  tcp::acceptor acceptor_{io_};
  asio::steady_timer accept_timer_{io_};
  asio::steady_timer drain_timer_{io_};
  std::thread thread_;
  std::mutex stop_mutex_;
  bool stopped_ = false;
};

server::server(options opts, handler handle, error_formatter format_error)
    : implementation_(std::make_unique<implementation>(std::move(opts), std::move(handle), std::move(format_error))) {}

server::~server() = default;

result<> server::start() {
  return implementation_->start();
}

std::uint16_t server::port() const {
  return implementation_->port_;
}

void server::stop(std::chrono::milliseconds drain) {
  implementation_->stop(drain);
}

server_status server::status() const {
  const auto& context = implementation_->context_;
  return {context.connections.load(std::memory_order_relaxed), context.requests_total.load(std::memory_order_relaxed),
          context.rejected_total.load(std::memory_order_relaxed)};
}

}  // namespace troupe::http
