// The part of mesh that takes what sessions carry: messages, whole or in parts, and bulk memory.
#include "transport/mesh.hpp"

#include <cstring>
#include <utility>

namespace troupe::transport {

bool mesh::take_messages(session& s, std::span<const std::byte> payload) {
  if (!s.partial_message.empty()) return false;  // its other parts come first
  std::uint64_t n = 0;
  const bool fine = for_each_message(payload, [&](std::span<const std::byte> message) {
    ++n;
    return listener_.on_message(s.with, message);
  });
  counters_.messages_received.fetch_add(n, std::memory_order_relaxed);
  return fine;
}

bool mesh::take_message_part(session& s, std::span<const std::byte> payload) {
  std::uint32_t length = 0;
  if (payload.size() <= sizeof length) return false;
  std::memcpy(&length, payload.data(), sizeof length);
  payload = payload.subspan(sizeof length);
  auto& partial = s.partial_message;
  if (partial.empty()) s.partial_length = length;
  if (length != s.partial_length || length > max_message_bytes || payload.size() > length - partial.size())
    return false;
  partial.append(payload);
  if (partial.size() < length) return true;
  const wire::byte_buffer whole = std::exchange(partial, {});
  counters_.messages_received.fetch_add(1, std::memory_order_relaxed);
  return listener_.on_message(s.with, whole.bytes());
}

bool mesh::take_bulk_chunk(session& s, std::span<const std::byte> payload) {
  const auto chunk = parse_bulk_chunk(payload);
  if (!chunk) return false;
  if (chunk->offset == 0) {
    if (s.arriving) return false;  // the part before has no end
    const auto place = bulk_in_.offer(s.with->node(), chunk->ticket, chunk->part, chunk->part_size);
    if (place.empty()) counters_.count_refusal("unknown_ticket");
    if (!place.empty()) s.arriving = {chunk->ticket, chunk->part, place};
  }
  // A refused part's chunks pass by: its ticket was closed while they were on their way.
  if (!s.arriving) return true;
  auto& [ticket, part, place, filled] = *s.arriving;
  const bool is_next = ticket == chunk->ticket && part == chunk->part && filled == chunk->offset;
  if (!is_next || place.size() != chunk->part_size) return false;
  std::memcpy(place.data() + filled, chunk->bytes.data(), chunk->bytes.size());
  filled += chunk->bytes.size();
  if (filled < place.size()) return true;
  s.arriving.reset();
  bulk_in_.received(chunk->ticket, chunk->part, true);
  return true;
}

bulk_place mesh::on_bulk_offered(link_id link, const bulk_header& header, std::size_t size) {
  link_session* const here = find(link);
  // Plain memory is for plain sessions.
  if (here == nullptr || here->condemned || !here->state.up() || here->state.sealed()) return {};
  if (header.epoch != here->state.shaking().epoch()) return {};
  here->state.heard(now_);
  const bulk_place place{bulk_in_.offer(here->state.with->node(), header.ticket, header.part, size)};
  if (place.memory.empty()) counters_.count_refusal("unknown_ticket");
  return place;
}

void mesh::on_bulk_received(link_id link, const bulk_header& header, bool intact) {
  if (link_session* const here = find(link)) here->state.heard(now_);
  bulk_in_.received(header.ticket, header.part, intact);
}

}  // namespace troupe::transport
