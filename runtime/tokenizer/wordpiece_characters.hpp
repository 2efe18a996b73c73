// What BERT's uncased models do to each character before they look for words (Devlin et al., 2018): control and format
// characters and marks go, letters lose their accents and their case, ideographs and punctuation stand alone.
// ASCII is decided by ranges; beyond it, a binary search in tables generated from Unicode.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace troupe::wordpiece {

enum class character_kind : std::uint8_t {
  letter,  // of a word: all that is none of the others
  space,
  punctuation,
  dropped
};

struct kind_range {
  char32_t first;
  char32_t last;
  character_kind kind;
};

/// A character's canonical decomposition in lower case without marks, where that is not the character itself.
struct folded_character {
  char32_t from;
  std::array<char32_t, 3> to;  // 0: nothing more
};

/// The generated tables: sorted, from U+0080 on. Hangul syllables are not in them.
std::span<const kind_range> kind_ranges();
std::span<const folded_character> folded_characters();

character_kind kind_of(char32_t code_point);

/// Ideographs as BERT means them; kana and Hangul are letters.
bool is_ideograph(char32_t code_point);

/// One to three characters, 0: nothing more. The order of several marks is not made canonical; all but a few exotic
/// ones are dropped.
std::array<char32_t, 3> fold(char32_t code_point);

}  // namespace troupe::wordpiece
