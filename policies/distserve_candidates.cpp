#include "policies/distserve_candidates.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>

namespace troupe::policies {
namespace {

// Limits of the search; past them come only multiples of what has been considered.
constexpr std::uint32_t max_instances = 8;            // of a unit
constexpr std::uint32_t max_lopsided_instances = 16;  // of a unit with one instance of a phase
constexpr std::uint32_t max_unit_gpus = 64;           // but one instance of each phase is always a unit
constexpr std::uint32_t small_unit_gpus = 16;         // of every size up to it the best are kept
constexpr std::size_t kept_of_size = 2;
constexpr std::size_t kept_overall = 16;
constexpr std::uint32_t always_scored_gpus = 4;  // larger pairs only where they reach this share of the best
constexpr double least_share = 0.6;
constexpr std::size_t kept_colocated = 3;  // splits, of each kind

struct scored_split {
  parallelism split{};
  double rate = 0;
};

struct estimated_unit {
  placement_unit unit{};
  double rate = 0;  // of the slower phase
  double per_gpu() const { return rate / unit.gpus(); }
};

/// Requests a second that would keep one instance busy with prompts.
double prompt_rate(const placement_problem& problem, const parallelism& split) {
  double total_s = 0;
  const auto cost = problem.cost(split.tp);
  for (const auto& request : problem.lengths) {
    step_shape prompt;
    prompt.add_prompt(0, request.prompt_tokens);
    total_s += cost.time_ms(prompt) * 1e-3;
  }
  return split.pp * static_cast<double>(problem.lengths.size()) / std::max(total_s, 1e-9);
}

/// Together where a node is large enough.
unit_spread loose_spread(const placement_problem& problem, const placement_unit& unit) {
  const std::uint32_t of_prefill = unit.n_prefill > 0 ? unit.prefill.gpus() : 0;
  const std::uint32_t of_decode = unit.n_decode > 0 ? unit.decode.gpus() : 0;
  return std::max(of_prefill, of_decode) <= problem.cluster.gpus_per_node ? unit_spread::instance_by_instance
                                                                          : unit_spread::anywhere;
}

std::vector<scored_split> score_phase(const placement_problem& problem, unit_kind phase) {
  std::vector<scored_split> scored;
  for (const auto& split : parallelism_choices(problem)) {
    placement_unit unit{.kind = phase, .prefill = split};
    if (phase == unit_kind::decode_only) {
      unit.decode = split;
      unit.n_decode = 1;
      unit.n_prefill = 0;
    }
    unit.spread = loose_spread(problem, unit);
    const auto found = score(problem, unit, 0.5 * prompt_rate(problem, split));
    if (found.goodput > 0) scored.push_back({split, found.goodput});
  }
  return scored;
}

/// The spreads of a disaggregated unit under which K and V reach the other phase fast enough; none when it has no
/// place.
std::vector<unit_spread> spreads_of(const placement_problem& problem, const placement_unit& unit) {
  const auto& cluster = problem.cluster;
  const std::uint32_t gpus = unit.gpus();
  if (gpus > cluster.gpus()) return {};
  std::vector<unit_spread> spreads;
  if (gpus <= cluster.gpus_per_node) spreads.push_back(unit_spread::one_node);
  if (crosses_nodes(problem)) {
    if (cluster.gpus_per_node % gpus != 0) spreads.push_back(loose_spread(problem, unit));
  } else if (gpus > cluster.gpus_per_node && unit.prefill.pp == unit.decode.pp &&
             gpus / unit.prefill.pp <= cluster.gpus_per_node) {
    spreads.push_back(unit_spread::stage_by_stage);
  }
  return spreads;
}

void add_pair(const placement_problem& problem, const scored_split& prefill, const scored_split& decode,
              std::uint32_t n_prefill, std::uint32_t n_decode, std::vector<estimated_unit>& units) {
  if (n_prefill == 0 || n_decode == 0) return;
  const std::uint32_t gpus = n_prefill * prefill.split.gpus() + n_decode * decode.split.gpus();
  if (n_prefill + n_decode > 2 && gpus > max_unit_gpus) return;
  placement_unit unit{.kind = unit_kind::disaggregated,
                      .prefill = prefill.split,
                      .n_prefill = n_prefill,
                      .decode = decode.split,
                      .n_decode = n_decode};
  for (const auto spread : spreads_of(problem, unit)) {
    unit.spread = spread;
    units.push_back({unit, std::min(n_prefill * prefill.rate, n_decode * decode.rate)});
  }
}

/// Instances of both phases whose rates match, or that fill a small cluster.
void add_pairs(const placement_problem& problem, const scored_split& prefill, const scored_split& decode,
               std::vector<estimated_unit>& units) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  const double ratio = prefill.rate / decode.rate;  // decode instances for each prefill instance
  const auto consider = [&](std::uint32_t n_prefill, std::uint32_t n_decode) {
    const bool lopsided = std::min(n_prefill, n_decode) == 1;
    if (n_prefill + n_decode > (lopsided ? max_lopsided_instances : max_instances)) return;
    if (seen.emplace(n_prefill, n_decode).second) add_pair(problem, prefill, decode, n_prefill, n_decode, units);
  };
  const std::uint32_t gpus = problem.cluster.gpus();
  for (std::uint32_t n = 1; n < max_lopsided_instances; ++n) {
    const auto matching = static_cast<std::uint32_t>(std::clamp(n * ratio, 1.0, 1e6));
    const auto matching_inverse = static_cast<std::uint32_t>(std::clamp(n / ratio, 1.0, 1e6));
    for (const std::uint32_t more : {0u, 1u}) {
      consider(n, matching + more);
      consider(matching_inverse + more, n);
    }
    if (n * prefill.split.gpus() < gpus) consider(n, (gpus - n * prefill.split.gpus()) / decode.split.gpus());
  }
}

/// The best of each small size, for small rates and remainders, and the best of all.
std::vector<estimated_unit> keep_best(std::vector<estimated_unit> units) {
  std::stable_sort(units.begin(), units.end(),
                   [](const estimated_unit& a, const estimated_unit& b) { return a.per_gpu() > b.per_gpu(); });
  std::map<std::uint32_t, std::size_t> of_size;
  std::vector<estimated_unit> kept;
  std::size_t overall = 0;
  for (const auto& unit : units) {
    const std::uint32_t gpus = unit.unit.gpus();
    const bool is_small = gpus <= small_unit_gpus && of_size[gpus] < kept_of_size;
    if (!is_small && overall >= kept_overall) continue;
    ++(is_small ? of_size[gpus] : overall);
    kept.push_back(unit);
  }
  return kept;
}

/// Powers of two whose prompt tokens take about as long as the target for TPOT allows.
std::vector<std::uint32_t> chunk_choices(const placement_problem& problem, const parallelism& split) {
  const double per_token_s = instance_of(problem, split, true, true).cost.prompt.per_token_ms * 1e-3;
  std::vector<std::uint32_t> choices;
  for (std::uint32_t chunk = 1; chunk <= 8192; chunk *= 2) {
    const double share = chunk * per_token_s / problem.slo.tpot_s;
    if (share >= 0.1 && share <= 4.0) choices.push_back(chunk);
  }
  if (choices.empty()) choices.push_back(512);
  return choices;
}

/// The best chunk for a split, or the only choice there is for whole prompts; goodput 0 below `least_rate`.
scored_unit best_single(const placement_problem& problem, unit_kind kind, const parallelism& split, double least_rate) {
  placement_unit unit{.kind = kind, .prefill = split};
  unit.spread = loose_spread(problem, unit);
  std::vector<std::uint32_t> chunks{0};
  if (kind == unit_kind::chunked_prefill) chunks = chunk_choices(problem, split);
  scored_unit best;
  for (const std::uint32_t chunk : chunks) {
    unit.chunk_tokens = chunk;
    const auto found = score(problem, unit, 0.3 * prompt_rate(problem, split), std::max(best.goodput, least_rate));
    if (found.goodput > best.goodput) best = found;
  }
  return best;
}

/// Co-located units of one kind: the best splits by themselves, then more instances of them behind one queue.
void add_colocated(const placement_problem& problem, unit_kind kind, std::vector<scored_unit>& scored) {
  if (!considers(problem, kind)) return;
  std::vector<scored_unit> singles;  // best first
  for (const auto& split : parallelism_choices(problem)) {
    const double least = singles.size() < kept_colocated ? 0.0 : singles[kept_colocated - 1].goodput_per_gpu;
    const auto found = best_single(problem, kind, split, least * split.gpus());
    if (!(found.goodput > 0)) continue;
    if (singles.empty()) scored.push_back(found);  // the smallest, whatever it is worth: for small rates
    const auto place = std::find_if(singles.begin(), singles.end(), [&](const scored_unit& other) {
      return other.goodput_per_gpu < found.goodput_per_gpu;
    });
    singles.insert(place, found);
  }
  if (singles.size() > kept_colocated) singles.resize(kept_colocated);
  for (const auto& single : singles) {
    if (scored.empty() || !(single.unit == scored.front().unit)) scored.push_back(single);
    const std::uint32_t most_gpus = std::min(problem.cluster.gpus(), std::max(max_unit_gpus, single.unit.gpus()));
    const std::uint32_t most = std::min(max_instances, most_gpus / single.unit.gpus());
    for (std::uint32_t n = 2; n <= most; n = n < most ? std::min(2 * n, most) : n + 1) {
      auto unit = single.unit;
      unit.n_prefill = n;
      scored.push_back(score(problem, unit, n * single.goodput));
    }
  }
}

void add_disaggregated(const placement_problem& problem, std::vector<scored_unit>& scored) {
  std::vector<estimated_unit> pairs;
  const auto prefills = score_phase(problem, unit_kind::prefill_only);
  const auto decodes = score_phase(problem, unit_kind::decode_only);
  for (const auto& prefill : prefills)
    for (const auto& decode : decodes)
      add_pairs(problem, prefill, decode, pairs);
  double best_per_gpu = 0;
  for (const auto& unit : scored)
    best_per_gpu = std::max(best_per_gpu, unit.goodput_per_gpu);
  for (const auto& pair : keep_best(std::move(pairs))) {
    const std::uint32_t gpus = pair.unit.gpus();
    const double least = gpus <= always_scored_gpus ? 0.0 : least_share * best_per_gpu * gpus;
    scored.push_back(score(problem, pair.unit, 0.9 * pair.rate, least));
    best_per_gpu = std::max(best_per_gpu, scored.back().goodput_per_gpu);
  }
}

void sort_by_goodput(std::vector<scored_unit>& scored) {
  std::erase_if(scored, [](const scored_unit& unit) { return !(unit.goodput > 0); });
  std::stable_sort(scored.begin(), scored.end(),
                   [](const scored_unit& a, const scored_unit& b) { return a.goodput_per_gpu > b.goodput_per_gpu; });
}

}  // namespace

