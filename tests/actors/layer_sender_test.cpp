// K and V that leave while a prompt is prefilled: what is sent when, and that every hold comes back once.
#include "actors/worker/layer_sender.hpp"

#include "catch.hpp"

#include <map>
#include <memory>
#include <utility>
#include <vector>

using namespace troupe;

namespace {

constexpr kv_geometry shape{.block_tokens = 4, .n_layers = 5, .layer_bytes = 8};
constexpr std::uint32_t n_blocks = 8;

/// Blocks whose bytes say which layer of which block they are.
class fake_engine final : public kv_transfer {
 public:
  fake_engine() : memory_(n_blocks * shape.n_layers * shape.layer_bytes) {
    for (std::size_t i = 0; i < memory_.size(); ++i)
      memory_[i] = static_cast<std::byte>(i / shape.layer_bytes);
  }

  std::uint32_t n_full = 0;  // blocks that a hold gives
  bool refuses = false;
  int n_held = 0;

  kv_fingerprint fingerprint() const override { return {}; }
  kv_geometry geometry() const override { return shape; }
  result<kv_hold> hold(sequence_id, std::uint32_t first_block) override {
    if (refuses) return make_error(errc::overloaded, "full");
    kv_hold held{kv_hold_id{next_++}, n_full * shape.block_tokens, first_block, {}};
    const std::size_t block_bytes = shape.n_layers * shape.layer_bytes;
    for (std::uint32_t i = first_block; i < n_full; ++i)
      held.blocks.push_back(std::span<const std::byte>(memory_).subspan(i * block_bytes, block_bytes));
    ++n_held;
    return held;
  }
  void release(kv_hold_id) override { --n_held; }
  result<> pause(sequence_id) override { return {}; }
  result<> resume(sequence_id) override { return {}; }
  result<sequence_snapshot> snapshot(sequence_id) const override { return sequence_snapshot{}; }
  result<> listen(sequence_id, kv_listener*) override { return {}; }
  result<kv_reservation> reserve(generation_request, std::uint32_t) override { return kv_reservation{}; }
  result<kv_reservation> grow(sequence_id, std::uint32_t) override { return kv_reservation{}; }
  result<> commit(sequence_id, std::span<const token_id>, sequence_progress) override { return {}; }

 private:
  std::vector<std::byte> memory_;
  std::uint64_t next_ = 1;
};

/// A sender, its engine and the other side.
struct scene {
  fake_engine engine;
  kv_parts parts{shape, 2};  // layers 0-1, 2-3 and 4
  std::vector<bulk_port::completion> under_way;
  std::map<std::uint32_t, std::vector<std::byte>> arrived;  // by part
  int n_sends = 0;
  int n_twice = 0;
  std::vector<bool> told;  // whether what a step sent was whole
  std::shared_ptr<layer_sender> sender = std::make_shared<layer_sender>([this](kv_hold_id hold, bool whole) {
    engine.release(hold);
    told.push_back(whole);
  });

  scene() { sender->attach(engine); }

  void open(std::uint32_t first_block = 0) {
    sender->open(
        parts, first_block,
        [this](std::uint32_t first_part, std::vector<std::span<const std::byte>> sent, bulk_port::completion done) {
          ++n_sends;
          for (std::size_t i = 0; i < sent.size(); ++i) {
            if (sent[i].empty()) continue;
            const auto part = first_part + static_cast<std::uint32_t>(i);
            n_twice += !arrived.emplace(part, std::vector(sent[i].begin(), sent[i].end())).second;
          }
          under_way.push_back(std::move(done));
        });
  }
  void land(bool whole = true) {
    for (const auto& done : std::exchange(under_way, {}))
      done(whole);
  }
  void layer(std::uint32_t of, std::uint32_t first_position, std::uint32_t n_positions) {
    engine.n_full = (first_position + n_positions) / shape.block_tokens;
    sender->on_layer(sequence_id{1}, of, first_position, n_positions);
  }
  void step(std::uint32_t first_position, std::uint32_t n_positions, std::uint32_t first_layer = 0) {
    for (std::uint32_t of = first_layer; of < shape.n_layers; ++of)
      layer(of, first_position, n_positions);
  }
  /// Parts of blocks [first, last) of the ticket hold the layers of blocks from first_block on.
  bool has_blocks(std::uint32_t first, std::uint32_t last, std::uint32_t first_block = 0) const {
    for (std::uint32_t block = first; block < last; ++block) {
      for (std::uint32_t part = 0; part < 3; ++part) {
        const auto found = arrived.find(block * 3 + part);
        if (found == arrived.end() || found->second.size() != (part == 2 ? 8u : 16u)) return false;
        for (std::size_t i = 0; i < found->second.size(); ++i)
          if (found->second[i] != static_cast<std::byte>((block + first_block) * 5 + part * 2 + i / 8)) return false;
      }
    }
    return true;
  }
};

}  // namespace

