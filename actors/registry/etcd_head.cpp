#include "actors/registry/etcd_head.hpp"

#include "actors/registry/etcd_base64.hpp"
#include "runtime/observe/log.hpp"
#include "transport/security/secure_random.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace troupe {
namespace {

using json = nlohmann::json;
using steady = std::chrono::steady_clock;

// Between looks at etcd while another head's lease has to end, and while etcd does not answer.
constexpr std::chrono::milliseconds look_again{250};

/// The name in a token; for a key that somebody wrote by hand, what it holds.
std::string holder_of(const std::string& token) {
  const auto parsed = json::parse(token, nullptr, false);
  if (parsed.is_object() && parsed.contains("holder") && parsed["holder"].is_string())
    return parsed["holder"].get<std::string>().substr(0, 200);
  return "unknown (" + encode_base64(token.substr(0, 60)) + " in base64)";
}

}  // namespace

etcd_head::etcd_head(const etcd_location& location, const etcd_head_options& options)
    : location_(location),
      options_(options),
      head_key_(location.prefix + "/head"),
      term_key_(location.prefix + "/term"),
      gateway_(location.endpoints, options.call_timeout) {}

result<std::unique_ptr<etcd_head>> etcd_head::take(const etcd_location& location, const etcd_head_options& options) {
  std::array<std::byte, 16> random;
  if (auto filled = transport::fill_with_secure_random(random); !filled) return filled.error();
  const std::string_view bytes(reinterpret_cast<const char*>(random.data()), random.size());
  std::unique_ptr<etcd_head> head(new etcd_head(location, options));
  head->token_ = json{{"holder", options.holder}, {"id", encode_base64(bytes)}}.dump(-1, ' ', true,
                                                                                     json::error_handler_t::replace);
  if (auto taken = head->wait_until_taken(options.patience); !taken) return taken.error();
  head->thread_ = std::thread([self = head.get()] { self->keep(); });
  return head;
}

etcd_head::~etcd_head() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  gateway_.cancel();
  thread_.join();
  // Without this the next head would wait for the lease to end; a lease that is gone already does no harm.
  etcd_gateway last(location_.endpoints, options_.call_timeout);
  if (auto revoked = last.revoke(held_.lease); !revoked && !trouble_)
    log(log_level::warning, "registry", "the lease stays until it ends by itself: " + revoked.error().message);
}

result<std::int64_t> etcd_head::fence() const {
  const std::lock_guard lock(mutex_);
  if (trouble_) return *trouble_;
  return held_.fence;
}

void etcd_head::doubt(std::int64_t fence) {
  const std::lock_guard lock(mutex_);
  if (trouble_ || held_.fence != fence) return;
  trouble_ = make_error(errc::unavailable, "This head has lost its lease in etcd (" + head_key_ + ").");
  changed_.notify_all();
}

result<> etcd_head::wait_until_taken(std::chrono::milliseconds patience) {
  const auto deadline = steady::now() + patience;
  bool said = false;
  for (;;) {
    const auto seen = occupy(false);
    if (!seen) return seen.error();
    if (seen->ours) {
      held_ = *seen->ours;
      return {};
    }
    if (steady::now() >= deadline)
      return make_error(errc::unavailable, "The cluster at " + location_.prefix + " in etcd has a head: " +
                                               seen->other + ". Stop that one, or give this one another prefix.");
    if (!std::exchange(said, true))
      log(log_level::info, "registry", "another head holds the registry; waiting for its lease to end",
          {{"holder", seen->other}});
    std::this_thread::sleep_for(look_again);
  }
}

/// `again`: only if nobody else was the head since this process was.
result<etcd_head::look> etcd_head::occupy(bool again) {
  const auto seen = gateway_.transact(etcd_transaction().then_get(head_key_).then_get(term_key_));
  if (!seen) return seen.error();
  const auto* const head = seen->find(head_key_);
  const auto* const term = seen->find(term_key_);
  // Ours although we do not know it: the answer to the transaction that made it was lost.
  if (head != nullptr && head->value == token_) return look{holding{head->lease, head->create_revision}, {}};
  if (head != nullptr) return look{std::nullopt, holder_of(head->value)};
  if (again && (term == nullptr || term->value != token_))
    return look{std::nullopt, term == nullptr ? "unknown, its keys were removed" : holder_of(term->value)};
  return write_keys(term == nullptr ? 0 : term->mod_revision);
}

result<etcd_head::look> etcd_head::write_keys(std::int64_t term_revision) {
  const auto lease = gateway_.grant(options_.lease);
  if (!lease) return lease.error();
  const auto written = gateway_.transact(etcd_transaction()
                                             .if_created_at(head_key_, 0)
                                             .if_changed_at(term_key_, term_revision)
                                             .then_put(head_key_, token_, *lease)
                                             .then_put(term_key_, token_)
                                             .else_get(head_key_));
  if (!written) return written.error();
  if (written->succeeded) return look{holding{*lease, written->revision}, {}};
  const auto* const head = written->find(head_key_);
  if (head != nullptr && head->value == token_) return look{holding{head->lease, head->create_revision}, {}};
  [[maybe_unused]] const auto revoked = gateway_.revoke(*lease);
  return look{std::nullopt, head == nullptr ? "one that came and went" : holder_of(head->value)};
}

/// The thread.
void etcd_head::keep() {
  const std::chrono::milliseconds pause = std::chrono::milliseconds(options_.lease) / 3;
  std::unique_lock lock(mutex_);
  while (!stopping_ && !lost_) {
    if (trouble_) {
      changed_.wait_for(lock, look_again, [&] { return stopping_; });
    } else {
      changed_.wait_for(lock, pause, [&] { return stopping_ || trouble_; });
    }
    if (stopping_) return;
    const auto held = held_;
    const bool doubted = trouble_.has_value();
    lock.unlock();
    auto renewed = renew(held, doubted);
    lock.lock();
    if (stopping_) return;
    if (!renewed && !trouble_) log(log_level::warning, "registry", "etcd: " + renewed.error().message);
    if (renewed && trouble_) log(log_level::info, "registry", "etcd: this is the head again");
    trouble_ = renewed ? std::optional<error>() : renewed.error();
  }
}

/// `doubted`: that the lease lives does not say that the key is there.
result<> etcd_head::renew(const holding& held, bool doubted) {
  const auto alive = gateway_.keep_alive(held.lease);
  if (!alive) return alive.error();
  if (*alive && !doubted) return {};
  const auto seen = occupy(true);
  if (!seen) return seen.error();
  const std::lock_guard lock(mutex_);
  if (seen->ours) {
    held_ = *seen->ours;
    return {};
  }
  lost_ = true;
  const auto failure = make_error(
      errc::unavailable, "This is no longer the cluster's head; another one took over in etcd (" + seen->other + ").");
  log(log_level::error, "registry", failure.message);
  return failure;
}

}  // namespace troupe