std::string to_string(const placement_unit& unit) {
  const auto instances = [](std::uint32_t count, std::string_view what, const parallelism& split) {
    return std::to_string(count) + " x " + std::string(what) + " tp " + std::to_string(split.tp) + " pp " +
           std::to_string(split.pp);
  };
  if (unit.kind != unit_kind::disaggregated)
    return instances(unit.n_prefill, to_string(unit.kind), unit.prefill) +
           (unit.chunk_tokens > 0 ? ", chunks of " + std::to_string(unit.chunk_tokens) : "");
  constexpr std::string_view spreads[] = {"anywhere", "instance by instance", "stage by stage", "one node"};
  return instances(unit.n_prefill, "prefill", unit.prefill) + " + " + instances(unit.n_decode, "decode", unit.decode) +
         ", " + std::string(spreads[static_cast<std::size_t>(unit.spread)]);
}

simulated_unit simulated(const placement_problem& problem, const placement_unit& unit) {
  const bool does_both = unit.kind == unit_kind::prefill_first || unit.kind == unit_kind::chunked_prefill;
  simulated_unit made{.kind = unit.kind, .n_prefill = unit.n_prefill, .n_decode = unit.n_decode};
  const bool in_one_node = unit.spread == unit_spread::one_node || unit.spread == unit_spread::instance_by_instance;
  if (unit.n_prefill > 0) made.prefill = instance_of(problem, unit.prefill, does_both, in_one_node);
  if (unit.n_decode > 0) made.decode = instance_of(problem, unit.decode, false, in_one_node);
  if (unit.chunk_tokens > 0) made.chunk_tokens = unit.chunk_tokens;
  if (unit.kind != unit_kind::disaggregated) return made;
  const auto& cluster = problem.cluster;
  made.kv_bytes_per_token = problem.model.kv_bytes_per_token;
  const bool stays = unit.spread == unit_spread::one_node || unit.spread == unit_spread::stage_by_stage;
  made.kv_bytes_per_s = stays ? cluster.within_node_bytes_per_s : cluster.between_nodes_bytes_per_s;
  // Stages that mirror each other send their layers side by side.
  if (unit.spread == unit_spread::stage_by_stage) made.kv_bytes_per_s *= unit.prefill.pp;
  return made;
}