TEST_CASE("layers leave as soon as a part of them is computed", "[layers]") {
  scene s;
  s.open();
  s.layer(0, 0, 10);
  CHECK(s.n_sends == 0);
  s.layer(1, 0, 10);
  CHECK(s.n_sends == 1);
  CHECK(s.arrived.size() == 2);  // of two full blocks; the third is not full
  CHECK(s.sender->is_sending());
  CHECK(s.sender->next_block() == 0);
  s.step(0, 10, 2);
  CHECK(s.n_sends == 3);
  CHECK(s.sender->next_block() == 2);
  CHECK(s.has_blocks(0, 2));
  CHECK(s.told.empty());
  s.land();
  CHECK(s.told == std::vector{true});
  CHECK(!s.sender->is_sending());
  s.step(10, 10);  // the third, the fourth and the fifth
  s.land();
  CHECK(s.has_blocks(0, 5));
  CHECK(s.n_twice == 0);
  CHECK(s.engine.n_held == 0);
}

TEST_CASE("what the target accepts in the middle of a step leaves with the next layer", "[layers]") {
  for (std::uint32_t accepted_before = 0; accepted_before <= shape.n_layers; ++accepted_before) {
    CAPTURE(accepted_before);
    scene s;
    for (std::uint32_t layer = 0; layer < shape.n_layers; ++layer) {
      if (layer == accepted_before) s.open(1);
      s.layer(layer, 0, 16);
    }
    if (accepted_before == shape.n_layers) s.open(1);
    s.land();
    const bool in_time = accepted_before < shape.n_layers;
    CHECK(s.has_blocks(0, 3, 1) == in_time);
    CHECK(s.sender->next_block() == (in_time ? 4 : 1));  // else the rest is for others to send
    s.sender->skip(4 - s.sender->next_block());
    s.step(16, 8);
    s.land();
    CHECK(s.has_blocks(3, 5, 1));
    CHECK(s.n_twice == 0);
    CHECK(s.engine.n_held == 0);
  }
}

TEST_CASE("a sender that is closed in the middle of a step gives its hold back and is silent", "[layers]") {
  for (std::uint32_t closed_before = 0; closed_before <= shape.n_layers; ++closed_before) {
    CAPTURE(closed_before);
    scene s;
    s.open();
    for (std::uint32_t layer = 0; layer < shape.n_layers; ++layer) {
      if (layer == closed_before) s.sender->close();
      s.layer(layer, 0, 16);
    }
    const int n_sends = s.n_sends;
    s.sender->close();
    s.land();
    s.step(16, 8);
    s.land();
    CHECK(s.n_sends == n_sends);
    CHECK(s.engine.n_held == 0);
    CHECK(s.told.size() == (closed_before == 0 ? 0 : 1));
    CHECK(!s.sender->is_sending());
  }
}

TEST_CASE("parts that do not arrive are told of once, when the last is settled", "[layers]") {
  scene s;
  s.open();
  s.layer(0, 0, 8);
  s.layer(1, 0, 8);
  s.land(false);
  CHECK(s.told.empty());
  s.step(0, 8, 2);
  s.land();
  CHECK(s.told == std::vector{false});
  CHECK(s.engine.n_held == 0);
}

TEST_CASE("an engine without holds to give, and steps that fill no block, leave the blocks to others", "[layers]") {
  scene s;
  s.open();
  s.engine.refuses = true;
  s.step(0, 16);
  CHECK(s.sender->next_block() == 0);
  s.engine.refuses = false;
  s.sender->skip(4);
  s.step(16, 3);
  CHECK(s.n_sends == 0);
  CHECK(s.engine.n_held == 0);
  s.step(19, 1);
  s.land();
  CHECK(s.has_blocks(4, 5));
}

TEST_CASE("blocks are cut into parts of whole layers", "[layers]") {
  CHECK(kv_parts::of_at_least(shape, 1).layers_per_part() == 1);
  CHECK(kv_parts::of_at_least(shape, 9).layers_per_part() == 2);
  CHECK(kv_parts::of_at_least(shape, 1000).layers_per_part() == 5);
  const kv_parts by_two(shape, 2);
  CHECK(by_two.per_block() == 3);
  const std::uint32_t whole[] = {0, 0, 1, 1, 2, 3};
  for (std::uint32_t layers = 0; layers <= 5; ++layers)
    CHECK(by_two.within(layers) == whole[layers]);
  std::vector<std::byte> memory(80);
  const std::vector<std::span<std::byte>> blocks{std::span(memory).first(40), std::span(memory).last(40)};
  const auto parts = by_two.cut(std::span(blocks));
  REQUIRE(parts.size() == 6);
  CHECK(parts[2].size() == 8);
  CHECK(parts[3].data() == memory.data() + 40);
  CHECK(by_two.cut(std::span(blocks), 1, 2)[0].empty());
  CHECK(by_two.cut(std::span(blocks), 1, 2)[4].data() == memory.data() + 56);
}
