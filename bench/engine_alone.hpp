// The engine without actors or HTTP, as benchmarks drive it.
#pragma once

#include "base/generation.hpp"
#include "base/result.hpp"
#include "runtime/engine/cpu_engine.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace troupe::bench {

/// Loads a model. Nothing is kept of earlier prompts, so that every prompt is computed.
result<std::unique_ptr<cpu_engine>> load_engine(const std::filesystem::path& model, const std::string& isa,
                                                std::uint32_t threads);

/// Tokens drawn evenly from the vocabulary, past its control tokens. The same seed gives the same prompt.
std::vector<token_id> random_prompt(std::uint32_t n_tokens, std::uint32_t n_vocab, std::uint64_t seed);

/// A greedy request for exactly n_answer tokens.
generation_request make_request(std::vector<token_id> prompt, std::uint32_t n_answer);

}  // namespace troupe::bench