scored_unit score(const placement_problem& problem, const placement_unit& unit, double first_rate, double least_rate) {
  auto search = problem.search;
  search.least_rate = least_rate;
  search.first_rate = first_rate;
  const auto found = find_goodput(simulated(problem, unit), problem.lengths, problem.slo, search);
  return {unit, found.rate, found.rate / unit.gpus(), found.at_rate};
}

std::vector<scored_unit> candidate_units(const placement_problem& problem) {
  std::vector<scored_unit> scored;
  add_colocated(problem, unit_kind::prefill_first, scored);
  add_colocated(problem, unit_kind::chunked_prefill, scored);
  if (considers(problem, unit_kind::disaggregated)) add_disaggregated(problem, scored);
  sort_by_goodput(scored);
  return scored;
}

std::vector<scored_unit> every_unit(const placement_problem& problem, std::uint32_t max_gpus) {
  std::vector<placement_unit> units;
  const auto splits = parallelism_choices(problem);
  for (const auto& prefill : splits)
    for (std::uint32_t n = 1; n * prefill.gpus() <= max_gpus; ++n) {
      placement_unit unit{.kind = unit_kind::prefill_first, .prefill = prefill, .n_prefill = n};
      unit.spread = loose_spread(problem, unit);
      units.push_back(unit);
      unit.kind = unit_kind::chunked_prefill;
      for (const std::uint32_t chunk : chunk_choices(problem, prefill)) {
        unit.chunk_tokens = chunk;
        units.push_back(unit);
      }
      unit = {.kind = unit_kind::disaggregated, .prefill = prefill, .n_prefill = n};
      for (const auto& decode : splits)
        for (std::uint32_t m = 1; n * prefill.gpus() + m * decode.gpus() <= max_gpus; ++m) {
          unit.decode = decode;
          unit.n_decode = m;
          for (const auto spread : spreads_of(problem, unit)) {
            unit.spread = spread;
            units.push_back(unit);
          }
        }
    }
  std::vector<scored_unit> scored;
  for (const auto& unit : units)
    if (considers(problem, unit.kind))
      scored.push_back(score(problem, unit, 0.5 * unit.n_prefill * prompt_rate(problem, unit.prefill)));
  sort_by_goodput(scored);
  return scored;
}

}  // namespace troupe::policies
