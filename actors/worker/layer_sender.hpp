// Sends the K and V of a prompt while it is prefilled, layer after layer: when the last layer of a chunk is computed,
// the first ones are at the decode worker already (DistServe, Zhong et al., OSDI 2024, section 4.3). Cost: a lock and a
// post to the transport for each part's worth of layers.
//
// Attached to a sequence before its first step; silent until the target has accepted and after close(). What a step
// computed while it was silent is for others to send: next_block() says from where.
#pragma once

#include "actors/worker/bulk_port.hpp"
#include "actors/worker/kv_parts.hpp"
#include "runtime/engine/kv_transfer.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace troupe {

class layer_sender final : public kv_listener, public std::enable_shared_from_this<layer_sender> {
 public:
  /// The target's ticket: fills parts from first_part on, and calls back once, on any thread.
  using send_function = std::function<void(std::uint32_t first_part, std::vector<std::span<const std::byte>> parts,
                                           bulk_port::completion done)>;
  /// What a step sent has arrived, or has not; nothing reads the hold's blocks any more. On any thread.
  using sent_function = std::function<void(kv_hold_id hold, bool whole)>;

  explicit layer_sender(sent_function on_sent) : on_sent_(std::move(on_sent)) {}

  /// The target takes blocks from first_block on, cut into these parts.
  void open(const kv_parts& parts, std::uint32_t first_block, send_function send);
  /// Nothing is sent any more.
  void close();

  // On the engine's thread.

  /// Before the first step it is told of.
  void attach(kv_transfer& engine);
  void on_layer(sequence_id sequence, std::uint32_t layer, std::uint32_t first_position,
                std::uint32_t n_positions) override;
  /// The first block that was not sent, or is not being sent.
  std::uint32_t next_block() const;
  /// Somebody else sends so many.
  void skip(std::uint32_t n_blocks);
  bool is_sending() const;
  /// The target has accepted, and nobody has closed it.
  bool is_open() const;

 private:
  /// What one step computes.
  struct step {
    kv_hold hold;
    std::uint32_t first_part = 0;
    std::uint32_t n_parts = 0;  // of each block, sent
    std::size_t n_in_flight = 0;
    bool computed = false;  // to its last layer: nothing more is sent
    bool whole = true;
  };

  void begin(sequence_id sequence, std::uint32_t end_position);
  void send_layers(std::uint32_t n_layers);
  void settle(const std::shared_ptr<step>& of, std::unique_lock<std::mutex>& lock);

  mutable std::mutex mutex_;
  sent_function on_sent_;
  kv_transfer* engine_ = nullptr;
  kv_geometry geometry_;
  kv_parts parts_;
  send_function send_;  // empty while it is silent
  std::uint32_t first_block_ = 0;
  std::uint32_t next_block_ = 0;
  std::size_t n_steps_sending_ = 0;
  std::shared_ptr<step> step_;  // under way
};

}  // namespace troupe
