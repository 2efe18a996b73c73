#include "policies/length_prediction.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>
#include <span>

namespace troupe::policies {
namespace {

constexpr int bins_an_octave = 6;

// Where a length lies on the scale of bins: bin b is (b, b + 1].
double position(double length) {
  return std::log2(std::max(length, 1.0)) * bins_an_octave;
}

// The length that `share` of the answers longer than n_drawn stay below. Inside a bin the logarithm is uniform.
double conditional_quantile(std::span<const float> weights, double n_drawn, double share) {
  const double from = position(n_drawn);
  const auto part_above = [&](std::size_t bin) { return std::clamp(static_cast<double>(bin) + 1 - from, 0.0, 1.0); };
  const auto weight_above = [&](std::size_t bin) { return static_cast<double>(weights[bin]) * part_above(bin); };
  const std::size_t first = std::min(static_cast<std::size_t>(from), weights.size());
  double above = 0;
  for (std::size_t bin = first; bin < weights.size(); ++bin)
    above += weight_above(bin);
  if (above <= 0) return n_drawn;
  double wanted = share * above;
  for (std::size_t bin = first; bin < weights.size(); ++bin) {
    const double weight = weight_above(bin);
    if (weight > 0 && weight >= wanted)
      return std::exp2((static_cast<double>(bin) + 1 - part_above(bin) * (1 - wanted / weight)) / bins_an_octave);
    wanted -= weight;
  }
  return std::exp2(static_cast<double>(weights.size()) / bins_an_octave);
}

}  // namespace

length_histogram::length_histogram(const length_histogram_settings& settings) : settings_(settings) {
  // Lognormal around 128 tokens: wide enough that a few answers outweigh it anywhere.
  constexpr double middle = 7 * bins_an_octave;
  constexpr double width = 1.5 * bins_an_octave;
  float sum = 0;
  for (int bin = 0; bin < n_bins; ++bin) {
    const double x = (bin - middle) / width;
    sum += guess_[static_cast<std::size_t>(bin)] = static_cast<float>(std::exp(-x * x / 2));
  }
  for (auto& weight : guess_)
    weight /= sum;
}

double length_histogram::predict_left(const length_features& of, std::uint32_t n_drawn, double quantile) const {
  const double length = conditional_quantile(distribution(of), n_drawn, calibrated(quantile));
  double left = length - n_drawn;
  if (of.max_tokens > 0) left = std::min(left, static_cast<double>(of.max_tokens) - n_drawn);
  return std::max(left, 1.0);
}

void length_histogram::learn(const length_features& of, std::uint32_t n_drawn) {
  const auto before = distribution(of);
  for (std::size_t q = 0; q < levels_.size(); ++q) {
    const bool covered = n_drawn <= conditional_quantile(before, 0, std::clamp(levels_[q], 0.0, 1.0));
    covered_[q] += covered ? 1 : 0;
    levels_[q] = std::clamp(levels_[q] + settings_.pace * (standard_quantiles[q] - (covered ? 1.0 : 0.0)), -0.1, 1.1);
  }
  ++n_learnt_;
  const int bin = bin_of(n_drawn);
  add(all_, bin);
  if (!kinds_.contains(of.kind) && kinds_.size() >= std::max<std::size_t>(settings_.max_kinds, 1))
    kinds_.erase(std::min_element(kinds_.begin(), kinds_.end(),
                                  [](const auto& a, const auto& b) { return a.second.learnt < b.second.learnt; }));
  auto& kind = kinds_[of.kind];
  kind.learnt = n_learnt_;
  add(kind.all, bin);
  add(kind.by_prompt[bucket_of(of)], bin);
}

double length_histogram::coverage(double quantile) const {
  if (n_learnt_ == 0) return quantile;
  const auto nearest = std::min_element(standard_quantiles.begin(), standard_quantiles.end(), [&](double a, double b) {
    return std::abs(a - quantile) < std::abs(b - quantile);
  });
  const auto q = static_cast<std::size_t>(std::distance(standard_quantiles.begin(), nearest));
  return static_cast<double>(covered_[q]) / static_cast<double>(n_learnt_);
}

int length_histogram::bin_of(double length) {
  return std::clamp(static_cast<int>(std::ceil(position(length))) - 1, 0, n_bins - 1);
}

int length_histogram::bucket_of(const length_features& of) {
  return std::min(static_cast<int>(std::bit_width(of.prompt_tokens)), n_prompt_buckets - 1);
}

length_histogram::histogram length_histogram::distribution(const length_features& of) const {
  histogram shape = guess_;
  lean(shape, all_);
  const auto kind = kinds_.find(of.kind);
  if (kind == kinds_.end()) return shape;
  lean(shape, kind->second.all);
  const auto bucket = kind->second.by_prompt.find(bucket_of(of));
  if (bucket != kind->second.by_prompt.end()) lean(shape, bucket->second);
  return shape;
}

// The parent's shape becomes the child's: as if `few` answers had come with the parent's distribution.
void length_histogram::lean(histogram& on, const cell& own) const {
  const double few = std::max(settings_.few, 1e-3);
  const auto parent = static_cast<float>(few / (few + own.total));
  const auto child = static_cast<float>(1 / (few + own.total));
  for (std::size_t bin = 0; bin < on.size(); ++bin)
    on[bin] = parent * on[bin] + child * own.weights[bin];
}

void length_histogram::add(cell& to, int bin) const {
  const double kept = std::exp(-1 / std::max(settings_.memory, 1.0));
  for (auto& weight : to.weights)
    weight *= static_cast<float>(kept);
  to.weights[static_cast<std::size_t>(bin)] += 1;
  to.total = to.total * kept + 1;
}

// A level moves with the shifts of the standard quantiles around it, in proportion.
double length_histogram::calibrated(double quantile) const {
  std::size_t above = 0;
  while (above < standard_quantiles.size() && standard_quantiles[above] < quantile)
    ++above;
  const auto shift = [&](std::size_t q) { return levels_[q] - standard_quantiles[q]; };
  double by = 0;
  if (above == 0 || above == standard_quantiles.size()) {
    by = shift(above == 0 ? 0 : above - 1);
  } else {
    const double low = standard_quantiles[above - 1];
    const double weight = (quantile - low) / (standard_quantiles[above] - low);
    by = (1 - weight) * shift(above - 1) + weight * shift(above);
  }
  return std::clamp(quantile + by, 0.001, 0.999);
}

}  // namespace troupe::policies
