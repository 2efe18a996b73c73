#include "transport/memory_fabric.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>
#include <vector>

namespace troupe::transport {

class memory_fabric;

namespace {

struct connected {
  link_id remote;  // the link's other end, as the receiver's fabric will know it
};
struct frame_event {
  wire::byte_buffer frame;
};
struct bulk_event {
  bulk_header header;
  std::span<const std::byte> memory;
  memory_fabric* sender;
  std::uint64_t cookie;
};
struct part_done {
  std::uint64_t cookie;
};
struct lost {
  std::string why;
};

struct event {
  link_id link;  // of the receiver
  std::variant<connected, frame_event, bulk_event, part_done, lost> what;
};

/// Nobody counts the parts of bulk memory as frames are counted, so that one that is missing would be noticed. Like a
/// real connection, a link sends them again while the network is cut, for as long as its session lasts.
bool is_repeated(const event& of) {
  return std::holds_alternative<bulk_event>(of.what) || std::holds_alternative<part_done>(of.what);
}
constexpr duration repeat_after = std::chrono::milliseconds(20);

}  // namespace

/// One end of a link: who is at the other, and when it will have taken all that was sent.
struct link_end {
  std::string host;  // of the other end
  link_id remote;
  time_point free_at{};
  time_point last_arrival{};  // a latency that shrinks makes nothing overtake
};

struct memory_network::state {
  std::function<time_point()> now;
  network_model model;
  std::map<std::string, memory_fabric*> fabrics;
  std::set<std::pair<std::string, std::string>> cuts;
  std::map<std::pair<std::string, std::string>, duration> latencies;  // that differ from the model's
  std::uint64_t next_link = 1;
  std::uint64_t next_event = 1;
  std::uint16_t next_port = 10'000;

  duration latency(const std::string& from, const std::string& to) const {
    const auto found = latencies.find({from, to});
    return found == latencies.end() ? model.latency : found->second;
  }
};

class memory_fabric final : public fabric {
 public:
  memory_fabric(memory_network::state& network, std::string host) : network_(network), host_(std::move(host)) {
    network_.fabrics[host_] = this;
  }
  ~memory_fabric() override {
    for (auto& [link, end] : links_)
      post(end, {end.remote, lost{"the connection was closed"}}, 0);
    leave();
  }

  void set_listener(fabric_listener& listener) override { listener_ = &listener; }

  result<address> listen(const address& where) override {
    listening_ = {where.host, where.port != 0 ? where.port : network_.next_port++};
    return listening_;
  }

  result<link_id> connect(const address& where) override {
    if (!is_here()) return make_error(errc::unavailable, "This host is gone.");
    const link_id here{network_.next_link++};
    const link_id there{network_.next_link++};
    links_.emplace(here, link_end{where.host, there, {}, {}});
    if (memory_fabric* const other = reach(where.host); other != nullptr && other->listening_ == where) {
      other->links_.emplace(there, link_end{host_, here, {}, {}});
      post(links_.at(here), {there, connected{here}}, 0);
    } else if (!network_.cuts.contains({host_, where.host}) && !network_.cuts.contains({where.host, host_})) {
      const duration there_and_back = network_.latency(host_, where.host) + network_.latency(where.host, host_);
      schedule(network_.now() + there_and_back, {here, lost{"nobody listens there"}});
    }
    return here;
  }
  std::string remote_host(link_id link) const override {
    const auto found = links_.find(link);
    return found == links_.end() ? std::string() : found->second.host;
  }

  void send(link_id link, wire::byte_buffer frame) override {
    const auto found = links_.find(link);
    if (found == links_.end()) return;
    const std::size_t size = frame.size();
    post(found->second, {found->second.remote, frame_event{std::move(frame)}}, size);
  }
  std::size_t unsent_bytes(link_id link) const override {
    const auto found = links_.find(link);
    if (found == links_.end() || network_.model.bytes_per_second <= 0) return 0;
    const std::chrono::duration<double> busy = found->second.free_at - network_.now();
    return static_cast<std::size_t>(std::max(0.0, busy.count() * network_.model.bytes_per_second));
  }

