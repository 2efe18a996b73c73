#include "runtime/tokenizer/merge_table.hpp"

#include "runtime/tokenizer/byte_alphabet.hpp"

#include <bit>
#include <string>

namespace troupe {
namespace {

constexpr const char* merges_key = "tokenizer.ggml.merges";

error bad_merge(std::size_t rank, std::string_view text, const std::string& what) {
  return make_error(errc::corrupt, "tokenizer.ggml.merges[" + std::to_string(rank) + "], " + quoted(text) + ", " + what,
                    merges_key);
}

struct pair {
  token_id left;
  token_id right;
  token_id joined;
};

// "Ġ t": two tokens in GPT-2's alphabet around one space, whose concatenation is a token too. `guess` may be any id:
// most files list what the merges make in the order of the merges, and then the guess saves a look-up. `bytes` is
// scratch.
result<pair> read_pair(std::size_t rank, std::string_view text, const vocabulary& words, token_id guess,
                       std::string& bytes) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos || space == 0 || space + 1 == text.size()) {
    return bad_merge(rank, text, "is not two tokens with a space between them.");
  }
  bytes.clear();
  if (!append_alphabet_bytes(bytes, text.substr(0, space))) {
    return bad_merge(rank, text, "has a character outside GPT-2's byte alphabet.");
  }
  const std::size_t middle = bytes.size();
  if (!append_alphabet_bytes(bytes, text.substr(space + 1))) {
    return bad_merge(rank, text, "has a character outside GPT-2's byte alphabet.");
  }
  const std::string_view joined = bytes;
  const auto left = words.find_word(joined.substr(0, middle));
  const auto right = words.find_word(joined.substr(middle));
  const auto both = words.is_word(guess, joined) ? guess : words.find_word(joined);
  if (!left || !right) return bad_merge(rank, text, "joins something that is not a token of the vocabulary.");
  if (!both) return bad_merge(rank, text, "makes something that is not a token of the vocabulary.");
  return pair{*left, *right, *both};
}

}  // namespace

merge_table::merge_table(std::size_t capacity)
    : slots_(std::bit_ceil(2 * capacity + 2)), mask_(slots_.size() - 1), seed_(random_seed()) {}

result<merge_table> merge_table::read(const gguf_strings& merges, const vocabulary& words) {
  if (merges.size() >= no_rank) {
    return make_error(errc::corrupt, "tokenizer.ggml.merges has more entries than ranks of 32 bits can number.",
                      merges_key);
  }
  merge_table table(merges.size());
  std::string scratch;
  token_id guess = vocabulary::no_token;
  std::uint32_t rank = 0;
  for (const auto text : merges) {
    const auto p = read_pair(rank, text, words, guess, scratch);
    if (!p) return p.error();
    table.insert(p->left, p->right, {rank, p->joined});
    guess = p->joined + 1;
    ++rank;
  }
  return table;
}

void merge_table::insert(token_id left, token_id right, merge value) {
  const std::uint64_t key = key_of(left, right);
  std::size_t at = slot_of(key);
  while (slots_[at].key != free_key && slots_[at].key != key)
    at = (at + 1) & mask_;
  if (slots_[at].key == free_key) slots_[at] = {key, value};
}

}  // namespace troupe
