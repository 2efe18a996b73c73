// Bulk memory between meshes: it arrives where it should, and whatever goes wrong, each side is told once.
#include "bulk_world.hpp"
#include "transport/bulk_sender.hpp"

#include <cstring>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

TEST_CASE("parts of all sizes arrive where they should", "[bulk]") {
  const bool sealed = GENERATE(false, true);
  CAPTURE(sealed);
  const std::size_t sizes[] = {1, 2, 33, 4096, 262'143, 262'144, 262'145, 1'000'000, 3u << 20, 5'000'001};
  bulk_world bulk(sealed);
  std::vector<memory> from, to;
  std::vector<std::span<const std::byte>> parts;
  std::vector<std::span<std::byte>> places;
  for (const auto size : sizes) {
    from.push_back(random_memory(size, size));
    to.emplace_back(size);
  }
  for (std::size_t i = 0; i < from.size(); ++i) {
    parts.push_back(from[i]);
    places.push_back(to[i]);
  }
  const auto ticket = bulk.open(places);
  bulk.send(ticket, parts);
  bulk.world.run_for(milliseconds(50));
  CHECK(bulk.sent.is(true));
  CHECK(bulk.arrived.is(true));
  CHECK(from == to);
  CHECK(bulk.b.mesh->incoming_bulk().size() == 0);
  CHECK(bulk.a.mesh->counters().refusals().empty());
  CHECK(bulk.b.mesh->counters().refusals().empty());
  bulk.check_session_lives();
}

TEST_CASE("empty parts are passed over on both sides", "[bulk]") {
  const bool sealed = GENERATE(false, true);
  bulk_world bulk(sealed);
  const memory from = random_memory(1000, 1);
  memory to(1000), nothing;
  const auto ticket = bulk.open({nothing, std::span(to).first(400), nothing, std::span(to).last(600), nothing});
  bulk.send(ticket, {nothing, std::span(from).first(400), nothing, std::span(from).last(600), nothing});
  bulk.world.run_for(milliseconds(10));
  CHECK(bulk.sent.is(true));
  CHECK(bulk.arrived.is(true));
  CHECK(from == to);
  bulk.sent = {};
  bulk.send(1, {nothing});
  bulk.world.run_for(milliseconds(10));
  CHECK(bulk.sent.is(true));
  CHECK_THROWS_AS(bulk.open({nothing}), std::logic_error);
  bulk.check_session_lives();
}

TEST_CASE("parts may come by several transfers, in any order", "[bulk]") {
  const bool sealed = GENERATE(false, true);
  bulk_world bulk(sealed);
  const memory from = random_memory(3000, 1);
  memory to(3000);
  const auto part = [](auto& of, std::size_t i) { return std::span(of).subspan(1000 * i, 1000); };
  const auto ticket = bulk.open({part(to, 0), part(to, 1), part(to, 2)});
  bulk.send(ticket, {part(from, 2)}, 2);
  bulk.send(ticket, {part(from, 0), part(from, 1)});
  bulk.world.run_for(milliseconds(10));
  CHECK(bulk.sent.n_calls == 2);
  CHECK(bulk.arrived.is(true));
  CHECK(from == to);
}

TEST_CASE("a ticket for more parts than come is done when it is told so", "[bulk]") {
  const bool sealed = GENERATE(false, true);
  const bool told_first = GENERATE(false, true);
  const std::uint32_t n_told = GENERATE(0u, 2u, 3u, 4u, 1u);
  CAPTURE(sealed, told_first, n_told);
  bulk_world bulk(sealed);
  auto& incoming = bulk.b.mesh->incoming_bulk();
  const memory from = random_memory(2000, 1);
  memory to(3000);
  const auto part = [](auto& of, std::size_t i) { return std::span(of).subspan(1000 * i, 1000); };
  const auto ticket = bulk.open({part(to, 0), part(to, 1), part(to, 2)});
  if (told_first) incoming.expect(ticket, n_told);
  bulk.send(ticket, {part(from, 0), part(from, 1)});
  bulk.world.run_for(milliseconds(10));
  if (!told_first) incoming.expect(ticket, n_told);
  bulk.world.run_for(milliseconds(10));
  CHECK(bulk.sent.is(true));
  // Two came. Fewer were announced: the rest is refused when that was known before, and breaks the ticket when it was
  // taken. More than there are places breaks it as well; one too many is waited for.
  if (n_told == 3) CHECK(bulk.arrived.n_calls == 0);
  if (n_told == 2) CHECK(bulk.arrived.is(true));
  if (n_told < 2) CHECK(bulk.arrived.is(told_first));
  if (n_told == 4) CHECK(bulk.arrived.is(false));
  if (n_told == 2) CHECK(std::memcmp(to.data(), from.data(), from.size()) == 0);
  incoming.expect(ticket + 1, 1);  // nobody's
  bulk.check_session_lives();
}

TEST_CASE("what nobody waits for is refused and the session goes on", "[bulk]") {
  const bool sealed = GENERATE(false, true);
  CAPTURE(sealed);
  bulk_world bulk(sealed);
  auto& c = bulk.world.add(sealed ? "10.0.0.3" : "127.0.0.3", 3);
  const auto b_at_c = bulk.world.connect(c, bulk.b);
  const memory from = random_memory(1000, 1);
  memory to(1000);
  const auto ticket = bulk.open({to});
  const auto refused = [&](std::uint64_t of_ticket, std::uint32_t part, std::size_t size) {
    bulk.sent = {};
    const auto before = bulk.b.n_refused("unknown_ticket");
    bulk.send(of_ticket, {std::span(from).first(size)}, part);
    bulk.world.run_for(milliseconds(10));
    CHECK(bulk.sent.is(true));  // it has left; whether it was wanted, the receiver knows
    CHECK(bulk.b.n_refused("unknown_ticket") == before + 1);
  };
  refused(ticket + 1, 0, 1000);
  refused(ticket, 1, 1000);
  refused(ticket, 0, 999);
  refused(0, 0, 1000);
  // Another node's ticket.
  completion other;
  c.mesh->send_bulk({b_at_c, ticket, 0, {from}, other.get()});
  bulk.world.run_for(milliseconds(10));
  CHECK(other.is(true));
  CHECK(bulk.b.n_refused("unknown_ticket") == 5);
  CHECK(to == memory(1000));
  CHECK(bulk.arrived.n_calls == 0);
  // The right one still comes, and a second time does not count.
  bulk.send(ticket, {from});
  bulk.world.run_for(milliseconds(10));
  CHECK(bulk.arrived.is(true));
  CHECK(to == from);
  refused(ticket, 0, 1000);
  CHECK(bulk.arrived.is(true));
  bulk.check_session_lives();
  CHECK(c.n_up() == 1);
}

TEST_CASE("a part that comes twice counts once", "[bulk]") {
  const bool sealed = GENERATE(false, true);
  bulk_world bulk(sealed);
  const memory from = random_memory(2000, 1);
  memory to(2000);
  const auto ticket = bulk.open({std::span(to).first(1000), std::span(to).last(1000)});
  bulk.send(ticket, {std::span(from).first(1000)});
  bulk.send(ticket, {std::span(from).last(1000)});  // as part 0 again
  bulk.world.run_for(milliseconds(10));
  CHECK(bulk.arrived.n_calls == 0);
  CHECK(std::memcmp(to.data(), from.data(), 1000) == 0);
  bulk.send(ticket, {std::span(from).last(1000)}, 1);
  bulk.world.run_for(milliseconds(10));
  CHECK(bulk.arrived.is(true));
  CHECK(from == to);
}

TEST_CASE("a ticket can be given up, before and while memory arrives", "[bulk]") {
  const bool sealed = GENERATE(false, true);
  CAPTURE(sealed);
  // So slow that a part is on its way for a while.
  bulk_world bulk(sealed, {.latency = milliseconds(1), .bytes_per_second = 1e8});
  const memory from = random_memory(4u << 20, 1);
  memory to(from.size());
  const auto early = bulk.open({to});
  bulk.b.mesh->incoming_bulk().close(early);
  CHECK(bulk.arrived.is(false));
  bulk.b.mesh->incoming_bulk().close(early);
  CHECK(bulk.arrived.is(false));
  bulk.arrived = {};
  const auto ticket = bulk.open({to, std::span(to).first(1)});
  bulk.send(ticket, {from});
  bulk.world.run_for(milliseconds(20));
  bulk.b.mesh->incoming_bulk().close(ticket);
  // Sealed: chunks have come, so that the place is still written to; it is the owner's again when the part has ended.
  CHECK(bulk.arrived.n_calls == (sealed ? 0 : 1));
  bulk.world.run_for(milliseconds(100));
  CHECK(bulk.arrived.is(false));
  CHECK(bulk.sent.is(true));
  CHECK(bulk.b.mesh->incoming_bulk().size() == 0);
  bulk.check_session_lives();
}

TEST_CASE("a peer that is lost in the middle ends all transfers on both sides", "[bulk]") {
  const bool sealed = GENERATE(false, true);
  const int how = GENERATE(0, 1, 2, 3);
  CAPTURE(sealed, how);
  bulk_world bulk(sealed, {.latency = milliseconds(1), .bytes_per_second = 1e8});
  const memory from = random_memory(4u << 20, 1);
  memory to(from.size());
  completion second_sent, second_arrived;
  const auto ticket = bulk.open({to});
  const auto second = *bulk.b.mesh->incoming_bulk().open(id_of(1), {to}, second_arrived.get());
  bulk.send(ticket, {from});
  bulk.a.mesh->send_bulk({bulk.b_at_a, second, 0, {from}, second_sent.get()});
  bulk.world.run_for(milliseconds(15));
  if (how <= 1) {
    auto& crashed = how == 0 ? bulk.b : bulk.a;
    bulk.world.network.crash(crashed.host);
    crashed.frozen = true;
  }
  if (how == 2) {
    bulk.world.network.cut(bulk.a.host, bulk.b.host);
    bulk.world.network.cut(bulk.b.host, bulk.a.host);
  }
  if (how == 3) bulk.a.mesh->disconnect(*bulk.b_at_a);
  bulk.world.run_for(milliseconds(1500));
  // Sealed memory leaves as frames, for a partition as well; whether any arrives, the sender does not see.
  const bool leaves = sealed && how == 2;
  if (how != 1) {
    CHECK(bulk.sent.is(leaves));
    CHECK(second_sent.is(leaves));
  }
  if (how != 0) {
    CHECK(bulk.arrived.is(false));
    CHECK(second_arrived.is(false));
    CHECK(bulk.b.mesh->incoming_bulk().size() == 0);
  }
  bulk.world.nodes.clear();  // what a crashed one owes, it pays at its end
  CHECK(bulk.sent.is(leaves));
  CHECK(second_sent.is(leaves));
  CHECK(bulk.arrived.is(false));
  CHECK(second_arrived.is(false));
}

TEST_CASE("no more is in flight than may be", "[bulk]") {
  constexpr std::size_t window = 1'000'000;
  bulk_world bulk(false, {.latency = milliseconds(2), .bytes_per_second = 1e9}, window);
  const memory from = random_memory(100'000, 1), large = random_memory(1'500'000, 2);
  std::vector<memory> to(50, memory(100'000));
  memory large_to(large.size());
  std::vector<std::span<std::byte>> places(to.begin(), to.end());
  places.insert(places.begin() + 25, large_to);
  std::vector<std::span<const std::byte>> parts(50, from);
  parts.insert(parts.begin() + 25, large);
  bulk.send(bulk.open(places), parts);
  bulk.world.run_for(milliseconds(500));
  CHECK(bulk.sent.is(true));
  CHECK(bulk.arrived.is(true));
  CHECK(to == std::vector<memory>(50, from));
  CHECK(large_to == large);
  CHECK(bulk.a.tap->most_bulk_in_flight() == large.size());  // one that is larger than the window goes alone
  CHECK(bulk.a.tap->bulk_in_flight() == 0);
  bulk_world small(false, {.latency = milliseconds(2), .bytes_per_second = 1e9}, window);
  small.send(small.open({places.begin(), places.begin() + 20}), {parts.begin(), parts.begin() + 20});
  small.world.run_for(milliseconds(500));
  CHECK(small.arrived.is(true));
  CHECK(small.a.tap->most_bulk_in_flight() == window);
}

TEST_CASE("sealed memory waits for the network, not in memory", "[bulk]") {
  bulk_world bulk(true, {.latency = milliseconds(1), .bytes_per_second = 1e9});
  const memory from = random_memory(20u << 20, 1);
  memory to(from.size());
  std::size_t most_unsent = 0;
  bulk.a.tap->on_send = [&](link_id link, wire::byte_buffer&) {
    most_unsent = std::max(most_unsent, bulk.a.tap->unsent_bytes(link));
    return true;
  };
  bulk.send(bulk.open({to}), {from});
  // Messages pass between the chunks.
  bulk.world.run_for(milliseconds(5));
  bulk.a.send(bulk.b_at_a, "in between");
  bulk.world.run_until([&] { return !bulk.b.from(bulk.a).empty(); });
  CHECK(bulk.arrived.n_calls == 0);
  bulk.world.run_for(milliseconds(100));
  CHECK(bulk.arrived.is(true));
  CHECK(to == from);
  CHECK(most_unsent < 2 * bulk_chunk_bytes);
}