  void send_bulk(link_id link, const bulk_header& header, std::span<const std::byte> memory,
                 std::uint64_t cookie) override {
    const auto found = links_.find(link);
    if (found == links_.end()) {
      unsent_bulk_.push_back(cookie);
      return;
    }
    parts_.emplace(cookie, link);
    post(found->second, {found->second.remote, bulk_event{header, memory, this, cookie}},
         static_cast<std::size_t>(static_cast<double>(memory.size()) * network_.model.bulk_weight));
  }

  void close(link_id link) override {
    const auto found = links_.find(link);
    if (found == links_.end()) return;
    // Behind what was sent before.
    post(found->second, {found->second.remote, lost{"the other side closed the connection"}}, 0);
    drop(link);
  }

  void close_gently(link_id link) override { close(link); }

  bool progress() override {
    bool any = !unsent_bulk_.empty();
    for (const auto cookie : std::exchange(unsent_bulk_, {}))
      listener_->on_bulk_sent(cookie, false);
    const time_point now = network_.now();
    while (!due_.empty() && due_.begin()->first.first <= now) {
      event next = std::move(due_.begin()->second);
      due_.erase(due_.begin());
      take(next);
      any = true;
    }
    return any;
  }
  bool sleep_until(time_point) override { return false; }  // time is somebody else's
  void wake() override {}

  /// Gone at once; the others learn of it when the network's model says.
  void crash() {
    for (const auto& [link, end] : links_)
      if (memory_fabric* const other = reach(end.host))
        other->schedule(network_.now() + network_.model.crash_notice, {end.remote, lost{"the process is gone"}});
    leave();
  }
  void leave() {
    // Another one may have this host's name by now.
    const auto found = network_.fabrics.find(host_);
    if (found == network_.fabrics.end() || found->second != this) return;
    network_.fabrics.erase(found);
    links_.clear();
    due_.clear();
  }
  time_point next_event() const {
    if (!unsent_bulk_.empty()) return {};
    time_point first = due_.empty() ? time_point::max() : due_.begin()->first.first;
    // When a link has taken what it was given: more may be sent then.
    const time_point now = network_.now();
    for (const auto& [link, end] : links_)
      if (end.free_at > now) first = std::min(first, end.free_at);
    return first;
  }

 private:
  using due_key = std::pair<time_point, std::uint64_t>;

  memory_fabric* find(const std::string& host) const {
    const auto found = network_.fabrics.find(host);
    return found == network_.fabrics.end() ? nullptr : found->second;
  }
  /// nullptr: no such host, or nothing reaches it from here.
  memory_fabric* reach(const std::string& host) const {
    return network_.cuts.contains({host_, host}) ? nullptr : find(host);
  }
  /// False after a crash: who was here goes on for a while in a test, and nothing it does shows.
  bool is_here() const {
    const auto found = network_.fabrics.find(host_);
    return found != network_.fabrics.end() && found->second == this;
  }

  void schedule(time_point when, event what) { due_.emplace(due_key{when, network_.next_event++}, std::move(what)); }

  /// Onto the wire: `end` is this side's end of the link.
  void post(link_end& end, event what, std::size_t bytes) {
    const double rate = network_.model.bytes_per_second;
    const std::chrono::duration<double> busy(rate > 0 ? static_cast<double>(bytes) / rate : 0.0);
    end.free_at = std::max(network_.now(), end.free_at) + std::chrono::duration_cast<duration>(busy);
    memory_fabric* const other = is_repeated(what) ? find(end.host) : reach(end.host);
    if (other == nullptr) return;  // lost on the way, and nobody is told
    end.last_arrival = std::max(end.last_arrival, end.free_at + network_.latency(host_, end.host));
    other->schedule(end.last_arrival, std::move(what));
  }

