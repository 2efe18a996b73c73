#include "transport/bulk_sender.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace troupe::transport {

std::optional<bulk_chunk> parse_bulk_chunk(std::span<const std::byte> payload) {
  if (payload.size() <= bulk_chunk_head_bytes) return std::nullopt;
  bulk_chunk chunk;
  std::memcpy(&chunk.ticket, payload.data(), 8);
  std::memcpy(&chunk.part, payload.data() + 8, 4);
  std::memcpy(&chunk.offset, payload.data() + 16, 8);
  std::memcpy(&chunk.part_size, payload.data() + 24, 8);
  chunk.bytes = payload.subspan(bulk_chunk_head_bytes);
  if (chunk.offset > chunk.part_size || chunk.bytes.size() > chunk.part_size - chunk.offset) return std::nullopt;
  return chunk;
}

bulk_sender::bulk_sender(fabric& fabric, std::size_t max_in_flight, std::function<session*(const peer&)> session_of,
                         std::function<void(session&, wire::byte_buffer)> send_frame)
    : fabric_(fabric),
      max_in_flight_(max_in_flight),
      session_of_(std::move(session_of)),
      send_frame_(std::move(send_frame)) {}

bulk_sender::~bulk_sender() {
  abandon();
}

void bulk_sender::abandon() {
  in_fabric_.clear();
  in_flight_.clear();
  for (auto& s : std::exchange(sending_, {}))
    if (s.transfer.done) s.transfer.done(false);
}

void bulk_sender::add(bulk_transfer transfer) {
  sending_.push_back({.transfer = std::move(transfer)});
}

bool bulk_sender::pump() {
  bool any = false;
  for (auto at = sending_.begin(); at != sending_.end();) {
    const auto here = at++;
    if (!here->lost && here->next_part < here->transfer.parts.size()) {
      session* const over = session_of_(*here->transfer.to);
      if (over == nullptr && !here->transfer.to->alive()) here->lost = true;
      if (over != nullptr) any = pump_one(here, *over) || any;
    }
    finish_if_done(here);
  }
  return any;
}

bool bulk_sender::pump_one(transfers::iterator at, session& over) {
  sending& s = *at;
  const auto& parts = s.transfer.parts;
  for (bool any = false;; any = true) {
    while (s.next_part < parts.size() && parts[s.next_part].empty())
      ++s.next_part;
    if (s.next_part == parts.size() || !(over.sealed() ? send_chunk(at, over) : send_part(at, over))) return any;
  }
}

bool bulk_sender::send_part(transfers::iterator at, session& over) {
  sending& s = *at;
  const auto memory = s.transfer.parts[s.next_part];
  std::size_t& in_flight = in_flight_[s.transfer.to.get()];
  // A part larger than the window goes alone.
  if (in_flight > 0 && in_flight + memory.size() > max_in_flight_) return false;
  in_flight += memory.size();
  const std::uint64_t cookie = next_cookie_++;
  in_fabric_.emplace(cookie, part_in_fabric{at, memory.size()});
  ++s.n_in_fabric;
  const bulk_header header{s.transfer.ticket, s.transfer.first_part + static_cast<std::uint32_t>(s.next_part),
                           over.shaking().epoch()};
  ++s.next_part;
  fabric_.send_bulk(over.link(), header, memory, cookie);
  return true;
}

bool bulk_sender::send_chunk(transfers::iterator at, session& over) {
  sending& s = *at;
  // Few, so that messages find room between them (mesh_options::max_unsent_bytes).
  if (fabric_.unsent_bytes(over.link()) >= bulk_chunk_bytes) return false;
  const auto memory = s.transfer.parts[s.next_part];
  const auto bytes = memory.subspan(s.offset, std::min<std::size_t>(bulk_chunk_bytes, memory.size() - s.offset));
  wire::byte_buffer frame;
  std::byte* const head = frame.extend(frame_header_bytes + bulk_chunk_head_bytes) + frame_header_bytes;
  const std::uint32_t part = s.transfer.first_part + static_cast<std::uint32_t>(s.next_part);
  const std::uint64_t part_size = memory.size();
  std::memset(head, 0, bulk_chunk_head_bytes);
  std::memcpy(head, &s.transfer.ticket, 8);
  std::memcpy(head + 8, &part, 4);
  std::memcpy(head + 16, &s.offset, 8);
  std::memcpy(head + 24, &part_size, 8);
  frame.append(bytes);
  s.offset += bytes.size();
  if (s.offset == memory.size()) {
    s.offset = 0;
    ++s.next_part;
  }
  send_frame_(over, std::move(frame));
  return true;
}

void bulk_sender::sent(std::uint64_t cookie, bool delivered) {
  const auto found = in_fabric_.find(cookie);
  if (found == in_fabric_.end()) return;
  const auto [at, bytes] = found->second;
  in_fabric_.erase(found);
  const auto in_flight = in_flight_.find(at->transfer.to.get());
  if ((in_flight->second -= bytes) == 0) in_flight_.erase(in_flight);
  --at->n_in_fabric;
  at->lost = at->lost || !delivered;
  // pump() finishes it: sent() may be called from within send_bulk().
}

void bulk_sender::lose(const peer& lost) {
  for (auto& s : sending_)
    if (s.transfer.to.get() == &lost) s.lost = true;
}

void bulk_sender::finish_if_done(transfers::iterator at) {
  const bool all_started = at->lost || at->next_part == at->transfer.parts.size();
  if (!all_started || at->n_in_fabric > 0) return;
  const auto done = std::move(at->transfer.done);
  const bool delivered = !at->lost;
  sending_.erase(at);
  if (done) done(delivered);
}

std::size_t bulk_sender::in_flight_bytes(const peer& to) const {
  const auto found = in_flight_.find(&to);
  return found == in_flight_.end() ? 0 : found->second;
}

}  // namespace troupe::transport
