#include "random_schedule.hpp"

#include "base/failpoint.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

namespace troupe::simulator {
namespace {

using std::chrono::milliseconds;

constexpr duration life = std::chrono::seconds(4);

simulated_world_options draw_shape(std::uint64_t seed) {
  random_stream random(random_bits(seed, 1));
  simulated_world_options shape;
  shape.seed = seed;
  shape.sealed = random.below(4) == 0;
  shape.dispatch = random.below(2) == 0 ? "least_loaded" : "round_robin";
  shape.network.latency = std::chrono::microseconds(100 + random.below(4000));
  if (random.below(2) == 0) shape.link_spread = 40;
  // K and V of a block take up to some milliseconds.
  if (random.below(2) == 0) shape.network.bytes_per_second = 1000.0 * static_cast<double>(100 + random.below(2000));
  shape.relocation_part_bytes = 1 + random.below(300);
  shape.engine.blocks = static_cast<std::uint32_t>(16 + random.below(32));
  shape.engine.max_sequences = static_cast<std::uint32_t>(2 + random.below(3));
  shape.engine.prefix_caching = random.below(2) == 0;
  shape.engine.cost = simulator::flat_cost(static_cast<double>(10 + random.below(40)));
  const auto n_nodes = 2 + random.below(3);
  const bool split = random.below(3) == 0;
  shape.roles.clear();
  for (std::uint64_t i = 0; i < n_nodes; ++i)
    shape.roles.push_back(!split ? worker_role::both : i % 2 == 0 ? worker_role::prefill : worker_role::decode);
  return shape;
}

class schedule {
 public:
  explicit schedule(std::uint64_t seed) : world_(draw_shape(seed)), random_(random_bits(seed, 2)) {
    // Every engine draws the same tokens, so a prompt that comes again meets its own K and V.
    prompts_ = random_.below(2) == 0 ? 3 : 1000;
    world_.observer().on_moment = [this](const moment& m) {
      if (m.when == "after" && m.what == "relocation_done") ++outcome_.n_moved;
    };
  }

