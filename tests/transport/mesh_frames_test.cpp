// Frames that break the rules: each ends its session with the right reason, is counted, and nothing behind it counts.
#include "catch.hpp"
#include "mesh_world.hpp"
#include "transport/frame.hpp"

#include <cstring>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

struct frame_case {
  const char* name;
  std::function<void(wire::byte_buffer& frame)> spoil;
  const char* refusal;         // as it is counted
  const char* sealed_refusal;  // the same, of a sealed session
};

/// Changes the header and makes the checksum right again.
std::function<void(wire::byte_buffer&)> with_header(const std::function<void(frame_header&)>& change) {
  return [change](wire::byte_buffer& frame) {
    auto header = parse_frame(frame.bytes()).header;
    change(header);
    write_frame_header(frame.bytes(), header);
  };
}
std::function<void(wire::byte_buffer&)> with_byte(std::size_t at, int value) {
  return [at, value](wire::byte_buffer& frame) { frame.data()[at] = static_cast<std::byte>(value); };
}
std::function<void(wire::byte_buffer&)> with_bit(std::size_t at) {
  return [at](wire::byte_buffer& frame) { frame.data()[at] ^= std::byte{0x10}; };
}
/// Another payload under the same header.
std::function<void(wire::byte_buffer&)> with_payload(std::initializer_list<int> bytes) {
  const std::vector<int> payload(bytes);
  return [payload](wire::byte_buffer& frame) {
    const auto header = parse_frame(frame.bytes()).header;
    frame.truncate(frame_header_bytes);
    for (const int byte : payload)
      *frame.extend(1) = static_cast<std::byte>(byte);
    write_frame_header(frame.bytes(), header);
  };
}

std::function<void(wire::byte_buffer&)> with_part(std::initializer_list<int> bytes) {
  return [change = with_payload(bytes)](wire::byte_buffer& frame) {
    change(frame);
    auto header = parse_frame(frame.bytes()).header;
    header.type = frame_type::message_part;
    write_frame_header(frame.bytes(), header);
  };
}

const frame_case cases[] = {
    {"magic", with_byte(0, 'X'), "wrong_magic", nullptr},
    {"version", with_byte(4, 9), "wrong_version", nullptr},
    {"type 0", with_byte(5, 0), "unknown_type", nullptr},
    {"type 7", with_byte(5, 7), "unknown_type", nullptr},
    {"length", with_byte(8, 200), "wrong_length", nullptr},
    {"huge length", with_byte(11, 0xff), "too_large", nullptr},
    {"checksum", with_bit(24), "wrong_checksum", nullptr},
    {"payload", with_bit(34), "wrong_checksum", nullptr},
    {"cut header", [](wire::byte_buffer& frame) { frame.truncate(31); }, "too_short", nullptr},
    {"empty", [](wire::byte_buffer& frame) { frame.truncate(0); }, "too_short", nullptr},
    {"cut payload", [](wire::byte_buffer& frame) { frame.truncate(frame.size() - 1); }, "wrong_length", nullptr},
    {"epoch", with_header([](frame_header& header) { header.epoch += 2; }), "wrong_session", nullptr},
    {"epoch 0", with_header([](frame_header& header) { header.epoch = 0; }), "wrong_session", nullptr},
    {"skips one", with_header([](frame_header& header) { ++header.sequence; }), "wrong_session", nullptr},
    {"repeats one", with_header([](frame_header& header) { --header.sequence; }), "wrong_session", nullptr},
    {"seal", with_header([](frame_header& header) { header.flags ^= frame_flags::sealed; }), "wrong_session", nullptr},
    {"handshake", with_header([](frame_header& header) { header.type = frame_type::handshake; }),
     "unexpected_handshake", nullptr},
    {"half a length", with_payload({1, 0}), "malformed_message", "wrong_session"},
    {"half a message", with_payload({9, 0, 0, 0, 1}), "malformed_message", "wrong_session"},
    {"a long message", with_payload({255, 255, 255, 255}), "malformed_message", "wrong_session"},
    {"an empty part", with_part({9, 0, 0, 0}), "malformed_message", "wrong_session"},
    {"a part of too long a message", with_part({1, 0, 0, 1, 7}), "malformed_message", "wrong_session"},
    {"a part beyond its message", with_part({2, 0, 0, 0, 7, 7, 7}), "malformed_message", "wrong_session"},
    {"no chunk", with_header([](frame_header& header) { header.type = frame_type::bulk; }), "malformed_message",
     "wrong_session"},
    {"sealed payload changed",
     [](wire::byte_buffer& frame) {
       const auto header = parse_frame(frame.bytes()).header;
       frame.data()[frame_header_bytes] ^= std::byte{1};
       write_frame_header(frame.bytes(), header);
     },
     "malformed_message", "wrong_session"}};

}  // namespace

