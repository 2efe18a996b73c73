#include "policies/fair_share.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace troupe::policies {

void fair_share::set_weight(const std::string& tenant, double weight) {
  weights_[tenant] = weight > 0 && std::isfinite(weight) ? weight : 1.0;
}

double fair_share::tag(const std::string& tenant, double cost) {
  if (tags_until_sweep_-- == 0 || finishes_.size() >= max_tenants) forget_idle();
  if (finishes_.size() >= max_tenants) forget_nearest();
  if (!(cost > 0)) cost = 0;
  const auto weight = weights_.find(tenant);
  double& finish = finishes_[tenant];
  const double start = std::max(finish, virtual_time_);
  finish = start + cost / (weight == weights_.end() ? 1.0 : weight->second);
  return start;
}

void fair_share::serve(double tag) {
  virtual_time_ = std::max(virtual_time_, tag);
}

void fair_share::rest() {
  finishes_.clear();
}

/// Whoever is not ahead of the virtual time would start at it anyway.
void fair_share::forget_idle() {
  std::erase_if(finishes_, [&](const auto& tenant) { return tenant.second <= virtual_time_; });
  tags_until_sweep_ = finishes_.size() + 64;
}

/// Half of them, so that it is rare.
void fair_share::forget_nearest() {
  std::vector<double> ahead;
  ahead.reserve(finishes_.size());
  for (const auto& [tenant, finish] : finishes_)
    ahead.push_back(finish);
  const auto middle = ahead.begin() + static_cast<std::ptrdiff_t>(ahead.size() / 2);
  std::ranges::nth_element(ahead, middle);
  std::erase_if(finishes_, [&](const auto& tenant) { return tenant.second <= *middle; });
}

}  // namespace troupe::policies
