// The part of cpu_engine that lets sequences leave and arrive: kv_transfer.hpp.
#include "base/assert.hpp"
#include "base/build_info.hpp"
#include "runtime/engine/cpu_engine.hpp"
#include "runtime/gguf/gguf_file.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace troupe {
namespace {

constexpr std::uint32_t block_tokens = kernels::kv_block_tokens;

error no_sequence(sequence_id id) {
  return make_error(errc::not_found,
                    "There is no sequence " + std::to_string(id.value) + " in this engine; it may have ended.");
}

error no_arrival(sequence_id id) {
  return make_error(errc::not_found, "No sequence " + std::to_string(id.value) + " is arriving at this engine.");
}

error refuse(const char* param, std::string message) {
  return make_error(errc::invalid_argument, std::move(message), param);
}

}  // namespace

/// The build is part of it: rule 5 makes no promise about the bits of another one.
kv_fingerprint cpu_engine::make_fingerprint(const gguf_file& file, const kernels::kv_layout& layout,
                                            std::uint32_t n_layers, const kernels::table& table) {
  const content_digest content = file.digest();
  std::string text;
  for (const std::uint64_t number :
       {content.low, content.high, std::uint64_t{n_layers}, std::uint64_t{layout.n_kv_heads},
        std::uint64_t{layout.head_dim}, std::uint64_t{block_tokens}})
    text += std::to_string(number) + "|";
  for (const std::string_view word :
       {to_string(layout.type), std::string_view(table.isa), version(), troupe::commit(), compiler()})
    text.append(word).append("|");
  const block_hash hash = xxh3_128(std::as_bytes(std::span(text)));
  return {hash.low, hash.high};
}

kv_geometry cpu_engine::geometry() const {
  return {.block_tokens = block_tokens, .n_layers = kv_.n_layers(), .layer_bytes = kv_.block_bytes() / kv_.n_layers()};
}

result<kv_hold> cpu_engine::hold(sequence_id id, std::uint32_t first_block) {
  const engine_sequence* sequence = find(id);
  if (sequence == nullptr) return no_sequence(id);
  if (holds_.size() >= max_engine_holds)
    return make_error(errc::overloaded, std::to_string(holds_.size()) + " holds on KV blocks are not released yet.");
  std::uint32_t n_computing = 0;
  if (computing_)
    for (const grant& g : grants_)
      if (g.sequence == sequence) n_computing = g.n_tokens - g.n_guesses;

  const auto blocks = sequence->readable_blocks(n_computing);
  kv_hold held{.id = kv_hold_id{next_hold_++},
               .n_computed = sequence->n_computed() + n_computing,
               .first_block = first_block,
               .blocks = {}};
  for (std::size_t i = first_block; i < blocks.size(); ++i)
    held.blocks.push_back(std::as_const(kv_).block(blocks[i].index));
  // The blocks before first_block too: who holds a block of a chain holds those before it (prefix_index.hpp).
  holds_.emplace(held.id, block_hold(blocks_, held.blocks.empty() ? std::span<const block_handle>() : blocks));
  return held;
}

void cpu_engine::release(kv_hold_id id) {
  holds_.erase(id);
}

result<> cpu_engine::pause(sequence_id id) {
  engine_sequence* sequence = find(id);
  if (sequence == nullptr) return no_sequence(id);
  sequence->pause();
  return {};
}

result<> cpu_engine::resume(sequence_id id) {
  engine_sequence* sequence = find(id);
  if (sequence == nullptr) return no_sequence(id);
  const auto readable = sequence->readable_blocks(0);
  const bool has_partial = sequence->paused() && sequence->n_computed() % block_tokens != 0;
  sequence->resume();
  if (!has_partial || blocks_.references(readable.back()) == 1) return {};
  const block_handle read_by_others = readable.back();
  if (const auto copy = sequence->replace_partial_block())
    std::ranges::copy(kv_.block(read_by_others.index), kv_.block(copy->index).begin());
  else
    sequence->preempt();
  return {};
}

result<sequence_snapshot> cpu_engine::snapshot(sequence_id id) const {
  const engine_sequence* sequence = find(id);
  if (sequence == nullptr) return no_sequence(id);
  return sequence->snapshot();
}

result<> cpu_engine::listen(sequence_id id, kv_listener* listener) {
  engine_sequence* sequence = find(id);
  if (sequence == nullptr) return no_sequence(id);
  sequence->listen(listener);
  return {};
}

void cpu_engine::layer_stored(std::uint32_t layer) {
  for (const grant& g : grants_)
    if (kv_listener* listener = g.sequence->listener())
      listener->on_layer(g.sequence->id(), layer, g.sequence->n_computed(), g.n_tokens - g.n_guesses);
}

