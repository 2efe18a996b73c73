// Who is the head of a cluster whose registry lies in etcd. Two keys say it:
//
//   PREFIX/head   there while a head holds it: bound to a lease, which a thread here keeps alive. A head that is killed
//                 loses it when the lease ends
//   PREFIX/term   who took it last; it stays
//
// Both are written in one transaction that demands that there is no head and that the term is the one just read. The
// revision at which `head` was made is the fence: what a head writes is conditioned on it, so that one that was
// replaced writes nothing, whatever it believes. A head whose lease ended (etcd was away) takes the key anew if the
// term is still its own: then nobody has written in between. If it is not, this process is no head any more, for good.
#pragma once

#include "actors/registry/etcd_gateway.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace troupe {

struct etcd_head_options {
  std::string holder;                        // who this is, for the operator of a second head
  std::chrono::seconds lease{5};             // etcd counts in seconds
  std::chrono::milliseconds patience{8000};  // for a dead head's lease to end, and etcd to elect
  std::chrono::milliseconds call_timeout{2000};
};

class etcd_head {
 public:
  /// Waits for a head that died to lose its lease. Errors: unavailable (another one lives, and the message names it;
  /// etcd does not answer), corrupt.
  static result<std::unique_ptr<etcd_head>> take(const etcd_location& location, const etcd_head_options& options);
  /// Gives the key back.
  ~etcd_head();
  etcd_head(const etcd_head&) = delete;
  etcd_head& operator=(const etcd_head&) = delete;

  /// The revision to condition writes on. Fails at once, without a call, while it is unknown whether this is still the
  /// head: unavailable.
  result<std::int64_t> fence() const;
  /// A transaction found another fence: the thread looks at once.
  void doubt(std::int64_t fence);

  const std::string& key() const { return head_key_; }

 private:
  struct holding {
    std::int64_t lease = 0;
    std::int64_t fence = 0;
  };
  struct look {
    std::optional<holding> ours;
    std::string other;  // who has it, when it is not ours
  };

  etcd_head(const etcd_location& location, const etcd_head_options& options);
  result<> wait_until_taken(std::chrono::milliseconds patience);
  result<look> occupy(bool again);
  result<look> write_keys(std::int64_t term_revision);
  void keep();
  result<> renew(const holding& held, bool doubted);

  const etcd_location location_;
  const etcd_head_options options_;
  const std::string head_key_, term_key_;
  std::string token_;     // the keys' value: the holder's name, and random bytes that tell this process from all others
  etcd_gateway gateway_;  // of take() and then of the thread

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  holding held_;
  std::optional<error> trouble_;  // why it is unknown, or certain not, that this is the head
  bool lost_ = false;             // for good
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace troupe