TEST_CASE("a broken frame ends its session, and what follows it is not looked at", "[mesh][frames]") {
  for (const bool sealed : {false, true}) {
    for (const auto& broken : cases) {
      CAPTURE(sealed, broken.name);
      mesh_world world;
      auto& a = world.add(sealed ? "10.0.0.1" : "127.0.0.1", 1);
      auto& b = world.add(sealed ? "10.0.0.2" : "127.0.0.2", 2);
      auto& c = world.add(sealed ? "10.0.0.3" : "127.0.0.3", 3);
      const auto at = world.connect(a, b);
      world.connect(c, b);
      CHECK(a.send(at, "before"));
      a.mesh->poll(world.now);
      a.tap->on_send = [&](link_id, wire::byte_buffer& frame) {
        broken.spoil(frame);
        a.tap->on_send = nullptr;
        return true;
      };
      CHECK(a.send(at, "broken"));
      a.mesh->poll(world.now);
      CHECK(a.send(at, "behind"));
      a.mesh->poll(world.now);
      world.run_for(milliseconds(10));
      CHECK(b.from(a) == std::vector<std::string>{"before"});
      const std::string reason = sealed && broken.sealed_refusal != nullptr ? broken.sealed_refusal : broken.refusal;
      CHECK(b.mesh->counters().refusals() == std::map<std::string, std::uint64_t>{{reason, 1}});
      REQUIRE(b.refusals.size() == 1);
      CHECK(b.refusals[0].first == to_string(id_of(1)));
      REQUIRE(b.lost.size() == 1);
      CHECK(b.lost[0].first->node() == id_of(1));
      CHECK(b.lost[0].second == b.refusals[0].second);
      CHECK(a.lost.size() == 1);
      CHECK(b.n_up() == 1);  // c
      world.connect(a, b);
    }
  }
}

TEST_CASE("a listener that refuses a message ends the session at it", "[mesh][frames]") {
  mesh_world world;
  auto& a = world.add("127.0.0.1", 1);
  auto& b = world.add("127.0.0.2", 2);
  const auto at = world.connect(a, b);
  std::vector<std::string> seen;
  b.on_each = [&](const peer_pointer&, std::span<const std::byte> message) {
    seen.emplace_back(reinterpret_cast<const char*>(message.data()), message.size());
    return seen.back() != "bad";
  };
  for (const auto text : {"good", "bad", "never seen"})
    CHECK(a.send(at, text));  // in one frame
  a.mesh->poll(world.now);
  CHECK(a.send(at, "in another"));
  world.run_for(milliseconds(10));
  CHECK(seen == std::vector<std::string>{"good", "bad"});
  CHECK(b.n_refused("malformed_message") == 1);
  CHECK(b.lost.size() == 1);
}

TEST_CASE("what comes between the parts of a message must be neither a message nor a part of another",
          "[mesh][frames]") {
  const auto type = GENERATE(frame_type::messages, frame_type::message_part);
  mesh_world world;
  auto& a = world.add("127.0.0.1", 1);
  auto& b = world.add("127.0.0.2", 2);
  const auto at = world.connect(a, b);
  int n_parts = 0;
  a.tap->on_send = [&](link_id, wire::byte_buffer& frame) {
    auto header = parse_frame(frame.bytes()).header;
    if (header.type != frame_type::message_part || ++n_parts != 2) return true;
    header.type = type;
    frame.data()[frame_header_bytes] ^= std::byte{1};  // the length of a message that is another one
    write_frame_header(frame.bytes(), header);
    return true;
  };
  CHECK(a.send(at, std::string(3 * message_part_bytes, 'x')));
  world.run_for(milliseconds(10));
  CHECK(b.from(a).empty());
  CHECK(b.n_refused("malformed_message") == 1);
  CHECK(b.lost.size() == 1);
}