result<kv_reservation> cpu_engine::reserve(generation_request request, std::uint32_t n_tokens) {
  if (auto fine = check(request); !fine) return fine.error();
  if (auto fine = check_room(n_tokens); !fine) return fine.error();
  if (auto constraint = make_constraint(request); !constraint) return constraint.error();
  if (n_admitted() >= max_sequences_)
    return make_error(errc::overloaded, "All " + std::to_string(max_sequences_) + " sequences of this engine run.");

  const sequence_id id{next_id_++};
  sequence_blocks blocks(blocks_, index_.get(), request.tenant);
  std::uint32_t n_cached = 0;
  const bool scores_prompt = request.sampling.prompt_logprobs >= 0 && request.resumed.empty();
  if (!scores_prompt) {
    std::vector<token_id> known = request.prompt;
    known.insert(known.end(), request.resumed.begin(), request.resumed.end());
    n_cached = blocks.adopt_prefix(known, static_cast<std::uint32_t>(known.size()) - 1);
  }
  auto room = make_room(id, blocks, n_tokens);
  if (!room) return room;
  room->n_cached_tokens = n_cached;
  arrivals_.emplace(id, arrival{std::move(request), std::move(blocks), n_cached});
  return room;
}

result<kv_reservation> cpu_engine::grow(sequence_id id, std::uint32_t n_tokens) {
  const auto found = arrivals_.find(id);
  if (found == arrivals_.end()) return no_arrival(id);
  if (auto fine = check_room(n_tokens); !fine) return fine.error();
  auto room = make_room(id, found->second.blocks, n_tokens);
  if (room) room->n_cached_tokens = found->second.n_cached;
  return room;
}

result<> cpu_engine::check_room(std::uint32_t n_tokens) const {
  if (n_tokens <= max_context_) return {};
  return make_error(errc::context_length_exceeded,
                    "The context holds " + std::to_string(max_context_) + " tokens, but room for " +
                        std::to_string(n_tokens) + " is asked for.",
                    "n_tokens");
}

result<kv_reservation> cpu_engine::make_room(sequence_id id, sequence_blocks& blocks, std::uint32_t n_tokens) {
  kv_reservation room{.sequence = id, .n_cached_tokens = 0, .first_block = blocks.size(), .blocks = {}};
  if (!blocks.reserve(n_tokens))
    return make_error(errc::overloaded, "Too few KV blocks are free: " + std::to_string(blocks_.free()) + " of " +
                                            std::to_string(blocks_.total()) + ".");
  for (const block_handle block : blocks.blocks().subspan(room.first_block))
    room.blocks.push_back(kv_.block(block.index));
  return room;
}

result<> cpu_engine::commit(sequence_id id, std::span<const token_id> resumed, sequence_progress progress) {
  const auto found = arrivals_.find(id);
  if (found == arrivals_.end()) return no_arrival(id);
  arrival& arriving = found->second;
  progress.n_computed = std::max(progress.n_computed, arriving.n_cached);
  if (auto fine = check_progress(arriving, resumed, progress); !fine) return fine;
  generation_request request = arriving.request;
  request.resumed.assign(resumed.begin(), resumed.end());
  if (auto fine = check(request); !fine) return fine;
  auto constraint = make_constraint(request);
  if (!constraint) return constraint.error();

  auto sequence = make_sequence(id, std::move(request), *std::move(constraint), std::move(arriving.blocks));
  sequence->arrive(std::move(progress));
  arrivals_.erase(found);
  const auto behind = std::upper_bound(sequences_.begin(), sequences_.end(), id,
                                       [](sequence_id wanted, const auto& other) { return wanted < other->id(); });
  sequences_.insert(behind, std::move(sequence));
  return {};
}

result<> cpu_engine::check_progress(const arrival& arriving, std::span<const token_id> resumed,
                                    const sequence_progress& progress) const {
  const generation_request& request = arriving.request;
  const auto& before = request.resumed;
  if (resumed.size() < before.size() || !std::equal(before.begin(), before.end(), resumed.begin()))
    return refuse("resumed", "The tokens do not continue those that the reservation was made with.");
  const std::size_t n_known = request.prompt.size() + resumed.size();
  if (progress.n_computed >= n_known)
    return refuse("n_computed", "Of " + std::to_string(n_known) + " tokens " + std::to_string(progress.n_computed) +
                                    " are computed; at least one must be left.");
  if (progress.n_computed > std::size_t{arriving.blocks.size()} * block_tokens)
    return refuse("n_computed", std::to_string(progress.n_computed) + " tokens are computed, but room was made for " +
                                    std::to_string(arriving.blocks.size() * block_tokens) + ".");
  const bool scores_prompt = request.sampling.prompt_logprobs >= 0 && resumed.empty();
  // A computed position gives the logprob of the token behind it; the first token has none.
  const std::size_t n_scored =
      progress.n_computed == 0 ? 0 : std::min<std::size_t>(progress.n_computed + 1, request.prompt.size());
  if (scores_prompt && progress.prompt_logprobs.size() < n_scored)
    return refuse("prompt_logprobs", "The first " + std::to_string(n_scored) +
                                         " tokens of the prompt have their logprobs, but " +
                                         std::to_string(progress.prompt_logprobs.size()) + " came with the sequence.");
  return {};
}

}  // namespace troupe
