// What the local order may know of a request beside what the engine knows of its sequence.
#pragma once

#include "base/clock.hpp"
#include "base/generation.hpp"
#include "policies/batching.hpp"
#include "policies/length_prediction.hpp"

#include <cstdint>

namespace troupe {

struct request_facts {
  request_id id;
  std::int32_t priority = 0;
  time_point arrived{};
  policies::batch_objective objective;
  policies::length_features features;
};

/// `now`: when the request is here; its objective says how long it has been under way.
request_facts facts_of(const generation_request& request, time_point now);

/// What is known of the length of its answer. Requests of one tenant, workflow and step are of one kind.
policies::length_features features_of(const generation_request& request);

/// The order of a request's time limits: by when its last token is wanted; time_point::max() when it does not say.
time_point wanted_by(const service_objective& objective, time_point arrived);

}  // namespace troupe
