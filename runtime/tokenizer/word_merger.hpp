// The merge loop of byte-pair encoding (Sennrich et al., 2016): a word's bytes become tokens, then, as long as any two
// neighbours join, the pair of the lowest rank (the leftmost of equals) does.
//
// Words of up to 64 bytes, which is nearly all of them, are merged in two arrays by scanning for the lowest rank:
// quadratic, but in a cache line or two. Longer ones use a linked list and a heap, O(n log n) for n bytes, so that a
// megabyte without a space costs a fraction of a second.
#pragma once

#include "base/ids.hpp"
#include "runtime/tokenizer/merge_table.hpp"
#include "runtime/tokenizer/vocabulary.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace troupe {

/// Holds scratch memory: one for each thread that encodes. The vocabulary and the merges must outlive it.
class word_merger {
 public:
  word_merger(const vocabulary& words, const merge_table& merges) : words_(words), merges_(merges) {}

  /// Appends the tokens of a word shorter than 4 GiB. A byte that the vocabulary has no token for is left out and its
  /// neighbours meet, as in Hugging Face's tokenizers.
  void merge(std::string_view word, std::vector<token_id>& out);

 private:
  struct symbol {
    token_id token;  // no_token once it was joined to the one before
    std::uint32_t previous;
    std::uint32_t next;
  };

  void merge_short(std::string_view word, std::vector<token_id>& out) const;
  void merge_long(std::string_view word, std::vector<token_id>& out);
  void link_symbols(std::string_view word);
  void offer(std::uint32_t position);
  void join(std::uint32_t position, token_id joined);

  const vocabulary& words_;
  const merge_table& merges_;
  std::vector<symbol> symbols_;
  std::vector<std::uint64_t> heap_;  // lowest first: rank in the upper half, position of the left symbol in the lower
};

}  // namespace troupe
