#include "bench/engine_alone.hpp"

#include "base/random.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <utility>

namespace troupe::bench {

result<std::unique_ptr<cpu_engine>> load_engine(const std::filesystem::path& model, const std::string& isa,
                                                std::uint32_t threads) {
  auto file = gguf_file::open(model);
  if (!file) return file.error();
  auto vocabulary = tokenizer::from_gguf(**file);
  if (!vocabulary) return vocabulary.error();
  cpu_engine_options made;
  made.isa = isa;
  made.n_threads = threads;
  made.prefix_caching = false;
  made.max_guesses = 0;
  return cpu_engine::create(*file, *vocabulary, made);
}

std::vector<token_id> random_prompt(std::uint32_t n_tokens, std::uint32_t n_vocab, std::uint64_t seed) {
  constexpr std::uint32_t n_control = 100;
  random_stream random(seed);
  std::vector<token_id> prompt;
  for (std::uint32_t i = 0; i < n_tokens; ++i)
    prompt.push_back(static_cast<token_id>(n_control + random.below(n_vocab - n_control)));
  return prompt;
}

generation_request make_request(std::vector<token_id> prompt, std::uint32_t n_answer) {
  generation_request request;
  request.prompt = std::move(prompt);
  request.sampling.temperature = 0.0f;
  request.sampling.ignore_eos = true;
  request.sampling.max_tokens = n_answer;
  return request;
}

}  // namespace troupe::bench
