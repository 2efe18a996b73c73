// Blocks that are read stay as they are, whatever the engine does meanwhile; and layers are told of as they come.
#include "transfer_harness.hpp"

#include <thread>

using namespace troupe;
using namespace troupe::testing;

namespace {

using bytes = std::vector<std::byte>;

bytes bytes_of(const kv_hold& held) {
  bytes all;
  for (const auto block : held.blocks)
    all.insert(all.end(), block.begin(), block.end());
  return all;
}

tiny_engine engine_with_blocks(std::uint32_t n_blocks, bool prefix_caching = true) {
  const kernels::kv_layout layout{kernels::kv_type::f16, 2, 16};
  cpu_engine_options options;
  options.n_threads = 1;
  options.kv_bytes = n_blocks * kv_storage::bytes_per_block(layout, 2);
  options.prefix_caching = prefix_caching;
  return tiny_engine(options);
}

kv_hold hold(tiny_engine& engine, sequence_id id, std::uint32_t first_block = 0) {
  auto held = engine->hold(id, first_block);
  if (!held) FAIL(held.error().message);
  return *held;
}

/// Takes every block there is, several times over.
void press(tiny_engine& engine) {
  engine->reset_prefix_cache();
  for (std::uint64_t i = 0; i < 12; ++i) {
    const auto blocks = engine->status().blocks_free;
    if (blocks == 0) return;
    auto request = random_request(500 + i, blocks * block_tokens - 3, 3);
    engine.run_alone(request, 64);
    REQUIRE(is_clean(engine));
  }
}

/// Copies each layer of the full blocks when it is told of it.
class copying_listener final : public kv_listener {
 public:
  explicit copying_listener(tiny_engine& engine) : engine_(engine) {}

  void on_layer(sequence_id id, std::uint32_t layer, std::uint32_t first_position, std::uint32_t n_positions) override {
    const auto [block_size, n_layers, layer_bytes] = engine_->geometry();
    CHECK(layer == next_layer_);
    next_layer_ = (layer + 1) % n_layers;
    if (layer == 0) {
      CHECK(first_position >= n_positions_);  // guesses that were right are skipped
      n_positions_ = first_position + n_positions;
      holds_.push_back(hold(engine_, id, first_position / block_size));
      CHECK(holds_.back().n_computed == n_positions_);
      CHECK(holds_.back().first_block + holds_.back().blocks.size() == n_positions_ / block_size);
    }
    for (std::size_t i = 0; i < holds_.back().blocks.size(); ++i) {
      const auto part = holds_.back().blocks[i].subspan(layer * layer_bytes, layer_bytes);
      auto& copy = copies_[holds_.back().first_block + i];
      copy.insert(copy.end(), part.begin(), part.end());
    }
  }

  std::uint32_t n_positions() const { return n_positions_; }
  /// By block: all layers, in order.
  const std::map<std::size_t, bytes>& copies() const { return copies_; }
  const std::vector<kv_hold>& holds() const { return holds_; }
  void release() {
    for (const auto& held : holds_)
      engine_->release(held.id);
    holds_.clear();
  }

 private:
  tiny_engine& engine_;
  std::uint32_t next_layer_ = 0;
  std::uint32_t n_positions_ = 0;  // all up to here
  std::vector<kv_hold> holds_;
  std::map<std::size_t, bytes> copies_;
};

}  // namespace

TEST_CASE("a hold has the full blocks and, of a paused sequence, the last one", "[engine][transfer]") {
  tiny_engine engine = engine_with_blocks(24);
  const auto id = engine.add(random_request(1, 40, 5));
  CHECK(hold(engine, id).blocks.empty());  // waiting
  step_all(engine, 20);
  CHECK(hold(engine, id).blocks.size() == 1);
  step_all(engine, 20);
  const auto running = hold(engine, id);
  CHECK(running.blocks.size() == 2);
  CHECK(running.n_computed == 40);
  REQUIRE(engine->pause(id));
  const auto paused = hold(engine, id, 1);
  CHECK(paused.blocks.size() == 2);
  CHECK(paused.first_block == 1);
  CHECK(paused.blocks[0].data() == running.blocks[1].data());
  CHECK(hold(engine, id, 2).blocks.size() == 1);
  CHECK(hold(engine, id, 3).blocks.empty());
  CHECK(hold(engine, id, 99).blocks.empty());
  for (std::uint64_t i = 1; i <= 10; ++i) {
    engine->release(kv_hold_id{i});
    engine->release(kv_hold_id{i});  // again is nothing
    CHECK(is_clean(engine));
  }
  CHECK(engine->status().blocks_free == 24 - 3);
}

