#include "actors/worker/request_facts.hpp"

#include "base/random.hpp"

#include <algorithm>

namespace troupe {

namespace {

std::uint64_t kind_of(const generation_request& request) {
  const std::string* const parts[] = {&request.tenant, &request.call.workflow, &request.call.step};
  std::uint64_t kind = 0;
  for (const auto* part : parts)
    for (const char c : *part + '\0')
      kind = random_bits(kind, static_cast<unsigned char>(c));
  return kind;
}

}  // namespace

policies::length_features features_of(const generation_request& request) {
  return {static_cast<std::uint32_t>(request.prompt.size()), request.sampling.max_tokens, kind_of(request), request.id};
}

time_point wanted_by(const service_objective& objective, time_point arrived) {
  time_point by = time_point::max();
  for (const auto limit : {objective.budget.count() != 0 ? objective.budget : objective.ttlt, objective.deadline})
    if (limit.count() != 0) by = std::min(by, arrived + limit);
  return by;
}

request_facts facts_of(const generation_request& request, time_point now) {
  request_facts facts;
  const auto& objective = request.objective;
  facts.id = request.id;
  facts.priority = objective.priority;
  facts.arrived = now - objective.elapsed;
  if (objective.ttft.count() > 0) facts.objective.first_token_by = facts.arrived + objective.ttft;
  facts.objective.token_every = objective.tpot;
  facts.objective.done_by = wanted_by(objective, facts.arrived);
  if (objective.budget.count() != 0 && objective.ttlt.count() > 0)
    facts.objective.whole_by = facts.arrived + objective.ttlt;
  facts.features = features_of(request);
  return facts;
}

}  // namespace troupe