  void take(event& next) {
    const auto over = links_.find(next.link);
    // What is under way when a network is cut does not arrive either.
    if (over == links_.end()) return;
    if (network_.cuts.contains({over->second.host, host_})) {
      if (is_repeated(next)) schedule(network_.now() + repeat_after, std::move(next));
      return;
    }
    if (const auto* done = std::get_if<part_done>(&next.what)) {
      if (parts_.erase(done->cookie) != 0) listener_->on_bulk_sent(done->cookie, true);
    } else if (std::holds_alternative<connected>(next.what)) {
      listener_->on_accepted(next.link);
    } else if (const auto* arrived = std::get_if<frame_event>(&next.what)) {
      listener_->on_frame(next.link, arrived->frame.bytes());
    } else if (const auto* bulk = std::get_if<bulk_event>(&next.what)) {
      take_bulk(next.link, *bulk);
    } else {
      const std::string why = std::get<lost>(next.what).why;
      drop(next.link);
      listener_->on_link_lost(next.link, why);
    }
  }

  void take_bulk(link_id link, const bulk_event& part) {
    // The sender may be gone, and its memory with it.
    link_end& end = links_.at(link);
    const auto sender = network_.fabrics.find(end.host);
    if (sender == network_.fabrics.end() || sender->second != part.sender || !part.sender->parts_.contains(part.cookie))
      return;
    const bulk_place place = listener_->on_bulk_offered(link, part.header, part.memory.size());
    const bool taken = place.memory.size() == part.memory.size() && !part.memory.empty();
    if (taken) {
      std::memcpy(place.memory.data(), part.memory.data(), part.memory.size());
      listener_->on_bulk_received(link, part.header, true);
    }
    post(end, {end.remote, part_done{part.cookie}}, 0);
  }

  void drop(link_id link) {
    links_.erase(link);
    for (auto part = parts_.begin(); part != parts_.end();) {
      if (part->second != link) {
        ++part;
        continue;
      }
      unsent_bulk_.push_back(part->first);
      part = parts_.erase(part);
    }
  }

  memory_network::state& network_;
  std::string host_;
  address listening_;
  fabric_listener* listener_ = nullptr;
  std::map<link_id, link_end> links_;
  std::map<due_key, event> due_;
  std::map<std::uint64_t, link_id> parts_;  // bulk on its way, by cookie
  std::vector<std::uint64_t> unsent_bulk_;  // to be reported as lost
};

memory_network::memory_network(std::function<time_point()> now, const network_model& model)
    : state_(std::make_unique<state>()) {
  state_->now = std::move(now);
  state_->model = model;
}
memory_network::~memory_network() {
  TROUPE_ASSERT(state_->fabrics.empty(), "the network outlives its fabrics");
}

std::unique_ptr<fabric> memory_network::make_fabric(const std::string& host) {
  TROUPE_ASSERT(!state_->fabrics.contains(host), "a host has one fabric");
  return std::make_unique<memory_fabric>(*state_, host);
}

void memory_network::set_latency(const std::string& from, const std::string& to, duration latency) {
  state_->latencies.insert_or_assign({from, to}, latency);
}
void memory_network::cut(const std::string& from, const std::string& to) {
  state_->cuts.insert({from, to});
}
void memory_network::heal(const std::string& from, const std::string& to) {
  state_->cuts.erase({from, to});
}
void memory_network::crash(const std::string& host) {
  const auto found = state_->fabrics.find(host);
  if (found != state_->fabrics.end()) found->second->crash();
}

time_point memory_network::next_event() const {
  time_point first = time_point::max();
  for (const auto& [host, fabric] : state_->fabrics)
    first = std::min(first, fabric->next_event());
  return first;
}

time_point memory_network::next_event(const std::string& host) const {
  const auto found = state_->fabrics.find(host);
  return found == state_->fabrics.end() ? time_point::max() : found->second->next_event();
}

}  // namespace troupe::transport
