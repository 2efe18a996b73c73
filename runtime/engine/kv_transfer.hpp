// Moving a sequence from one engine to another with its K and V: what a hand-off after prefill (DistServe, Zhong et
// al., OSDI 2024) and a live migration (Llumnix, Sun et al., OSDI 2024) ask of an engine. The engine gives memory to
// read and to write and keeps it in place; the bytes travel outside of it, and who does what when is a protocol's
// business.
//
//   source        running --pause--> paused --remove--> gone          hold/release: at any time, several at once
//                    ^                 |
//                    +----resume-------+
//
//   destination   --reserve--> arriving --commit--> running, a sequence like any other
//                              |  ^ grow
//                              +-remove--> gone, every block given back
//
// Rule 5 makes it simple: K and V are a function of the tokens, a draw is one of (seed, index) and the logits, text and
// grammar are rebuilt from the tokens. So a sequence is its request, the tokens drawn so far and how many positions are
// computed, and goes on to the bit.
//
// Calls come from the engine's one thread. Another thread (the network's) may read the blocks of a hold until it is
// released, and write those of a reservation until commit() or remove(): who calls these makes sure that the other one
// is done. An id that means nothing (any more) is errc::not_found, since sequences end on their own while messages
// about them travel.
#pragma once

#include "base/generation.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace troupe {

/// Names everything that K and V depend on besides tokens: the model's content, the type and shape of K and V, the size
/// of a block, the kernels and the build they are of (I7). Engines with different ones must not exchange blocks.
struct kv_fingerprint {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const kv_fingerprint&, const kv_fingerprint&) = default;
};

/// How a block lies in memory: (n_layers, layer_bytes), contiguous.
struct kv_geometry {
  std::uint32_t block_tokens = 0;
  std::uint32_t n_layers = 0;
  std::size_t layer_bytes = 0;  // K and V of one layer
};

using kv_hold_id = strong_id<struct kv_hold_id_tag>;

/// Blocks to read, which stay as they are until the hold is released, whatever becomes of the sequence.
struct kv_hold {
  kv_hold_id id;
  std::uint32_t n_computed = 0;  // positions of the sequence with K and V; what a partly filled block has past them
                                 // means nothing
  std::uint32_t first_block = 0;
  std::vector<std::span<const std::byte>> blocks;  // from first_block on
};

/// Blocks to fill.
struct kv_reservation {
  sequence_id sequence;
  std::uint32_t n_cached_tokens = 0;  // positions known here already, whole blocks: they need not be sent
  std::uint32_t first_block = 0;
  std::vector<std::span<std::byte>> blocks;  // from first_block on
};

/// What has come of a sequence, besides its tokens and the bytes of K and V.
struct sequence_progress {
  std::uint32_t n_computed = 0;     // positions with K and V
  std::uint32_t cached_tokens = 0;  // token_usage::cached_tokens of the first admission
  // The prompt's first tokens, if their logprobs were asked for and not all have theirs yet.
  std::vector<prompt_token_logprob> prompt_logprobs;
};

struct sequence_snapshot {
  generation_request request;  // resumed: every token drawn so far
  sequence_progress progress;
};

/// Told of the K and V of one sequence while a step computes them, so that they can be sent layer by layer.
class kv_listener {
 public:
  virtual ~kv_listener() = default;
  /// Positions [first_position, first_position + n_positions) have their K and V in this layer; layers come in order,
  /// each once a step. Positions of guessed tokens are not told of: what is certain after the step is
  /// sequence_progress::n_computed. Called inside step(), on its thread; of the engine, only hold() may be called, and
  /// then takes these positions for computed ones: in layers not told of yet their bytes are still to come.
  virtual void on_layer(sequence_id sequence, std::uint32_t layer, std::uint32_t first_position,
                        std::uint32_t n_positions) = 0;
};

class kv_transfer {
 public:
  virtual ~kv_transfer() = default;

  virtual kv_fingerprint fingerprint() const = 0;
  virtual kv_geometry geometry() const = 0;

  // Leaving

  /// The blocks of a sequence from first_block on that are full of computed positions and, of a paused sequence, the
  /// partly filled one behind them; possibly none. Errors: not_found, overloaded (max_engine_holds are held).
  virtual result<kv_hold> hold(sequence_id id, std::uint32_t first_block) = 0;
  /// Gives a hold back. Ids that were released already are ignored.
  virtual void release(kv_hold_id id) = 0;

  /// From now on the sequence is left out of engine::sequences(), and plans that name it, to grant or to preempt, do
  /// nothing to it. It keeps its blocks and its place among the admitted. Pausing twice is pausing once. Errors:
  /// not_found.
  virtual result<> pause(sequence_id id) = 0;
  /// Undoes pause(). Where a hold still has the partly filled block, the sequence goes on in a copy of it or, without a
  /// free block, is preempted. Errors: not_found.
  virtual result<> resume(sequence_id id) = 0;

  /// What the other side needs to go on, as of now; take it from a paused sequence for commit(). Errors: not_found.
  virtual result<sequence_snapshot> snapshot(sequence_id id) const = 0;

  /// Tells the listener, which must outlive the sequence, of each layer from the next step on; nullptr: nobody. Errors:
  /// not_found.
  virtual result<> listen(sequence_id id, kv_listener* listener) = 0;

  // Arriving

  /// Makes room for positions [0, n_tokens) of a sequence that will arrive. What this engine knows of its beginning is
  /// shared, not reserved (unless prompt logprobs are due: who scores prompts shares nothing). An arriving sequence
  /// counts as admitted, so that commit() never lacks room, and is not among engine::sequences(). Errors: those of
  /// engine::add, context_length_exceeded (n_tokens), overloaded (max_sequences are admitted, or too few blocks are
  /// free): the back-pressure.
  virtual result<kv_reservation> reserve(generation_request request, std::uint32_t n_tokens) = 0;

  /// Makes room for positions [0, n_tokens) in all; gives the blocks that are new. All or nothing. Errors: not_found
  /// (nothing arrives under this id), context_length_exceeded, overloaded.
  virtual result<kv_reservation> grow(sequence_id id, std::uint32_t n_tokens) = 0;

  /// The blocks are filled: from now on the sequence is an ordinary admitted one whose first progress.n_computed
  /// positions have their K and V, and whose full blocks are known beginnings. `resumed` are all tokens drawn so far,
  /// those of the reservation in front; the next one gets their number as its index.
  ///
  /// Errors leave it arriving: not_found (nothing arrives under this id, so also at the second commit);
  /// invalid_argument: resumed does not continue what was reserved, or breaks the grammar; n_computed is past the room
  /// reserved, or leaves no token to compute (n_computed < prompt + resumed tokens); prompt logprobs are due and those
  /// of the computed positions are missing.
  virtual result<> commit(sequence_id id, std::span<const token_id> resumed, sequence_progress progress) = 0;
};

}  // namespace troupe
