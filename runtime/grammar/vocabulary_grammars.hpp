// The grammars of requests, each compiled once for the vocabulary of one model. Requests with the same grammar share
// its masks, whichever worker of the process computes them.
//
// Cost: a grammar known is a look-up; one not known is compiled on the caller's thread, 1 ms for an everyday schema and
// well under a second for any (limits.hpp). The first grammar also makes the model's token_set.
#pragma once

#include "base/generation.hpp"
#include "base/result.hpp"
#include "runtime/grammar/grammar_matcher.hpp"
#include "runtime/grammar/lru_cache.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <cstddef>
#include <memory>
#include <mutex>

namespace troupe {

/// Thread-safe.
class vocabulary_grammars {
 public:
  static constexpr std::size_t max_bytes = 64 << 20;       // of grammars kept for requests to come
  static constexpr std::size_t mask_bytes_each = 4 << 20;  // of one grammar's masks

  explicit vocabulary_grammars(std::shared_ptr<const tokenizer> vocabulary);

  /// wanted: of any kind but none. Errors: those of compile_gbnf and compile_json_schema.
  result<std::shared_ptr<grammar_matcher>> find(const output_grammar& wanted);
  /// Whether find() would only look it up.
  bool knows(const output_grammar& wanted);

 private:
  struct entry {
    output_grammar wanted;  // keys are hashes
    std::shared_ptr<grammar_matcher> matcher;
  };

  result<std::shared_ptr<const token_set>> tokens();

  std::shared_ptr<const tokenizer> vocabulary_;
  std::mutex mutex_;  // of tokens_
  std::shared_ptr<const token_set> tokens_;
  grammar::lru_cache<entry> entries_{max_bytes};
};

}  // namespace troupe
