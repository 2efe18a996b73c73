// Two engines with little room and everything at once: sequences come, are computed, preempted, paused, moved in
// stages, given up on and cancelled, blocks are held and the prefix caches dropped. After each operation every block is
// counted; at the end each stream is the undisturbed one.
#include "transfer_harness.hpp"

#include <array>

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr std::uint32_t n_blocks = 26;
constexpr std::size_t most_sequences = 7;

tiny_engine small_engine(bool prefix_caching) {
  const kernels::kv_layout layout{kernels::kv_type::f16, 2, 16};
  cpu_engine_options options;
  options.n_threads = 1;
  options.kv_bytes = n_blocks * kv_storage::bytes_per_block(layout, 2);
  options.prefix_caching = prefix_caching;
  options.max_sequences = 4;
  return tiny_engine(options);
}

struct traveller {
  std::size_t kind = 0;  // of the request
  std::size_t at = 0;    // engine
  sequence_id id;
  std::optional<transfer> leaving;
};

struct held_copy {
  std::size_t at = 0;
  kv_hold held;
  std::vector<std::byte> bytes;
};

std::vector<std::byte> bytes_of(const kv_hold& held) {
  std::vector<std::byte> all;
  for (const auto block : held.blocks)
    all.insert(all.end(), block.begin(), block.end());
  return all;
}

class world {
 public:
  explicit world(std::uint64_t seed)
      : random_(seed), engines_{small_engine(random_.below(2) == 0), small_engine(random_.below(2) == 0)} {}

  void act() {
    const std::uint64_t what = random_.below(100);
    if (what < 8)
      add();
    else if (what < 50)
      step(random_.below(2));
    else if (what < 53)
      engines_[random_.below(2)]->reset_prefix_cache();
    else if (what < 60)
      release();
    else if (!travellers_.empty())
      act_on(travellers_[random_.below(travellers_.size())], what);
    collect();
    REQUIRE(is_clean(engines_[0]));
    REQUIRE(is_clean(engines_[1]));
  }

  /// Nothing is held or on its way any more: every sequence runs to its end, one at a time.
  void finish() {
    while (!holds_.empty())
      release();
    for (auto& t : travellers_)
      give_up(t);
    for (auto& engine : engines_)
      while (!engine->sequences().empty()) {
        step_plan plan;
        for (const auto& s : engine->sequences())
          plan.preempt.push_back(s.id);
        plan.preempt.erase(plan.preempt.begin());
        plan.grants.push_back({engine->sequences().front().id, 512});
        engine.step(plan);
      }
    collect();
    REQUIRE(travellers_.empty());
    CHECK(is_empty(engines_[0]));
    CHECK(is_empty(engines_[1]));
  }

  int n_finished() const { return n_finished_; }
  int n_moved() const { return n_moved_; }
  int n_refused() const { return n_refused_; }

 private:
  static const std::vector<generation_request>& requests() {
    static const auto all = requests_of_all_kinds();
    return all;
  }
  static const std::vector<stream>& expected() {
    static const auto all = undisturbed(requests(), {});
    return all;
  }

  void add() {
    if (travellers_.size() >= most_sequences) return;
    traveller t{.kind = random_.below(requests().size()), .at = random_.below(2), .id = {}, .leaving = {}};
    t.id = engines_[t.at].add(requests()[t.kind]);
    travellers_.push_back(std::move(t));
  }

  void step(std::size_t at) {
    step_plan plan;
    for (const auto& t : travellers_)  // paused ones too, which no plan reaches
      if (t.at == at) {
        const auto what = random_.below(30);
        if (what == 0)
          plan.preempt.push_back(t.id);
        else if (what < 25)
          plan.grants.push_back({t.id, static_cast<std::uint32_t>(1 + random_.below(40))});
      }
    engines_[at].step(plan);
  }

  void act_on(traveller& t, std::uint64_t what) {
    tiny_engine& here = engines_[t.at];
    if (what < 64) {
      hold(t);
    } else if (what < 67) {
      REQUIRE(here->pause(t.id));
    } else if (what < 72) {
      REQUIRE(here->resume(t.id));
    } else if (what < 73) {
      cancel(t);
    } else if (what < 76) {
      give_up(t);
    } else if (!t.leaving) {
      t.leaving.emplace(here, engines_[1 - t.at], t.id);
      if (!t.leaving->begin()) {
        t.leaving.reset();
        ++n_refused_;
      }
    } else if (what < 88) {
      if (!t.leaving->copy()) ++n_refused_;
    } else if (const auto there = t.leaving->finish()) {
      t.id = *there;
      t.at = 1 - t.at;
      t.leaving.reset();
      ++n_moved_;
    } else {  // the room for the last stage is refused
      ++n_refused_;
      give_up(t);
    }
  }

  void give_up(traveller& t) {
    if (t.leaving) t.leaving->abort();
    (void)engines_[t.at]->resume(t.id);
    t.leaving.reset();
  }

  void cancel(traveller& t) {
    engines_[t.at]->remove(t.id);
    give_up(t);
    std::erase_if(travellers_, [&](const traveller& other) { return &other == &t; });
  }

  void hold(const traveller& t) {
    if (holds_.size() >= 4) return;
    auto held = engines_[t.at]->hold(t.id, static_cast<std::uint32_t>(random_.below(3)));
    REQUIRE(held);
    auto bytes = bytes_of(*held);
    holds_.push_back({t.at, *std::move(held), std::move(bytes)});
  }

  void release() {
    if (holds_.empty()) return;
    const auto which = holds_.begin() + static_cast<std::ptrdiff_t>(random_.below(holds_.size()));
    CHECK(bytes_of(which->held) == which->bytes);
    engines_[which->at]->release(which->held.id);
    holds_.erase(which);
  }

  /// Those that have ended.
  void collect() {
    for (auto& t : travellers_) {
      const stream& s = engines_[t.at].of(t.id);
      if (s.reason == finish_reason::unfinished) continue;
      CAPTURE(t.kind);
      CHECK(same(s, expected()[t.kind]));
      ++n_finished_;
      give_up(t);
    }
    std::erase_if(travellers_,
                  [&](const traveller& t) { return engines_[t.at].of(t.id).reason != finish_reason::unfinished; });
  }

  random_stream random_;
  std::array<tiny_engine, 2> engines_;
  std::vector<traveller> travellers_;
  std::vector<held_copy> holds_;
  int n_finished_ = 0;
  int n_moved_ = 0;
  int n_refused_ = 0;
};

}  // namespace

TEST_CASE("whatever happens to sequences on the move, no block is lost and no stream changed", "[engine][transfer]") {
  int n_finished = 0, n_moved = 0, n_refused = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    world w(seed);
    for (int i = 0; i < 1'500; ++i)
      w.act();
    w.finish();
    n_finished += w.n_finished();
    n_moved += w.n_moved();
    n_refused += w.n_refused();
  }
  CHECK(n_finished > 1'000);
  CHECK(n_moved > 200);
  CHECK(n_refused > 200);
}