TEST_CASE("a hold outlives its sequence, and its bytes stay under pressure", "[engine][transfer]") {
  for (const bool prefix_caching : {false, true})
    for (const int fate : {0, 1, 2, 3}) {
      CAPTURE(prefix_caching, fate);
      tiny_engine engine = engine_with_blocks(16, prefix_caching);
      const auto id = engine.add(random_request(1, 70, 30));
      step_all(engine, 512);
      step_all(engine, 512);
      REQUIRE(engine->pause(id));
      const auto first = hold(engine, id);
      const auto second = hold(engine, id, 3);
      REQUIRE(first.blocks.size() == 5);
      const bytes before = bytes_of(first), before_second = bytes_of(second);
      if (fate != 0) REQUIRE(engine->resume(id));
      if (fate == 1) engine.run();                                  // it ends
      if (fate == 2) engine.step({.preempt = {id}, .grants = {}});  // it is preempted, and goes on later
      if (fate != 2) engine->remove(id);
      REQUIRE(is_clean(engine));
      press(engine);
      if (fate == 2) engine.run();
      CHECK(bytes_of(first) == before);
      engine->release(first.id);
      REQUIRE(is_clean(engine));
      press(engine);
      CHECK(bytes_of(second) == before_second);
      CHECK(engine->status().blocks_free == 16 - 5);  // a hold from block 3 on keeps those before it
      engine->release(second.id);
      CHECK(is_empty(engine));
    }
}

TEST_CASE("a resumed sequence leaves the bytes of a hold alone and goes on to the bit", "[engine][transfer]") {
  const auto request = random_request(1, 70, 60);
  const auto expected = undisturbed({request}, {}).front();
  for (const bool room_for_a_copy : {true, false}) {
    CAPTURE(room_for_a_copy);
    tiny_engine engine = engine_with_blocks(16);
    const auto id = engine.add(request);
    step_all(engine, 512);
    REQUIRE(engine->pause(id));
    const auto held = hold(engine, id);
    const bytes before = bytes_of(held);
    const auto other = engine.add(random_request(2, room_for_a_copy ? 16 : 11 * block_tokens, 20));
    if (!room_for_a_copy) engine.step({.preempt = {}, .grants = {{other, 512}}});
    REQUIRE(engine->resume(id));
    REQUIRE(engine->resume(id));  // again is nothing
    CHECK(engine->sequences().front().admitted == room_for_a_copy);
    REQUIRE(is_clean(engine));
    engine->remove(other);
    engine.run();
    CHECK(same(engine.of(id), expected));
    CHECK(bytes_of(held) == before);
    engine->release(held.id);
    CHECK(is_empty(engine));
  }
}

TEST_CASE("no plan reaches a paused sequence", "[engine][transfer]") {
  const auto request = random_request(1, 40, 10);
  const auto expected = undisturbed({request}, {}).front();
  for (const int n_steps : {0, 1, 3}) {
    CAPTURE(n_steps);
    tiny_engine engine = engine_with_blocks(16);
    const auto id = engine.add(request);
    for (int i = 0; i < n_steps; ++i)
      step_all(engine, 24);
    const auto before = engine->snapshot(id);
    const auto free = engine->status().blocks_free;
    REQUIRE(engine->pause(id));
    REQUIRE(engine->pause(id));
    CHECK(engine->sequences().empty());
    CHECK(engine->status().sequences_in_transfer == (n_steps > 0 ? 1 : 0));
    CHECK_FALSE(engine.step({.preempt = {id}, .grants = {}}));
    CHECK_FALSE(engine.step({.preempt = {}, .grants = {{id, 16}}}));
    CHECK(engine->status().blocks_free == free);
    CHECK(engine->snapshot(id)->progress.n_computed == before->progress.n_computed);
    REQUIRE(engine->resume(id));
    engine.run();
    CHECK(same(engine.of(id), expected));
  }
}

TEST_CASE("another thread may read a hold while the engine computes", "[engine][transfer]") {
  tiny_engine engine = engine_with_blocks(24);
  const auto id = engine.add(random_request(1, 50, 60));
  step_all(engine, 512);
  const auto held = hold(engine, id);
  const bytes before = bytes_of(held);
  std::size_t n_different = 0;
  std::thread reader([&] {
    for (int i = 0; i < 200; ++i)
      n_different += bytes_of(held) != before ? 1 : 0;
  });
  engine.run();
  press(engine);
  reader.join();
  CHECK(n_different == 0);
  engine->release(held.id);
  CHECK(is_empty(engine));
}

