#include "policies/distserve_placement.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace troupe::policies {
namespace {

constexpr double tie = 0.03;
constexpr std::uint32_t max_exhaustive_gpus = 8;

/// Units placed for a rate, as indices into the candidates.
struct filling {
  std::vector<std::size_t> units;
  double goodput = 0;
  std::uint32_t gpus = 0;
};

/// Simple ones first: fewer parts that can fail, no K and V on the wire.
int complexity(unit_kind kind) {
  switch (kind) {
    case unit_kind::prefill_first:
      return 0;
    case unit_kind::chunked_prefill:
      return 1;
    default:
      return 2;
  }
}

class filler {
 public:
  filler(const placement_problem& problem, const std::vector<scored_unit>& candidates)
      : problem_(problem), candidates_(candidates) {}

  /// As many of `first` as are wanted or fit, then of the others in order; the last is the smallest that suffices.
  filling fill(std::size_t first) const {
    filling made;
    node_pool pool(problem_.cluster.nodes, problem_.cluster.gpus_per_node);
    std::size_t current = first, next = 0;
    while (made.goodput < problem_.rate) {
      const std::size_t chosen = last_one(pool, problem_.rate - made.goodput, current);
      if (pool.place(candidates_[chosen].unit)) {
        made.units.push_back(chosen);
        made.goodput += candidates_[chosen].goodput;
        made.gpus += candidates_[chosen].unit.gpus();
      } else if (next < candidates_.size()) {
        current = next++;
      } else {
        break;
      }
    }
    return made;
  }

 private:
  /// The smallest that serves what is missing, if it is smaller than `current`.
  std::size_t last_one(const node_pool& pool, double missing, std::size_t current) const {
    std::size_t best = current;
    for (std::size_t i = 0; i < candidates_.size(); ++i)
      if (candidates_[i].goodput >= missing && candidates_[i].unit.gpus() < candidates_[best].unit.gpus() &&
          pool.fits(candidates_[i].unit))
        best = i;
    return best;
  }

  const placement_problem& problem_;
  const std::vector<scored_unit>& candidates_;
};

/// Of several fillings: those that meet the rate if any does, of them those with the fewest GPUs, else the highest
/// goodput; and of ties the fewest GPUs, then the simplest, then the highest goodput.
std::size_t best_of(const std::vector<filling>& fillings, const std::vector<scored_unit>& candidates, double rate) {
  std::vector<std::size_t> left;
  for (std::size_t i = 0; i < fillings.size(); ++i)
    if (fillings[i].goodput >= rate) left.push_back(i);
  const auto keep_fewest_gpus = [&] {
    std::uint32_t fewest = ~0u;
    for (const std::size_t i : left)
      fewest = std::min(fewest, fillings[i].gpus);
    std::erase_if(left, [&](std::size_t i) { return fillings[i].gpus > fewest; });
  };
  if (left.empty())
    for (std::size_t i = 0; i < fillings.size(); ++i)
      left.push_back(i);
  else
    keep_fewest_gpus();
  double highest = 0;
  for (const std::size_t i : left)
    highest = std::max(highest, fillings[i].goodput);
  std::erase_if(left, [&](std::size_t i) { return fillings[i].goodput < (1.0 - tie) * highest; });
  keep_fewest_gpus();
  const auto complexity_of = [&](std::size_t i) {
    int most = 0;
    for (const std::size_t unit : fillings[i].units)
      most = std::max(most, complexity(candidates[unit].unit.kind));
    return most;
  };
  return *std::min_element(left.begin(), left.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(complexity_of(a), -fillings[a].goodput) < std::pair(complexity_of(b), -fillings[b].goodput);
  });
}

/// The highest goodput of what still fits, by the free GPUs of the nodes in ascending order.
class best_combination {
 public:
  explicit best_combination(const std::vector<scored_unit>& units) : units_(units) {}

  double operator()(const node_pool& pool) {
    auto key = pool.free_gpus();
    std::sort(key.begin(), key.end());
    if (const auto known = known_.find(key); known != known_.end()) return known->second;
    double best = 0;
    for (const auto& unit : units_) {
      node_pool rest = pool;
      if (rest.place(unit.unit)) best = std::max(best, unit.goodput + (*this)(rest));
    }
    return known_[key] = best;
  }

 private:
  const std::vector<scored_unit>& units_;
  std::map<std::vector<std::uint32_t>, double> known_;
};

error nothing_suffices(const placement_problem& problem) {
  return make_error(errc::invalid_argument,
                    "each target is possible by itself, but no placement keeps " +
                        std::to_string(static_cast<int>(problem.slo.attainment * 100)) +
                        " % of the requests within both; a longer TTFT or TPOT, or a lower attainment would help.",
                    "slo");
}

}  // namespace

result<placement> plan_placement(const placement_problem& problem) {
  if (auto checked = check_problem(problem); !checked) return checked.error();
  placement made;
  made.candidates = candidate_units(problem);
  if (made.candidates.empty()) return nothing_suffices(problem);

  const filler fill_with(problem, made.candidates);
  std::vector<filling> fillings;
  for (std::size_t first = 0; first < made.candidates.size(); ++first)
    fillings.push_back(fill_with.fill(first));
  const auto& best = fillings[best_of(fillings, made.candidates, problem.rate)];
  node_pool pool(problem.cluster.nodes, problem.cluster.gpus_per_node);
  for (const std::size_t unit : best.units)
    made.units.push_back({made.candidates[unit], *pool.place(made.candidates[unit].unit)});
  made.gpus = best.gpus;
  made.goodput = best.goodput;
  made.goodput_per_gpu = best.gpus > 0 ? best.goodput / best.gpus : 0.0;
  made.meets_rate = best.goodput >= problem.rate;
  return made;
}

result<double> exhaustive_goodput(const placement_problem& problem) {
  if (auto checked = check_problem(problem); !checked) return checked.error();
  const std::uint32_t gpus = problem.cluster.gpus();
  if (gpus > max_exhaustive_gpus)
    return make_error(errc::invalid_argument,
                      "an exhaustive search is for at most " + std::to_string(max_exhaustive_gpus) + " GPUs.",
                      "cluster");
  const auto units = every_unit(problem, gpus);
  return best_combination(units)(node_pool(problem.cluster.nodes, problem.cluster.gpus_per_node));
}

}  // namespace troupe::policies
