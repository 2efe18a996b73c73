// The part of simulated_engine that lets sequences leave and arrive: runtime/engine/kv_transfer.hpp.
#include "runtime/engine/cpu_engine_options.hpp"
#include "simulator/simulated_engine.hpp"

#include <algorithm>
#include <utility>

namespace troupe::simulator {
namespace {

constexpr std::uint32_t block_tokens = kernels::kv_block_tokens;

error no_sequence() {
  return make_error(errc::not_found, "There is no such sequence (any more).");
}
error refuse(const char* param, const char* message) {
  return make_error(errc::invalid_argument, message, param);
}

}  // namespace

kv_geometry simulated_engine::geometry() const {
  return {block_tokens, n_layers, layer_cells() * static_cast<std::uint32_t>(sizeof(std::uint64_t))};
}

std::span<const block_handle> simulated_engine::readable(const sequence& s, std::uint32_t n_computing) const {
  const std::uint32_t n = s.n_computed + n_computing;
  const bool has_partial = s.paused && n % block_tokens != 0;
  return s.blocks.blocks().first(n / block_tokens + (has_partial ? 1 : 0));
}

result<kv_hold> simulated_engine::hold(sequence_id id, std::uint32_t first_block) {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) return no_sequence();
  if (holds_.size() >= max_engine_holds) return make_error(errc::overloaded, "Too many holds.");
  const sequence& s = found->second;
  std::uint32_t n_computing = 0;
  if (computing_)
    for (const auto& g : grants_)
      if (g.id == id) n_computing = g.n_tokens;
  const auto blocks = readable(s, n_computing);
  kv_hold held{kv_hold_id{++last_hold_}, s.n_computed + n_computing, first_block, {}};
  for (std::size_t i = first_block; i < blocks.size(); ++i)
    held.blocks.push_back(std::as_bytes(cells(blocks[i])));
  holds_.emplace(held.id, block_hold(pool_, held.blocks.empty() ? std::span<const block_handle>() : blocks));
  tell("hold");
  return held;
}

void simulated_engine::release(kv_hold_id id) {
  holds_.erase(id);
  tell("release");
}

result<> simulated_engine::pause(sequence_id id) {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) return no_sequence();
  found->second.paused = true;
  tell("pause");
  return {};
}

result<> simulated_engine::resume(sequence_id id) {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) return no_sequence();
  sequence& s = found->second;
  const auto blocks = readable(s, 0);
  const bool has_partial = s.paused && s.n_computed % block_tokens != 0;
  s.paused = false;
  tell("resume");
  if (!has_partial || pool_.references(blocks.back()) == 1) return {};
  const block_handle read_by_others = blocks.back();
  if (const auto copy = s.blocks.replace(s.n_computed / block_tokens))
    std::ranges::copy(cells(read_by_others), cells(*copy).begin());
  else
    preempt(s);
  return {};
}

result<sequence_snapshot> simulated_engine::snapshot(sequence_id id) const {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) return no_sequence();
  const sequence& s = found->second;
  sequence_snapshot taken{s.request, {s.n_computed, s.n_cached, {}}};
  if (s.prompt_logprobs_due) taken.progress.prompt_logprobs = scores(s);
  taken.request.resumed.assign(s.tokens.begin() + s.n_prompt, s.tokens.end());
  tell("snapshot");
  return taken;
}

result<> simulated_engine::listen(sequence_id id, kv_listener* listener) {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) return no_sequence();
  found->second.listener = listener;
  return {};
}

result<kv_reservation> simulated_engine::reserve(generation_request request, std::uint32_t n_tokens) {
  if (auto fine = check(request); !fine) return fine.error();
  if (n_tokens > options_.max_context) return make_error(errc::context_length_exceeded, "Too many tokens.", "n_tokens");
  if (n_admitted() >= options_.max_sequences) return make_error(errc::overloaded, "All sequences run.");
  const sequence_id id{++last_id_};
  sequence_blocks blocks(pool_, index_.get(), request.tenant);
  std::uint32_t n_cached = 0;
  if (request.sampling.prompt_logprobs < 0 || !request.resumed.empty()) {
    std::vector<token_id> known = request.prompt;
    known.insert(known.end(), request.resumed.begin(), request.resumed.end());
    n_cached = blocks.adopt_prefix(known, static_cast<std::uint32_t>(known.size()) - 1);
  }
  auto room = make_room(id, blocks, n_tokens);
  if (!room) return room;
  room->n_cached_tokens = n_cached;
  arrivals_.emplace(id, arrival{std::move(request), std::move(blocks), n_cached});
  tell("reserve");
  return room;
}

result<kv_reservation> simulated_engine::grow(sequence_id id, std::uint32_t n_tokens) {
  const auto found = arrivals_.find(id);
  if (found == arrivals_.end()) return no_sequence();
  if (n_tokens > options_.max_context) return make_error(errc::context_length_exceeded, "Too many tokens.", "n_tokens");
  auto room = make_room(id, found->second.blocks, n_tokens);
  if (room) room->n_cached_tokens = found->second.n_cached;
  return room;
}

result<kv_reservation> simulated_engine::make_room(sequence_id id, sequence_blocks& blocks, std::uint32_t n_tokens) {
  kv_reservation room{id, 0, blocks.size(), {}};
  if (!blocks.reserve(n_tokens)) return make_error(errc::overloaded, "Too few KV blocks are free.");
  // What lay there before must not pass for what was sent.
  for (const auto block : blocks.blocks().subspan(room.first_block)) {
    std::ranges::fill(cells(block), 0);
    room.blocks.push_back(std::as_writable_bytes(cells(block)));
  }
  return room;
}

result<> simulated_engine::commit(sequence_id id, std::span<const token_id> resumed, sequence_progress progress) {
  const auto found = arrivals_.find(id);
  if (found == arrivals_.end()) return no_sequence();
  arrival& arriving = found->second;
  progress.n_computed = std::max(progress.n_computed, arriving.n_cached);
  generation_request request = arriving.request;
  const auto& before = request.resumed;
  if (resumed.size() < before.size() || !std::equal(before.begin(), before.end(), resumed.begin()))
    return refuse("resumed", "The tokens do not continue those of the reservation.");
  const std::size_t n_known = request.prompt.size() + resumed.size();
  if (progress.n_computed >= n_known || progress.n_computed > std::size_t{arriving.blocks.size()} * block_tokens)
    return refuse("n_computed", "More is computed than there is, or than there is room for.");
  const std::size_t n_scored =
      progress.n_computed == 0 ? 0 : std::min<std::size_t>(progress.n_computed + 1, request.prompt.size());
  if (request.sampling.prompt_logprobs >= 0 && resumed.empty() && progress.prompt_logprobs.size() < n_scored)
    return refuse("prompt_logprobs", "Logprobs of the computed positions are missing.");
  request.resumed.assign(resumed.begin(), resumed.end());
  if (auto fine = check(request); !fine) return fine;

  sequence s = make_sequence(std::move(request), std::move(arriving.blocks));
  s.n_computed = progress.n_computed;
  s.n_cached = progress.cached_tokens;
  s.admitted = s.was_admitted = true;
  s.n_scored = std::max(1u, std::min(s.n_computed + 1, s.n_prompt));
  read_all(s, s.n_computed, "in a commit");
  s.blocks.commit(s.tokens, s.n_computed);
  arrivals_.erase(found);
  sequences_.emplace(id, std::move(s));
  tell("commit");
  return {};
}

}  // namespace troupe::simulator
