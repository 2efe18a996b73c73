#include "policies/fair_share.hpp"

#include <algorithm>

namespace troupe::policies {

void fair_share::set_weight(const std::string& tenant, double weight) {
  weights_[tenant] = weight;
}

double fair_share::tag(const std::string& tenant, double cost) {
  if (tags_until_sweep_-- == 0) forget_idle();
  const auto weight = weights_.find(tenant);
  double& finish = finishes_[tenant];
  const double start = std::max(finish, virtual_time_);
  finish = start + cost / (weight == weights_.end() ? 1.0 : weight->second);
  return start;
}

void fair_share::serve(double tag) {
  virtual_time_ = std::max(virtual_time_, tag);
}

/// Whoever is not ahead of the virtual time would start at it anyway.
void fair_share::forget_idle() {
  std::erase_if(finishes_, [&](const auto& tenant) { return tenant.second <= virtual_time_; });
  tags_until_sweep_ = finishes_.size() + 64;
}

}  // namespace troupe::policies
