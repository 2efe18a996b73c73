// Strong identifiers: a number that cannot be mistaken for another kind of number.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace troupe {

template <class Tag, class Rep = std::uint64_t>
struct strong_id {
  using rep = Rep;
  Rep value{};
  friend constexpr auto operator<=>(const strong_id&, const strong_id&) = default;
};

/// Names one request for its whole life, across workers and epochs.
using request_id = strong_id<struct request_id_tag>;
/// Names one sequence inside one engine.
using sequence_id = strong_id<struct sequence_id_tag>;
/// Names one worker inside one scheduler.
using worker_id = strong_id<struct worker_id_tag, std::uint32_t>;
/// Counts the owners a request has had. Whatever carries an older epoch is discarded on arrival.
using epoch = strong_id<struct epoch_tag, std::uint32_t>;

/// Index into a vocabulary. A plain integer, since tokenizers and kernels do arithmetic on it.
using token_id = std::int32_t;

}  // namespace troupe

template <class Tag, class Rep>
struct std::hash<troupe::strong_id<Tag, Rep>> {
  std::size_t operator()(const troupe::strong_id<Tag, Rep>& id) const noexcept { return std::hash<Rep>{}(id.value); }
};
