// The C++ side of llama_cpp_oracle.py: all logits of one sequence.
//
//   compute_logits MODEL.gguf KERNELS stored|exact CHUNK < ids > logits
//
// Ids are numbers with white space between them; logits are (n_tokens, n_vocab) floats. KERNELS is "best" or a name.
// "exact" widens the weights to floats, so that activations stay floats too.
#include "kernels/table.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/kv/kv_storage.hpp"
#include "runtime/model/decoder_model.hpp"

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

using namespace troupe;

namespace {

/// Keeps the logits of one pass.
class collector final : public logits_consumer {
 public:
  collector(std::size_t n_rows, std::size_t n_vocab) : n_vocab_(n_vocab), rows_(n_rows * n_vocab) {}
  void take(std::size_t, std::size_t position, std::span<const float> logits, std::uint32_t) override {
    std::copy(logits.begin(), logits.end(), rows_.begin() + static_cast<std::ptrdiff_t>(position * n_vocab_));
  }
  void write(std::size_t n_rows) const {
    std::cout.write(reinterpret_cast<const char*>(rows_.data()),
                    static_cast<std::streamsize>(n_rows * n_vocab_ * sizeof(float)));
  }

 private:
  std::size_t n_vocab_;
  std::vector<float> rows_;
};

int fail(const error& failure) {
  std::cerr << "compute_logits: " << failure.message << '\n';
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: compute_logits MODEL.gguf KERNELS stored|exact CHUNK < ids > logits\n";
    return 2;
  }
  const std::string isa = argv[2];
  const auto chunk = static_cast<std::size_t>(std::stoul(argv[4]));
  std::vector<token_id> tokens;
  for (token_id token; std::cin >> token;)
    tokens.push_back(token);
  const auto file = gguf_file::open(argv[1]);
  if (!file) return fail(file.error());
  const auto table = kernels::choose(isa == "best" ? "" : isa);
  if (!table) return fail(table.error());
  thread_pool pool(2);
  const auto n = static_cast<std::uint32_t>(tokens.size());
  const auto precision = argv[3] == std::string("exact") ? weight_precision::widened : weight_precision::as_stored;
  auto model =
      decoder_model::load(*file, **table, pool,
                          {.max_rows = static_cast<std::uint32_t>(chunk), .max_positions = n, .precision = precision});
  if (!model) return fail(model.error());
  const std::uint32_t n_blocks = (n + kernels::kv_block_tokens - 1) / kernels::kv_block_tokens;
  const auto type = precision == weight_precision::widened ? kernels::kv_type::f32 : kernels::kv_type::f16;
  auto kv = kv_storage::create((*model)->layout(type), (*model)->config().n_layers, n_blocks);
  if (!kv) return fail(kv.error());
  std::vector<block_handle> blocks;
  for (std::uint32_t i = 0; i < n_blocks; ++i)
    blocks.push_back({i, 0});
  collector consumer(chunk, (*model)->config().n_vocab);
  for (std::size_t first = 0; first < n; first += chunk) {
    const std::size_t count = std::min<std::size_t>(chunk, n - first);
    const forward_slice slice{.tokens = std::span(tokens).subspan(first, count),
                              .first_position = static_cast<std::uint32_t>(first),
                              .blocks = blocks,
                              .n_logits = static_cast<std::uint32_t>(count)};
    (*model)->forward({&slice, 1}, *kv, consumer);
    consumer.write(count);
  }
}
