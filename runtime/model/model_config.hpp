// The shape of a llama-architecture model, read from a GGUF file's metadata. Every number is bounded here, so that the
// loader multiplies without fear; whether the tensors agree is checked where they are loaded.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>

namespace troupe {

class gguf_file;

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
  float rope_base = 10'000.0f;
  std::uint32_t rope_dims = 0;  // the first dimensions of a head that turn, even
  float rope_scale = 1.0f;      // positions are divided by it (linear scaling)

  std::uint32_t q_dim() const { return n_heads * head_dim; }
  std::uint32_t kv_dim() const { return n_kv_heads * head_dim; }
};

/// Errors: unsupported (another architecture, a kind of rope scaling this build does not do), corrupt (a key that is
/// missing, out of range or at odds with another).
result<model_config> read_model_config(const gguf_file& file);

}  // namespace troupe
