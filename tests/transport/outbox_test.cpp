// The outbox: messages share frames, threads wait for room, and nobody waits for ever.
#include "transport/outbox.hpp"

#include "catch.hpp"

#include <atomic>
#include <chrono>
#include <thread>

using namespace troupe;
using namespace troupe::transport;

namespace {

std::vector<std::byte> message_of(std::size_t size, int fill = 7) {
  return std::vector<std::byte>(size, static_cast<std::byte>(fill));
}

std::vector<std::vector<std::byte>> messages_in(const std::vector<unsent_frame>& frames) {
  std::vector<std::vector<std::byte>> found;
  for (const auto& frame : frames) {
    CHECK(frame.type == frame_type::messages);
    const bool fine = for_each_message(frame.bytes.bytes().subspan(frame_header_bytes), [&](auto message) {
      found.emplace_back(message.begin(), message.end());
      return true;
    });
    CHECK(fine);
  }
  return found;
}

outbox::outcome push(outbox& to, std::span<const std::byte> message, bool may_wait = false) {
  bool first = false;
  return to.push(message, may_wait, first);
}

constexpr outbox_limits small{.frame_bytes = 1000, .soft_bytes = 5000, .hard_bytes = 20'000};

}  // namespace

TEST_CASE("messages that wait together share frames, in order", "[outbox]") {
  outbox box(small);
  std::vector<std::vector<std::byte>> sent;
  for (int i = 0; i < 200; ++i) {
    sent.push_back(message_of(static_cast<std::size_t>(i * 37 % 90), i));
    bool first = false;
    REQUIRE(box.push(sent.back(), false, first) == outbox::outcome::queued);
    CHECK(first == (i == 0));
  }
  const auto frames = box.take();
  CHECK(messages_in(frames) == sent);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    CHECK(frames[i].bytes.size() <= small.frame_bytes);
    if (i + 1 < frames.size()) CHECK(frames[i].bytes.size() > small.frame_bytes - 94);  // the next did not fit
  }
  CHECK(box.take().empty());
  bool first = false;
  box.push(sent[0], false, first);
  CHECK(first);
}

TEST_CASE("a message larger than a frame travels alone", "[outbox]") {
  outbox box(small);
  push(box, message_of(10));
  push(box, message_of(5000));
  push(box, message_of(10));
  const auto frames = box.take();
  REQUIRE(frames.size() == 3);
  CHECK(frames[1].bytes.size() == frame_header_bytes + 4 + 5000);
}

TEST_CASE("a long message is cut into parts that fit sealed frames, and one byte too many is refused without harm",
          "[outbox]") {
  const std::size_t size = GENERATE(as<std::size_t>{}, message_part_bytes, message_part_bytes + 1,
                                    3 * message_part_bytes, max_message_bytes);
  outbox box({});
  std::vector<std::byte> message(size);
  for (std::size_t i = 0; i < size; ++i)
    message[i] = static_cast<std::byte>(i * 31 >> 8);
  CHECK(push(box, message_of(1)) == outbox::outcome::queued);
  CHECK(push(box, message) == outbox::outcome::queued);
  CHECK(push(box, message_of(max_message_bytes + 1)) == outbox::outcome::too_large);
  CHECK(push(box, message_of(1)) == outbox::outcome::queued);
  const auto frames = box.take();
  REQUIRE(frames.size() == 2 + (size + message_part_bytes - 1) / message_part_bytes);
  CHECK(frames.front().type == frame_type::messages);
  CHECK(frames.back().type == frame_type::messages);
  std::vector<std::byte> joined;
  for (std::size_t i = 1; i + 1 < frames.size(); ++i) {
    CHECK(frames[i].type == (size > message_part_bytes ? frame_type::message_part : frame_type::messages));
    const auto payload = frames[i].bytes.bytes().subspan(frame_header_bytes);
    CHECK(payload.size() + seal_tag_bytes <= max_payload_bytes);
    std::uint32_t length = 0;
    std::memcpy(&length, payload.data(), sizeof length);
    CHECK(length == size);
    joined.insert(joined.end(), payload.begin() + sizeof length, payload.end());
  }
  CHECK(joined == message);
}

