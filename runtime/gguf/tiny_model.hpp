// Random models of a few layers, so that tests, the simulator and examples need no download: architecture llama,
// qwen2, qwen3 or gemma3 with the keys, tokenizer and chat template of SmolLM2-Instruct, and a vocabulary of a few
// hundred tokens. A function of the options alone: the same options give the same bytes on every machine. Cost: time
// and memory in proportion to the weights; the defaults make about 130,000 of them.
#pragma once

#include "base/result.hpp"
#include "kernels/types.hpp"
#include "runtime/gguf/gguf_writer.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

enum class tiny_architecture : std::uint8_t { llama, qwen2, qwen3, gemma3 };

/// As GGUF files name it.
std::string_view to_string(tiny_architecture architecture);

struct tiny_model_options {
  std::uint64_t seed = 1;
  tiny_architecture architecture = tiny_architecture::llama;
  std::string name = "tiny-random-llama";
  std::uint32_t n_layers = 2;
  std::uint32_t n_embd = 64;     // a multiple of n_heads, and of 32 for the block formats
  std::uint32_t n_heads = 4;     // heads of an even size, for rotary embedding
  std::uint32_t n_kv_heads = 2;  // divides n_heads
  std::uint32_t head_dim = 0;    // even; 0: n_embd / n_heads
  std::uint32_t window = 24;     // positions that local layers see; gemma3 has five of them to one global layer
  std::uint32_t n_ff = 128;      // a multiple of 32 for the block formats
  std::uint32_t n_vocab = 384;   // min_tiny_vocab to max_tiny_vocab
  std::uint32_t context_length = 512;
  float rope_base = 10000.0f;
  kernels::weight_type weights = kernels::weight_type::f32;     // of the matrices in the layers
  kernels::weight_type embeddings = kernels::weight_type::f32;  // of token_embd and output; the norms are always f32
  bool tied_output = true;  // no output.weight: the embeddings serve as the output matrix
};

/// 3 control tokens (0 <|endoftext|>, 1 <|im_start|>, 2 <|im_end|>), the 256 bytes, and at least 41 merges.
inline constexpr std::uint32_t min_tiny_vocab = 300;
inline constexpr std::uint32_t max_tiny_vocab = 900;

/// The model, open for more keys and tensors. Options outside the bounds above are a programmer's error.
gguf_writer make_tiny_model(const tiny_model_options& options = {});

std::vector<std::byte> build_tiny_model(const tiny_model_options& options = {});
result<> write_tiny_model(const std::filesystem::path& path, const tiny_model_options& options = {});

}  // namespace troupe
