// A fabric over another one that spoils frames: for tests and for chaos runs of whole nodes. Frames get lost, come
// twice, late, in another order, cut short or with a bit flipped, by seeded chance or by order; links, their loss and
// bulk memory pass as they are.
//
//   late        a frame holds up all of its link behind it, as a slow network does
//   reordered   the frame is held until another of its link has passed, or until `reorder_limit`
//
// A session over a link that loses, repeats, reorders or changes a frame ends with it (session.hpp): that is the point.
// The same seed and the same calls give the same faults.
#pragma once

#include "base/random.hpp"
#include "transport/forwarding_fabric.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace troupe::transport {

enum class fault : std::uint8_t { lose, duplicate, delay, reorder, truncate, flip };
inline constexpr std::size_t n_faults = 6;

enum class fault_direction : std::uint8_t { out, in };

/// Chances for each frame, 0 to 1; at most one fault befalls a frame.
struct fault_rates {
  double lose = 0;
  double duplicate = 0;
  double delay = 0;
  double reorder = 0;
  double truncate = 0;
  double flip = 0;
  duration longest_delay = std::chrono::milliseconds(50);  // delays are uniform up to it
};

class fault_proxy final : public forwarding_fabric {
 public:
  /// `now`: virtual or real time, that of the caller's sleep_until().
  fault_proxy(std::unique_ptr<fabric> inner, std::function<time_point()> now, std::uint64_t seed);

  void set_rates(fault_direction which, const fault_rates& rates) { way(which).rates = rates; }
  void set_rates(const fault_rates& rates);
  /// What befalls the next frames of a direction, before chance has its say. nullopt: nothing. `late`: of a delay.
  void order(fault_direction which, std::optional<fault> what, std::size_t n_frames = 1, duration late = {});

  /// How often a fault happened, in both directions.
  std::uint64_t n_done(fault what) const { return done_[static_cast<std::size_t>(what)]; }
  std::uint64_t n_frames() const { return n_frames_; }
  /// When a held frame is due; time_point::max() when none is.
  time_point next_event() const;

  static constexpr duration reorder_limit = std::chrono::milliseconds(20);

  void send(link_id link, wire::byte_buffer frame) override;
  std::size_t unsent_bytes(link_id link) const override;
  void close(link_id link) override;
  void close_gently(link_id link) override;
  bool progress() override;
  bool sleep_until(time_point when) override;

 private:
  struct held_frame {
    wire::byte_buffer frame;
    time_point due;
  };
  /// Of one link in one direction. What is late stands in line; what is reordered waits beside it.
  struct held_frames {
    std::deque<held_frame> line;
    std::optional<held_frame> aside;
  };
  struct ordered_fault {
    std::optional<fault> what;
    duration late;
  };
  struct direction_state {
    fault_rates rates;
    std::deque<ordered_fault> orders;
    std::map<link_id, held_frames> held;
  };

  direction_state& way(fault_direction which) { return ways_[static_cast<std::size_t>(which)]; }
  ordered_fault draw(direction_state& way);
  void take(fault_direction which, link_id link, wire::byte_buffer frame);
  void queue(fault_direction which, link_id link, wire::byte_buffer frame, time_point due);
  void pass(fault_direction which, link_id link, wire::byte_buffer frame);
  void spoil(fault what, wire::byte_buffer& frame);
  bool release_due(fault_direction which);
  void forget(link_id link);

  void on_frame(link_id link, std::span<const std::byte> frame) override;
  void on_link_lost(link_id link, std::string_view why) override;

  std::function<time_point()> now_;
  random_stream random_;
  std::array<direction_state, 2> ways_;
  std::array<std::uint64_t, n_faults> done_{};
  std::uint64_t n_frames_ = 0;
};

}  // namespace troupe::transport