TEST_CASE("before the handshake is done there is nothing but the handshake", "[mesh][frames]") {
  for (const auto type :
       {frame_type::messages, frame_type::beat, frame_type::bye, frame_type::bulk, frame_type::message_part}) {
    CAPTURE(static_cast<int>(type));
    mesh_world world;
    auto& a = world.add("127.0.0.1", 1);
    auto& somebody = world.add_stranger("127.0.0.9");
    std::vector<std::byte> frame(frame_header_bytes + 40);
    write_frame_header(frame, {.type = type, .epoch = 1, .sequence = 1});
    const auto link = *somebody.fabric->connect(a.where);
    somebody.send(link, frame);
    somebody.send(link, frame);
    world.run_for(milliseconds(5));
    CHECK(a.mesh->counters().refusals() == std::map<std::string, std::uint64_t>{{"unauthenticated", 1}});
    CHECK(a.refusals ==
          std::vector<std::pair<std::string, std::string>>{{"somebody", "a frame before the handshake was done"}});
    CHECK(somebody.lost.size() == 1);
    CHECK(a.lost.empty());
  }
}

TEST_CASE("a handshake that is no handshake is refused", "[mesh][frames]") {
  mesh_world world;
  auto& a = world.add("127.0.0.1", 1);
  auto& somebody = world.add_stranger("127.0.0.9");
  for (const std::size_t size : {0u, 1u, 82u, 512u, 513u, 100'000u}) {
    std::vector<std::byte> frame(frame_header_bytes + size);
    write_frame_header(frame, {.type = frame_type::handshake});
    somebody.send(*somebody.fabric->connect(a.where), frame);
  }
  world.run_for(milliseconds(5));
  CHECK(a.mesh->counters().refusals() == std::map<std::string, std::uint64_t>{{"malformed", 6}});
  CHECK(somebody.frames.size() == 6);
  CHECK(somebody.lost.size() == 6);
}

TEST_CASE("a fabric that loses, repeats, reorders or changes frames: loss is reported and all stays consistent",
          "[mesh][faults]") {
  std::uint64_t n_faults_done = 0, n_losses = 0, n_arrived = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    random_stream random(seed);
    const bool sealed = random.below(2) == 0;
    mesh_world world;
    auto& a = world.add(sealed ? "10.0.0.1" : "127.0.0.1", static_cast<int>(2 * seed % 200) + 1);
    auto& b = world.add(sealed ? "10.0.0.2" : "127.0.0.2", static_cast<int>(2 * seed % 200) + 2);
    fault_rates rates;
    double* const each[] = {&rates.lose, &rates.duplicate, &rates.delay, &rates.reorder, &rates.truncate, &rates.flip};
    *each[seed % 6] = 0.05;
    a.faults->set_rates(rates);
    std::uint64_t next = 0;
    std::map<const peer*, std::uint64_t> last;  // that came over a session
    b.on_each = [&](const peer_pointer& from, std::span<const std::byte> message) {
      std::uint64_t number = 0;
      REQUIRE(message.size() == sizeof number);
      std::memcpy(&number, message.data(), sizeof number);
      if (last.contains(from.get())) CHECK(number == last[from.get()] + 1);
      last[from.get()] = number;
      ++n_arrived;
      return true;
    };
    a.mesh->learn(b.mesh->self(), b.where);
    for (int i = 0; i < 300; ++i) {
      const auto at = a.mesh->find_or_connect(b.mesh->self());
      ++next;
      a.mesh->send(at, std::as_bytes(std::span(&next, 1)));
      world.run_for(milliseconds(5));
    }
    a.faults->set_rates({});
    world.run_for(std::chrono::seconds(4));
    for (std::size_t what = 0; what < n_faults; ++what)
      n_faults_done += a.faults->n_done(static_cast<fault>(what));
    n_losses += b.lost.size();
    if (seed % 6 == 2) CHECK(b.lost.empty());  // late is not wrong
    // Afterwards both agree on whether there is a session, and all that were up and are no more were reported.
    CHECK(a.n_up() == b.n_up());
    CHECK(a.n_up() <= 1);
    for (const auto* node : {&a, &b})
      CHECK(node->mesh->counters().peers_up - node->n_up() <= node->mesh->counters().peers_lost);
    CHECK(b.up.size() - b.n_up() == b.lost.size());
    const auto at = a.mesh->find_or_connect(b.mesh->self());
    const auto n_before = n_arrived;
    a.mesh->send(at, std::as_bytes(std::span(&++next, 1)));
    last.clear();
    CHECK(world.run_until([&] { return n_arrived > n_before; }));
  }
  CHECK(n_faults_done > 3000);
  CHECK(n_losses > 1000);
  CHECK(n_arrived > 10'000);
}
