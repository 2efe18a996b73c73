#include "actors/worker/layer_sender.hpp"

#include <utility>

namespace troupe {

void layer_sender::attach(kv_transfer& engine) {
  std::lock_guard lock(mutex_);
  engine_ = &engine;
  geometry_ = engine.geometry();
}

void layer_sender::open(const kv_parts& parts, std::uint32_t first_block, send_function send) {
  std::lock_guard lock(mutex_);
  parts_ = parts;
  first_block_ = next_block_ = first_block;
  send_ = std::move(send);
}

void layer_sender::close() {
  std::lock_guard lock(mutex_);
  send_ = nullptr;
}

void layer_sender::on_layer(sequence_id sequence, std::uint32_t layer, std::uint32_t first_position,
                            std::uint32_t n_positions) {
  std::unique_lock lock(mutex_);
  if (send_ && !step_) begin(sequence, first_position + n_positions);
  if (!step_) return;
  if (send_) send_layers(layer + 1);
  if (layer + 1 < geometry_.n_layers) return;
  // Closed before its end, the step's blocks are wanted by nobody.
  const auto done = std::exchange(step_, nullptr);
  done->computed = true;
  if (send_) next_block_ += static_cast<std::uint32_t>(done->hold.blocks.size());
  settle(done, lock);
}

void layer_sender::begin(sequence_id sequence, std::uint32_t end_position) {
  if (end_position / geometry_.block_tokens <= next_block_) return;  // no block becomes full
  auto held = engine_->hold(sequence, next_block_);
  if (!held) return;  // too many holds: who sends the rest sends these blocks too
  step_ = std::make_shared<step>();
  step_->hold = *std::move(held);
  step_->first_part = (next_block_ - first_block_) * parts_.per_block();
  ++n_steps_sending_;
}

void layer_sender::send_layers(std::uint32_t n_layers) {
  const std::uint32_t ready = parts_.within(n_layers);
  if (ready == step_->n_parts) return;
  auto parts = parts_.cut(std::span(std::as_const(step_->hold.blocks)), step_->n_parts, ready);
  step_->n_parts = ready;
  ++step_->n_in_flight;
  // The transport never calls back from within.
  send_(step_->first_part, std::move(parts), [self = shared_from_this(), of = step_](bool whole) {
    std::unique_lock lock(self->mutex_);
    --of->n_in_flight;
    of->whole = of->whole && whole;
    self->settle(of, lock);
  });
}

void layer_sender::settle(const std::shared_ptr<step>& of, std::unique_lock<std::mutex>& lock) {
  if (!of->computed || of->n_in_flight > 0) return;
  --n_steps_sending_;
  const auto told = on_sent_;
  lock.unlock();
  told(of->hold.id, of->whole);
}

std::uint32_t layer_sender::next_block() const {
  std::lock_guard lock(mutex_);
  return next_block_;
}

void layer_sender::skip(std::uint32_t n_blocks) {
  std::lock_guard lock(mutex_);
  next_block_ += n_blocks;
}

bool layer_sender::is_open() const {
  std::lock_guard lock(mutex_);
  return send_ != nullptr;
}

bool layer_sender::is_sending() const {
  std::lock_guard lock(mutex_);
  return n_steps_sending_ > 0;
}

}  // namespace troupe
