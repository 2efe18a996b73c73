// The shape of a decoder, read from a GGUF file's metadata: its sizes, and which of the small parts that set one
// architecture apart from another it has. Every number is bounded here, so that the loader multiplies without fear;
// whether the tensors agree is checked where they are loaded.
#pragma once

#include "base/result.hpp"
#include "kernels/types.hpp"

#include <cstdint>
#include <string>

namespace troupe {

class gguf_file;

/// What the gate of a feed-forward layer goes through.
enum class gate_activation : std::uint8_t { silu, gelu };

struct rope_config {
  float base = 10'000.0f;
  float scale = 1.0f;  // positions are divided by it (linear scaling)
};

struct model_config {
  std::string name;  // general.name, for people
  std::uint32_t n_layers = 0;
  std::uint32_t n_embd = 0;
  std::uint32_t n_heads = 0;
  std::uint32_t n_kv_heads = 0;  // divides n_heads
  std::uint32_t head_dim = 0;    // even
  std::uint32_t n_ff = 0;
  std::uint32_t n_vocab = 0;
  std::uint32_t context_length = 0;
  float rms_epsilon = 0.0f;
  float embedding_scale = 1.0f;  // of a token's row, before the first layer
  float attention_scale = 0.0f;  // of the scores

  bool has_query_key_norms = false;  // each head of q and k is normed before it turns
  bool has_output_norms = false;     // what attention and feed-forward add to the stream is normed first
  gate_activation activation = gate_activation::silu;

  rope_config rope;
  std::uint32_t rope_dims = 0;  // the first dimensions of a head that turn, even
  kernels::rope_pairing pairing = kernels::rope_pairing::adjacent;

  // Local layers see a window and turn by their own angles; of each `global_every` layers the last is global.
  std::uint32_t window = 0;  // positions, a query's own among them; 0: all layers are global
  std::uint32_t global_every = 1;
  rope_config local_rope;

  std::uint32_t q_dim() const { return n_heads * head_dim; }
  std::uint32_t kv_dim() const { return n_kv_heads * head_dim; }
  bool is_local(std::uint32_t layer) const { return window != 0 && (layer + 1) % global_every != 0; }
};

/// Errors: unsupported (another architecture, a kind of rope scaling this build does not do), corrupt (a key that is
/// missing, out of range or at odds with another).
result<model_config> read_model_config(const gguf_file& file);

}  // namespace troupe
