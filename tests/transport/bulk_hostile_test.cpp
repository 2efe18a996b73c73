// Bulk memory that breaks the rules, and tickets under the hands of many threads.
#include "bulk_world.hpp"
#include "transport/bulk_receiver.hpp"
#include "transport/bulk_sender.hpp"
#include "transport/frame.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

TEST_CASE("chunks are parsed with care", "[bulk]") {
  memory payload(bulk_chunk_head_bytes + 10);
  const auto put = [&](std::size_t at, std::uint64_t value) { std::memcpy(payload.data() + at, &value, 8); };
  put(0, 77);
  payload[8] = std::byte{3};
  put(16, 5);
  put(24, 15);
  const auto chunk = parse_bulk_chunk(payload);
  REQUIRE(chunk.has_value());
  CHECK(chunk->ticket == 77);
  CHECK(chunk->part == 3);
  CHECK(chunk->offset == 5);
  CHECK(chunk->part_size == 15);
  CHECK(chunk->bytes.size() == 10);
  put(24, 14);
  CHECK(!parse_bulk_chunk(payload));
  put(16, UINT64_MAX);
  CHECK(!parse_bulk_chunk(payload));
  put(24, UINT64_MAX);
  CHECK(!parse_bulk_chunk(payload));
  put(16, UINT64_MAX - 10);
  CHECK(parse_bulk_chunk(payload).has_value());
  for (std::size_t n = 0; n <= bulk_chunk_head_bytes; ++n)
    CHECK(!parse_bulk_chunk(std::span(payload).first(n)));
}

TEST_CASE("chunks with gaps, out of order or of two parts at once end the session, and the place is free", "[bulk]") {
  struct step {
    std::uint32_t part;
    std::uint64_t offset;
    std::size_t size;
  };
  const std::vector<std::vector<step>> cases = {
      {{0, 0, 100}, {0, 900, 100}},  // a gap: the end without the middle
      {{0, 0, 100}, {0, 50, 100}},   // backwards
      {{0, 0, 100}, {1, 0, 1000}},   // another before the end
      {{0, 0, 100}, {0, 0, 100}},    // from the beginning again
      {{0, 0, 100}, {1, 100, 100}},  // the wrong part
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    // Plain sessions take chunks as well, which saves the test a seal.
    bulk_world bulk(false);
    memory to(2000, std::byte{7});
    const auto ticket = bulk.open({std::span(to).first(1000), std::span(to).last(1000)});
    std::uint64_t next = 0;
    link_id link;
    std::uint32_t epoch = 0;
    bulk.a.tap->on_send = [&](link_id over, wire::byte_buffer& frame) {
      const auto header = parse_frame(frame.bytes()).header;
      link = over;
      epoch = header.epoch;
      next = header.sequence + 1;
      return true;
    };
    bulk.a.send(bulk.b_at_a, "shows the sequence");
    bulk.a.mesh->poll(bulk.world.now);
    for (const auto& [part, offset, size] : cases[i]) {
      memory frame(frame_header_bytes + bulk_chunk_head_bytes + size, std::byte{9});
      const std::uint64_t head[] = {ticket, part, offset, 1000};
      std::memcpy(frame.data() + frame_header_bytes, head, sizeof head);
      write_frame_header(frame, {.type = frame_type::bulk, .epoch = epoch, .sequence = next++});
      bulk.a.tap->inject(link, frame);
    }
    bulk.world.run_for(milliseconds(10));
    CHECK(bulk.b.n_refused("malformed_message") == 1);
    CHECK(bulk.b.lost.size() == 1);
    CHECK(bulk.arrived.is(false));
    CHECK(std::count(to.begin(), to.end(), std::byte{9}) == 100);
  }
}

TEST_CASE("plain memory is for plain sessions of this epoch", "[bulk][security]") {
  const bool sealed = GENERATE(false, true);
  CAPTURE(sealed);
  bulk_world bulk(sealed);
  memory to(100);
  const memory from = random_memory(100, 1);
  const auto ticket = bulk.open({to});
  link_id link;
  std::uint32_t epoch = 0;
  bulk.a.tap->on_send = [&](link_id over, wire::byte_buffer& frame) {
    link = over;
    epoch = parse_frame(frame.bytes()).header.epoch;
    return true;
  };
  bulk.a.send(bulk.b_at_a, "shows the link");
  bulk.a.mesh->poll(bulk.world.now);
  bulk.a.tap->inject_bulk(link, {ticket, 0, epoch + 2}, from);
  bulk.world.run_for(milliseconds(5));
  CHECK(bulk.arrived.n_calls == 0);
  bulk.a.tap->inject_bulk(link, {ticket, 0, epoch}, from);
  bulk.world.run_for(milliseconds(5));
  CHECK(bulk.arrived.n_calls == (sealed ? 0 : 1));
  // And not for those who shake hands.
  auto& somebody = bulk.world.add_stranger("10.0.0.9");
  const auto before = bulk.arrived.n_calls;
  const auto second = bulk.open({to});
  somebody.fabric->send_bulk(*somebody.fabric->connect(bulk.b.where), {second, 0, epoch}, from, 1);
  bulk.world.run_for(milliseconds(5));
  CHECK(bulk.arrived.n_calls == before);
}

TEST_CASE("tickets are opened and given up on other threads", "[bulk][threads]") {
  bulk_receiver receiver([random = random_stream(1)](std::span<std::byte> bytes) mutable -> result<> {
    for (auto& byte : bytes)
      byte = static_cast<std::byte>(random());
    return {};
  });
  std::atomic<int> n_opened{0}, n_done{0}, n_arrived{0};
  std::mutex mutex;
  std::vector<std::uint64_t> offered;
  std::vector<std::thread> owners;
  for (int thread = 0; thread < 3; ++thread) {
    owners.emplace_back([&, thread] {
      random_stream random(static_cast<std::uint64_t>(thread));
      memory place(64);
      for (int i = 0; i < 2000; ++i) {
        const auto ticket = *receiver.open(id_of(1), {place}, [&](bool arrived) {
          ++n_done;
          n_arrived += arrived;
        });
        ++n_opened;
        {
          std::lock_guard lock(mutex);
          offered.push_back(ticket);
        }
        if (random.below(2) == 0) receiver.close(ticket);
      }
    });
  }
  std::thread giving_up([&] {
    for (int i = 0; i < 100; ++i) {
      receiver.close_all(id_of(2));
      std::this_thread::yield();
    }
  });
  for (int n = 0; n < 6000;) {
    std::vector<std::uint64_t> mine;
    {
      std::lock_guard lock(mutex);
      mine.swap(offered);
    }
    for (const auto ticket : mine) {
      ++n;
      if (receiver.offer(id_of(1), ticket, 0, 64).empty()) continue;
      receiver.received(ticket, 0, n % 5 != 0);
    }
  }
  for (auto& thread : owners)
    thread.join();
  giving_up.join();
  CHECK(n_opened == 6000);
  CHECK(n_done == 6000);
  CHECK(n_arrived > 0);
  CHECK(receiver.size() == 0);
}