TEST_CASE("past the hard limit the outbox closes, so that nothing follows a message that was refused", "[outbox]") {
  outbox box(small);
  int n = 0;
  while (push(box, message_of(996)) == outbox::outcome::queued)
    ++n;
  CHECK(n == 20);
  CHECK(push(box, message_of(1)) == outbox::outcome::closed);
  CHECK(box.take().empty());
}

TEST_CASE("who may wait waits at the soft limit until there is room", "[outbox]") {
  outbox box(small);
  for (int i = 0; i < 5; ++i)
    push(box, message_of(1000));
  std::atomic<bool> done{false};
  auto outcome = outbox::outcome::closed;
  std::thread waiting([&] {
    outcome = push(box, message_of(1), true);
    done = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(!done);
  CHECK(push(box, message_of(1)) == outbox::outcome::queued);  // who may not wait does not
  CHECK(box.take().size() == 6);
  waiting.join();
  CHECK(outcome == outbox::outcome::queued);
  CHECK(box.take().size() == 1);
}

TEST_CASE("closing wakes all who wait", "[outbox]") {
  outbox box(small);
  for (int i = 0; i < 5; ++i)
    push(box, message_of(1000));
  std::atomic<int> n_closed{0};
  std::vector<std::thread> waiting;
  for (int i = 0; i < 4; ++i)
    waiting.emplace_back([&] { n_closed += push(box, message_of(1), true) == outbox::outcome::closed; });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  box.close();
  for (auto& thread : waiting)
    thread.join();
  CHECK(n_closed == 4);
  CHECK(box.take().empty());
}

TEST_CASE("many threads: every message arrives once, each thread's in order", "[outbox][threads]") {
  constexpr std::uint32_t n_threads = 4, n_messages = 5000;
  outbox box(small);
  std::atomic<std::uint32_t> n_firsts{0};
  std::vector<std::thread> senders;
  for (std::uint32_t thread = 0; thread < n_threads; ++thread) {
    senders.emplace_back([&, thread] {
      for (std::uint32_t i = 0; i < n_messages; ++i) {
        const std::uint32_t words[] = {thread, i};
        std::vector<std::byte> message = message_of(8 + i % 64);
        std::memcpy(message.data(), words, sizeof words);
        bool first = false;
        if (box.push(message, true, first) != outbox::outcome::queued) return;
        n_firsts += first;
      }
    });
  }
  std::uint32_t n_taken = 0, next[n_threads] = {};
  std::uint32_t n_takes = 0;
  bool in_order = true;
  while (n_taken < n_threads * n_messages) {
    const auto frames = box.take();
    n_takes += !frames.empty();
    for (const auto& message : messages_in(frames)) {
      std::uint32_t words[2];
      std::memcpy(words, message.data(), sizeof words);
      in_order = in_order && next[words[0]]++ == words[1];
      ++n_taken;
    }
  }
  for (auto& thread : senders)
    thread.join();
  CHECK(in_order);
  CHECK(n_firsts == n_takes);  // one of them tells the progress thread, each time
}

TEST_CASE("a payload that breaks its form is refused", "[outbox]") {
  const auto walk = [](std::initializer_list<int> bytes) {
    std::vector<std::byte> payload;
    for (const int byte : bytes)
      payload.push_back(static_cast<std::byte>(byte));
    int n = 0;
    const bool fine = for_each_message(payload, [&](auto) { return ++n, true; });
    return std::pair(fine, n);
  };
  CHECK(walk({}) == std::pair(true, 0));
  CHECK(walk({0, 0, 0, 0}) == std::pair(true, 1));
  CHECK(walk({1, 0, 0, 0, 9, 0, 0, 0, 0}) == std::pair(true, 2));
  CHECK(walk({1, 0, 0, 0}) == std::pair(false, 0));
  CHECK(walk({1, 0, 0, 0, 9, 0}) == std::pair(false, 1));
  CHECK(walk({255, 255, 255, 255, 9}) == std::pair(false, 0));
  const std::vector<std::byte> two(8);
  int n = 0;
  CHECK(!for_each_message(std::span(two), [&](auto) { return ++n, false; }));
  CHECK(n == 1);
}