TEST_CASE("layers are told of in order, and their bytes are final then", "[engine][transfer]") {
  for (const std::uint32_t chunk : {5u, 16u, 40u, 512u}) {
    CAPTURE(chunk);
    cpu_engine_options options;
    options.n_threads = 2;
    tiny_engine engine(options, {.n_layers = 5});
    engine.add(random_request(2, 30, 40));  // company that nobody listens to
    const auto id = engine.add(random_request(1, 100, 40));
    copying_listener listener(engine);
    REQUIRE(engine->listen(id, &listener));
    while (engine->snapshot(id)->request.resumed.size() < 6)
      step_all(engine, chunk);
    CHECK(listener.n_positions() == 105);
    CHECK(listener.copies().size() == 6);
    for (const auto& held : listener.holds())
      for (std::size_t i = 0; i < held.blocks.size(); ++i)
        CHECK(std::ranges::equal(held.blocks[i], listener.copies().at(held.first_block + i)));
    REQUIRE(engine->listen(id, nullptr));
    step_all(engine, chunk);
    CHECK(listener.n_positions() == 105);
    listener.release();
    engine.run();
    CHECK(is_empty(engine));
  }
}

TEST_CASE("positions of guesses are not told of", "[engine][transfer]") {
  tiny_engine engine;
  auto request = random_request(1, 60, 60);
  for (std::size_t i = 12; i < request.prompt.size(); ++i)
    request.prompt[i] = request.prompt[i - 12];
  const auto id = engine.add(request);
  copying_listener listener(engine);
  REQUIRE(engine->listen(id, &listener));
  while (!engine->sequences().empty()) {
    const std::uint32_t n_known = engine->sequences().front().n_known;
    step_all(engine, 512);
    CHECK(listener.n_positions() == n_known);
  }
  CHECK(engine->status().guesses_tried > 0);
  listener.release();
  CHECK(is_empty(engine));
}

TEST_CASE("a hand-off sent layer by layer has little left to send", "[engine][transfer]") {
  const auto request = random_request(1, 150, 40);
  const auto expected = undisturbed({request}, {}).front();
  tiny_engine source = engine_with_blocks(16), target = engine_with_blocks(16);
  const auto id = source.add(request);
  copying_listener listener(source);
  REQUIRE(source->listen(id, &listener));
  const auto room = target->reserve(request, 150);
  REQUIRE(room);
  while (source.of(id).tokens.empty())
    step_all(source, 64);
  REQUIRE(source->pause(id));
  for (const auto& [block, copy] : listener.copies())
    std::ranges::copy(copy, room->blocks.at(block).begin());
  const auto rest = hold(source, id, static_cast<std::uint32_t>(listener.copies().size()));
  REQUIRE(rest.blocks.size() == 1);
  std::ranges::copy(rest.blocks[0], room->blocks.back().begin());
  const auto taken = source->snapshot(id);
  REQUIRE(target->commit(room->sequence, taken->request.resumed, taken->progress));
  source->remove(id);
  source->release(rest.id);
  listener.release();
  target.of(room->sequence) = source.of(id);
  target.run();
  CHECK(same(target.of(room->sequence), expected));
  CHECK(is_empty(source));
  CHECK(is_empty(target));
}

TEST_CASE("blocks held while they are computed are not exchanged for equal ones", "[engine][transfer]") {
  tiny_engine engine = engine_with_blocks(32);
  const auto request = random_request(1, 100, 20);
  auto shorter = request;
  shorter.prompt.resize(60);
  const auto expected = undisturbed({request}, {}).front();
  const auto twin = engine.add(shorter);  // publishes the first blocks first
  const auto id = engine.add(request);
  copying_listener listener(engine);
  REQUIRE(engine->listen(id, &listener));
  step_all(engine, 512);
  REQUIRE(is_clean(engine));
  engine->remove(twin);
  REQUIRE(is_clean(engine));
  engine.run();
  CHECK(same(engine.of(id), expected));
  press(engine);
  for (const auto& held : listener.holds())
    for (std::size_t i = 0; i < held.blocks.size(); ++i)
      CHECK(std::ranges::equal(held.blocks[i], listener.copies().at(held.first_block + i)));
  listener.release();
  CHECK(is_empty(engine));
}