  schedule_outcome run() {
    disarm_failpoints();
    if (std::getenv("TROUPE_SIM_TRACE") != nullptr) world_.observer().trace = stderr;
    world_.settle();
    const time_point end = world_.now() + life;
    while (world_.now() < end) {
      world_.run_for(std::chrono::microseconds(1 + random_.below(120'000)));
      mend();
      something_happens();
    }
    disarm_failpoints();
    world_.heal_all();
    // What is left may be a minute's work for what is left of the cluster.
    world_.settle(std::chrono::seconds(120));
    judge();
    outcome_.hash = world_.observer().trace_hash();
    outcome_.n_messages = world_.observer().n_messages();
    outcome_.violations = world_.violations();
    return outcome_;
  }

 private:
  std::size_t any_worker() { return 1 + random_.below(world_.n_nodes() - 1); }

  void something_happens() {
    const auto what = random_.below(100);
    if (what < 45) {
      submit();
    } else if (what < 50) {
      if (!streams_.empty()) {
        const auto id = streams_[random_.below(streams_.size())]->id;
        cancelled_.insert(id);
        world_.cancel(id);
      }
    } else if (what < 72) {
      if (!streams_.empty()) world_.migrate(streams_[random_.below(streams_.size())]->id, any_worker());
    } else if (what < 74) {
      // Never the last one of a role.
      if (world_.n_nodes() > 4 || !std::exchange(drained_, true)) world_.drain(1);
    } else {
      disturb();
    }
  }

  void submit() {
    // Some outlast whatever befalls them.
    const auto longest = random_.below(6) == 0 ? 150 : 60;
    auto request = world_.make_request(static_cast<std::uint32_t>(1 + random_.below(100)),
                                       static_cast<std::uint32_t>(1 + random_.below(longest)));
    const auto which = random_.below(prompts_);
    for (std::size_t i = 0; i < request.prompt.size(); ++i)
      request.prompt[i] = static_cast<token_id>(random_bits(which, i) % 1000);
    request.objective.priority = static_cast<std::int32_t>(random_.below(3));
    if (random_.below(5) == 0) {
      request.objective.deadline = milliseconds(100 + random_.below(2000));
      deadlines_.insert(request.id);
    }
    if (random_.below(8) == 0) request.sampling.prompt_logprobs = 0;
    streams_.push_back(world_.submit(request));
    requests_.push_back(request);
  }

  void disturb() {
    const auto node = any_worker();
    const duration for_a_while = milliseconds(20 + random_.below(2500));
    switch (random_.below(6)) {
      case 0:
        if (!world_.is_up(node)) return;
        ++outcome_.n_crashes;
        world_.crash(node, random_.below(2) == 0 ? crash_kind::process : crash_kind::host);
        return mend_later(for_a_while, [this, node] { world_.start(node); });
      case 1:
        if (!world_.is_up(node) || world_.is_frozen(node)) return;
        ++outcome_.n_freezes;
        world_.freeze(node);
        return mend_later(for_a_while, [this, node] { world_.thaw(node); });
      case 2:
        return cut_one(node, for_a_while);
      case 3:
        return swizzle();
      case 4:
        ++outcome_.n_spoiled;
        world_.spoil_frames({.lose = 0.01, .duplicate = 0.01, .delay = 0.05, .reorder = 0.01, .flip = 0.01});
        return mend_later(for_a_while / 4, [this] { world_.spoil_frames({}); });
      default:
        // More in a minute and a supervisor gives a worker up.
        if (outcome_.n_engine_deaths == 5) return;
        ++outcome_.n_engine_deaths;
        return arm_failpoint("engine.step", static_cast<std::uint32_t>(1 + random_.below(5)));
    }
  }

  void cut_one(std::size_t node, duration for_a_while) {
    const auto other = (node + 1 + random_.below(world_.n_nodes() - 1)) % world_.n_nodes();
    const bool both_ways = random_.below(2) == 0;
    ++outcome_.n_cuts;
    world_.cut(node, other);
    if (both_ways) world_.cut(other, node);
    mend_later(for_a_while, [this, node, other] {
      world_.heal(node, other);
      world_.heal(other, node);
    });
  }

  /// Links are stopped one by one and restored in another order (FoundationDB's swizzle-clogging).
  void swizzle() {
    for (std::size_t from = 0; from < world_.n_nodes(); ++from)
      for (std::size_t to = 0; to < world_.n_nodes(); ++to) {
        if (from == to || random_.below(3) != 0) continue;
        const auto begin = milliseconds(random_.below(300));
        const auto end = begin + milliseconds(random_.below(1500));
        ++outcome_.n_cuts;
        mend_later(begin, [this, from, to] { world_.cut(from, to); });
        mend_later(end, [this, from, to] { world_.heal(from, to); });
      }
  }

  void mend_later(duration after, std::function<void()> what) { later_.emplace(world_.now() + after, std::move(what)); }
  void mend() {
    while (!later_.empty() && later_.begin()->first <= world_.now()) {
      const auto what = std::move(later_.begin()->second);
      later_.erase(later_.begin());
      what();
    }
  }

  void judge() {
    outcome_.n_requests = static_cast<std::uint32_t>(streams_.size());
    for (std::size_t i = 0; i < streams_.size(); ++i) {
      const auto& stream = *streams_[i];
      const auto wrong = [&](const std::string& what) {
        world_.observer().violate("request " + std::to_string(stream.id.value) + " " + what);
      };
      if (stream.whole()) ++outcome_.n_whole;
      if (stream.reason == finish_reason::cancelled && !cancelled_.contains(stream.id))
        wrong("ends as cancelled, but nobody cancelled it");
      if (stream.reason == finish_reason::length && requests_[i].sampling.prompt_logprobs >= 0 &&
          stream.n_prompt_logprobs != requests_[i].prompt.size())
        wrong("has " + std::to_string(stream.n_prompt_logprobs) + " prompt logprobs");
      if (!stream.failure) continue;
      const errc code = stream.failure->code;
      if (code == errc::unavailable) ++outcome_.n_lost;
      if (code == errc::deadline_exceeded ? !deadlines_.contains(stream.id)
                                          : code != errc::unavailable && code != errc::overloaded)
        wrong("fails: " + stream.failure->message);
    }
  }

  simulated_world world_;
  random_stream random_;
  std::uint64_t prompts_ = 1;
  schedule_outcome outcome_;
  std::vector<generation_request> requests_;
  std::vector<std::shared_ptr<client_stream>> streams_;
  std::set<request_id> cancelled_;
  std::set<request_id> deadlines_;
  std::multimap<time_point, std::function<void()>> later_;
  bool drained_ = false;
};

}  // namespace

schedule_outcome run_schedule(std::uint64_t seed) {
  return schedule(seed).run();
}

}  // namespace troupe::simulator
