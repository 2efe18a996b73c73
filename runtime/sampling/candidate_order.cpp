#include "runtime/sampling/candidate_order.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

namespace troupe {
namespace {

// Four lanes as every processor has them. The compiler's vectors, not an instruction set's: this is no kernel, and its
// bits must be the same on all machines of one architecture.
constexpr std::size_t lanes = 4;
using floats = float __attribute__((vector_size(16)));
using integers = std::int32_t __attribute__((vector_size(16)));

constexpr std::uint32_t n_buckets = 1024;
constexpr float last_bucket = n_buckets - 1;
constexpr float largest_float = std::numeric_limits<float>::max();
constexpr float minus_infinity = -std::numeric_limits<float>::infinity();
// Past this many nats a weight is less than one unit: exp(-29) < 2^-41.
constexpr float farthest = 29.0f;

floats splat(float x) {
  return floats{x, x, x, x};
}

integers splat(std::int32_t x) {
  return integers{x, x, x, x};
}

floats load(const float* from) {
  floats x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

integers load(const std::int32_t* from) {
  integers x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

bool any(integers mask) {
  std::uint64_t halves[2];
  std::memcpy(halves, &mask, sizeof halves);
  return (halves[0] | halves[1]) != 0;
}

// The last lanes of a span, filled up with what is no candidate.
floats load_tail(std::span<const float> from) {
  floats x = splat(minus_infinity);
  std::memcpy(&x, from.data(), from.size_bytes());
  return x;
}

template <class Body>
void for_each_vector(std::span<const float> values, Body&& body) {
  std::size_t i = 0;
  for (; i + lanes <= values.size(); i += lanes)
    body(i, load(values.data() + i));
  if (i < values.size()) body(i, load_tail(values.subspan(i)));
}

// exp(-distance) for distances in [0, farthest], relative error below 2e-7: 2^n exp(r) with |r| <= ln(2) / 2, ln 2 in
// two parts (Cody and Waite, 1980), Taylor's polynomial for exp(r). Exactly 1 at 0.
floats exp_of_minus(floats distance) {
  const floats magic = splat(12582912.0f);  // 1.5 x 2^23: adding it leaves the nearest integer in the low bits
  const floats shifted = distance * splat(-1.44269504f) + magic;
  const floats n = shifted - magic;
  const floats r = (splat(0.0f) - distance - n * splat(0.693359375f)) - n * splat(-2.12194440e-4f);
  floats p = splat(1.0f / 720.0f);
  p = p * r + splat(1.0f / 120.0f);
  p = p * r + splat(1.0f / 24.0f);
  p = p * r + splat(1.0f / 6.0f);
  p = p * r + splat(0.5f);
  p = p * r + splat(1.0f);
  p = p * r + splat(1.0f);
  const integers exponent = (integers)shifted << 23;  // the magic number's own bits leave at the top
  return (floats)((integers)p + exponent);
}

struct extremes {
  float smallest;  // above minus infinity
  float largest;
};

extremes find_extremes(std::span<const float> logits) {
  floats smallest = splat(largest_float), largest = splat(minus_infinity);
  for_each_vector(logits, [&](std::size_t, floats x) {
    largest = x > largest ? x : largest;  // false for NaN
    const floats number = x > splat(minus_infinity) ? x : splat(largest_float);
    smallest = number < smallest ? number : smallest;
  });
  extremes all{largest_float, minus_infinity};
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    all.smallest = std::min(all.smallest, smallest[lane]);
    all.largest = std::max(all.largest, largest[lane]);
  }
  all.largest = std::min(all.largest, largest_float);
  return all;
}

}  // namespace

candidate_order::candidate_order(std::uint32_t n_vocab)
    : weights_((n_vocab + lanes - 1) / lanes * lanes),
      bucket_of_(weights_.size()),
      bucket_weight_(n_buckets),
      bucket_count_(n_buckets),
      sorted_(n_vocab) {
  TROUPE_ASSERT(n_vocab > 0 && n_vocab < (1u << 24), "the sum of all weights fits 64 bits");
}

bool candidate_order::assign(std::span<const float> logits, float temperature, float min_weight) {
  TROUPE_ASSERT(logits.size() == sorted_.size(), "one logit for each token of the vocabulary");
  TROUPE_ASSERT(temperature > 0.0f, "temperature 0 is greedy and has no weights");
  logits_ = logits;
  which_sorted_.reset();
  counted_ = false;
  const extremes found = find_extremes(logits);
  if (found.largest == minus_infinity) return false;
  weigh(found.largest, found.largest - found.smallest, temperature, min_weight);
  sum_buckets();
  return true;
}

void candidate_order::weigh(float largest, float range, float temperature, float min_weight) {
  // Bounded, so that 0 / temperature stays 0.
  const float sharpness = std::min(1.0f / temperature, largest_float);
  // The candidates spread over all buckets but the last, whatever the temperature; the last takes what has no weight.
  const float spread = std::clamp(range * sharpness, 1e-30f, farthest);
  const float buckets_per_nat = last_bucket / spread;
  const floats one_unit = splat(static_cast<float>(std::uint64_t{1} << weight_bits));
  float* const weights = weights_.data();  // locals: a store could otherwise change them, for all the compiler knows
  std::int32_t* const bucket_of = bucket_of_.data();
  for_each_vector(logits_, [=](std::size_t i, floats logit) {
    floats distance = (splat(largest) - logit) * splat(sharpness);
    distance = distance < splat(farthest) ? distance : splat(farthest);  // and NaN
    distance = distance > splat(0.0f) ? distance : splat(0.0f);          // plus infinity
    floats weight = exp_of_minus(distance);
    weight = weight >= splat(min_weight) ? weight * one_unit : splat(0.0f);
    floats position = distance * splat(buckets_per_nat);
    position = position < splat(last_bucket) ? position : splat(last_bucket);
    const integers which = __builtin_convertvector(position, integers);
    std::memcpy(weights + i, &weight, sizeof weight);
    std::memcpy(bucket_of + i, &which, sizeof which);
  });
}

void candidate_order::sum_buckets() {
  std::ranges::fill(bucket_weight_, 0u);
  std::uint64_t* const sums = bucket_weight_.data();
  for (std::uint32_t id = 0; id < logits_.size(); ++id)
    sums[bucket_of_[id]] += weight_of(id);
  total_weight_ = std::accumulate(bucket_weight_.begin(), bucket_weight_.end(), std::uint64_t{0});
}

void candidate_order::count_buckets() {
  std::ranges::fill(bucket_count_, 0u);
  for (std::uint32_t id = 0; id < logits_.size(); ++id)
    bucket_count_[static_cast<std::size_t>(bucket_of_[id])] += weights_[id] >= 1.0f;
  counted_ = true;
}

std::span<const candidate_order::candidate> candidate_order::sorted(std::uint32_t which) {
  if (which_sorted_ != which) {
    which_sorted_ = which;
    n_sorted_ = 0;
    const integers wanted = splat(static_cast<std::int32_t>(which));
    for (std::uint32_t id = 0; id < logits_.size(); id += lanes) {
      if (!any(load(bucket_of_.data() + id) == wanted)) continue;
      const std::uint32_t end = std::min<std::uint32_t>(id + lanes, static_cast<std::uint32_t>(logits_.size()));
      for (std::uint32_t member = id; member < end; ++member)
        if (bucket_of_[member] == static_cast<std::int32_t>(which) && weights_[member] >= 1.0f)
          sorted_[n_sorted_++] = {logits_[member], member};
    }
    const auto before = [](const candidate& a, const candidate& b) {
      return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
    };
    const std::span<candidate> members = std::span(sorted_).first(n_sorted_);
    if (!std::ranges::is_sorted(members, before)) std::ranges::sort(members, before);
  }
  return std::span(sorted_).first(n_sorted_);
}

std::uint64_t candidate_order::weight_of_first(std::uint64_t count) {
  if (!counted_) count_buckets();
  std::uint64_t weight = 0;
  for (std::uint32_t which = 0; which < n_buckets; ++which) {
    if (count <= bucket_count_[which]) {
      for (const candidate& c : sorted(which).first(count))
        weight += weight_of(c.id);
      return weight;
    }
    weight += bucket_weight_[which];
    count -= bucket_count_[which];
  }
  return weight;
}

candidate_order::beginning candidate_order::shortest_reaching(std::uint64_t weight) {
  TROUPE_ASSERT(weight >= 1 && weight <= total_weight_, "a weight that some beginning reaches");
  std::uint64_t sum = 0;
  std::uint32_t which = 0;
  for (; sum + bucket_weight_[which] < weight; ++which)
    sum += bucket_weight_[which];
  for (const candidate& c : sorted(which)) {
    sum += weight_of(c.id);
    if (sum >= weight) return {.weight = sum, .last = static_cast<token_id>(c.id)};
  }
  TROUPE_ASSERT(false, "a bucket's sum is the sum of its candidates");
}

}  // namespace troupe
