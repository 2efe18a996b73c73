#include "toy_engine.hpp"

#include "base/normal.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <unordered_map>

namespace troupe::policies::toy {
namespace {

using namespace std::chrono_literals;

constexpr duration step = 50ms;
constexpr duration first_token_within = 1s;
constexpr duration token_every = 100ms;
constexpr duration answer_within = 10s;
constexpr duration compound_within = 40s;
constexpr std::uint32_t block_tokens = 16;
constexpr int stages = 3;
constexpr int calls_of_a_stage = 2;

std::uint32_t lognormal(random_stream& random, double median, double sigma) {
  return static_cast<std::uint32_t>(std::max(1.0, median * std::exp(sigma * draw_normal(random))));
}

double cumulative(double x) {
  return 0.5 * std::erfc(-x / std::numbers::sqrt2);
}

// The x that so much of a standard normal is below, by bisection.
double quantile(double share) {
  double low = -9, high = 9;
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (cumulative(middle) < share ? low : high) = middle;
  }
  return low;
}

struct call {
  std::uint32_t prompt = 0;
  std::uint32_t answer = 0;
  double guess = 0;  // of the answer's length, before it starts
};

enum kind { stream, answer, compound };

struct request {
  kind of = stream;
  time_point arrived{};
  std::vector<call> calls;  // of a compound: stage by stage
  std::size_t started = 0;
  std::size_t ended = 0;
  std::uint32_t good = 0;  // tokens in time
  std::uint32_t tokens() const {
    std::uint32_t sum = 0;
    for (const auto& c : calls)
      sum += c.answer;
    return sum;
  }
};

std::vector<request> make_requests(const world& of) {
  random_stream random(of.seed);
  std::vector<request> requests(of.requests);
  double tokens = 0;
  for (std::size_t r = 0; r < requests.size(); ++r) {
    requests[r].of = static_cast<kind>(r % 3);
    const int calls = requests[r].of == compound ? stages * calls_of_a_stage : 1;
    for (int c = 0; c < calls; ++c) {
      call made;
      made.prompt = lognormal(random, 150, 0.8);
      made.answer = lognormal(random, requests[r].of == compound ? 120 : 180, 0.7);
      made.guess = made.answer * std::exp(of.predictor_error * draw_normal(random));
      tokens += made.answer;
      requests[r].calls.push_back(made);
    }
  }
  const double tokens_a_second = of.max_running / std::chrono::duration<double>(step).count();
  const double rate = of.load * tokens_a_second * of.requests / tokens;
  // Kinds in random order, or each would come when another just has.
  for (std::size_t r = requests.size(); r > 1; --r)
    std::swap(requests[r - 1], requests[random.below(r)]);
  time_point at{};
  for (auto& r : requests) {
    at += std::chrono::duration_cast<duration>(std::chrono::duration<double>(-std::log(1 - random.unit()) / rate));
    r.arrived = at;
  }
  return requests;
}

// The median of what is left, of a length whose logarithm is normal around the guess's and that is more than `drawn`.
std::uint32_t predict_left(const call& c, std::uint32_t drawn, double error) {
  if (error == 0) return std::max(1u, c.answer - drawn);
  const double guess = std::log(std::max(c.guess, 1.0));
  const double below = drawn == 0 ? 0 : cumulative((std::log(drawn) - guess) / error);
  const double middle = std::exp(guess + error * quantile(below + (1 - below) / 2));
  return static_cast<std::uint32_t>(std::clamp(middle - drawn, 1.0, 4'000.0));
}

struct live_call {
  std::size_t request;
  std::size_t index;  // of the request's calls
  batch_sequence seen;
  bool predicted = false;
};

class engine {
 public:
  engine(const batching_policy& policy, const world& of) : policy_(policy), world_(of), requests_(make_requests(of)) {}

  outcome run() {
    std::size_t arrived = 0;
    while (arrived < requests_.size() || !live_.empty()) {
      for (; arrived < requests_.size() && requests_[arrived].arrived <= now_; ++arrived)
        start_stage(arrived);
      if (live_.empty()) {
        now_ += step;
        continue;
      }
      advance();
    }
    double all = 0, good = 0, of_kind[3]{}, good_of_kind[3]{};
    for (const auto& r : requests_) {
      all += r.tokens();
      good += r.good;
      of_kind[r.of] += r.tokens();
      good_of_kind[r.of] += r.good;
    }
    result_.goodput = good / all;
    for (int k = 0; k < 3; ++k)
      result_.by_kind[k] = good_of_kind[k] / of_kind[k];
    return result_;
  }

 private:
  void start_stage(std::size_t index) {
    auto& r = requests_[index];
    const std::size_t n = r.of == compound ? calls_of_a_stage : 1;
    for (std::size_t c = r.started; c < r.started + n; ++c) {
      live_call made{index, c, {}, false};
      auto& s = made.seen;
      s.id = sequence_id{++last_id_};
      s.n_known = s.n_prompt = r.calls[c].prompt;
      s.arrived = r.arrived;
      s.served = now_;  // what a wait is measured from
      if (world_.objectives) s.objective = objective_of(r, c);
      live_.push_back(made);
    }
    r.started += n;
  }

  batch_objective objective_of(const request& r, std::size_t c) const {
    batch_objective wants;
    if (r.of == stream) {
      wants.first_token_by = r.arrived + first_token_within;
      wants.token_every = token_every;
    } else if (r.of == answer) {
      wants.done_by = r.arrived + answer_within;
    } else {
      const auto stage = world_.sub_deadlines ? static_cast<int>(c) / calls_of_a_stage + 1 : stages;
      wants.done_by = r.arrived + compound_within * stage / stages;
      if (world_.sub_deadlines) wants.whole_by = r.arrived + compound_within;
    }
    return wants;
  }

  void advance() {
    std::vector<batch_sequence> view;
    std::unordered_map<sequence_id, std::size_t> at;  // in live_
    std::uint32_t used = 0;
    for (std::size_t i = 0; i < live_.size(); ++i) {
      auto& of = live_[i];
      const auto& c = requests_[of.request].calls[of.index];
      if (of.seen.running || !of.predicted)
        of.seen.predicted_left = predict_left(c, of.seen.n_known - of.seen.n_prompt, world_.predictor_error);
      of.predicted = true;
      used += of.seen.n_blocks;
      view.push_back(of.seen);
      at[of.seen.id] = i;
      of.seen.running = false;
    }
    const batch_limits limits{.block_tokens = block_tokens,
                              .blocks_free = world_.blocks - used,
                              .max_sequences = world_.max_sequences,
                              .max_running = world_.max_running,
                              .now = now_,
                              .step_time = step,
                              .token_time = step / 512};
    const batch_plan plan = policy_.plan(view, limits);
    now_ += step;
    ++result_.steps;
    for (const auto id : plan.preempt) {
      auto& s = live_[at[id]].seen;
      s.admitted = false;
      s.n_computed = s.n_blocks = 0;
      ++result_.preemptions;
    }
    for (const auto& grant : plan.grants)
      serve(live_[at[grant.id]], grant.n_tokens);
    end_calls();
  }

  void serve(live_call& of, std::uint32_t n) {
    auto& s = of.seen;
    result_.longest_wait = std::max(result_.longest_wait, now_ - s.served);
    s.served = now_;
    s.admitted = s.running = true;
    s.n_computed += n;
    s.n_blocks = (s.n_computed + block_tokens - 1) / block_tokens;
    if (s.n_computed < s.n_known) return;
    auto& r = requests_[of.request];
    const std::uint32_t drawn = s.n_known++ - s.n_prompt;  // before this one
    if (r.of == stream && now_ <= r.arrived + first_token_within + drawn * token_every) ++r.good;
  }

  void end_calls() {
    std::vector<std::size_t> next_stages;
    std::erase_if(live_, [&](const live_call& of) {
      auto& r = requests_[of.request];
      if (of.seen.n_known - of.seen.n_prompt < r.calls[of.index].answer) return false;
      if (++r.ended == r.calls.size()) {
        const auto within = r.of == answer ? answer_within : compound_within;
        if (r.of != stream && now_ <= r.arrived + within) r.good = r.tokens();
      } else if (r.ended == r.started) {
        next_stages.push_back(of.request);
      }
      return true;
    });
    for (const auto r : next_stages)
      start_stage(r);
  }

  const batching_policy& policy_;
  const world& world_;
  std::vector<request> requests_;
  std::vector<live_call> live_;
  time_point now_{};
  std::uint64_t last_id_ = 0;
  outcome result_;
};

}  // namespace

outcome simulate(const batching_policy& policy, const world& of) {
  return engine(policy, of).run();
}

}  // namespace troupe::policies::toy
