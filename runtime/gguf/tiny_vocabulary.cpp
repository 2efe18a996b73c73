#include "runtime/gguf/tiny_vocabulary.hpp"

#include "base/assert.hpp"
#include "base/utf8.hpp"

#include <array>
#include <set>
#include <string_view>

namespace troupe::gguf {
namespace {

constexpr std::array<std::string_view, 3> control_tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
constexpr std::int32_t normal_token = 1;
constexpr std::int32_t control_token = 3;

// Frequent pairs of English, each made of bytes and of the pairs before it. An underscore stands for a space.
constexpr std::array<std::string_view, 72> english_merges = {
    "_ t",   "h e",  "_ a",    "i n",   "r e",  "o n",   "_t he", "e r",  "_ s",  "a t",  "_ w",   "_ o",
    "e n",   "_ c",  "i t",    "i s",   "a n",  "o r",   "e s",   "_ b",  "e d",  "_ f",  "in g",  "_ p",
    "o u",   "_a n", "a l",    "a r",   "_t o", "_ m",   "_o f",  "_ in", "_ d",  "_ h",  "_an d", "i c",
    "l e",   "_t h", "i on",   "o m",   "l l",  "en t",  "_ n",   "_ l",  "s t",  "_ re", "v e",   "_ e",
    "r o",   "l y",  "_b e",   "_ g",   "_ T",  "_T he", "c t",   "i d",  "o t",  "_ I",  "_ is",  "_ y",
    "_y ou", "_w h", "_th at", "_f or", "v er", "_h e",  "_w e",  "u t",  "_a s", "i l",  "u r",   "_ it"};

// GPT-2's spelling of a byte as a character that prints: itself where it prints in Latin-1, else U+0100 and up in
// order.
std::array<std::string, 256> spell_bytes() {
  std::array<std::string, 256> spelling;
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool prints =
        (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
    append_utf8(spelling[byte], prints ? byte : next++);
  }
  return spelling;
}

class builder {
 public:
  explicit builder(std::uint32_t size) : size_(size) {
    for (const std::string_view text : control_tokens)
      add_token(std::string(text), control_token);
    // GPT-2 numbers the bytes that print first; tokenizers go by the spelling, so the order of the bytes serves as
    // well.
    for (const std::string& text : spelling_)
      add_token(text, normal_token);
  }

  void add_merge(std::string_view left, std::string_view right) {
    if (made_.tokens.size() == size_ || known_.count(spell(left) + spell(right)) != 0) return;
    TROUPE_ASSERT(known_.count(spell(left)) != 0 && known_.count(spell(right)) != 0, "a merge joins tokens that exist");
    made_.merges.push_back(spell(left) + " " + spell(right));
    add_token(spell(left) + spell(right), normal_token);
  }

  tiny_vocabulary take() { return std::move(made_); }

 private:
  std::string spell(std::string_view text) const {
    std::string spelled;
    for (const char c : text)
      spelled += spelling_[c == '_' ? ' ' : static_cast<unsigned char>(c)];
    return spelled;
  }

  void add_token(const std::string& text, std::int32_t type) {
    known_.insert(text);
    made_.tokens.push_back(text);
    made_.token_types.push_back(type);
  }

  std::uint32_t size_;
  std::array<std::string, 256> spelling_ = spell_bytes();
  std::set<std::string> known_;
  tiny_vocabulary made_;
};

}  // namespace

tiny_vocabulary make_tiny_vocabulary(std::uint32_t size) {
  builder vocabulary(size);
  for (const std::string_view merge : english_merges) {
    const std::size_t gap = merge.find(' ');
    vocabulary.add_merge(merge.substr(0, gap), merge.substr(gap + 1));
  }
  constexpr std::string_view letters = "etaoinshrdlcumwfgypbvkjxqz";
  for (std::size_t i = 0; i < letters.size(); ++i)
    for (std::size_t j = 0; j < letters.size(); ++j)
      vocabulary.add_merge(letters.substr(i, 1), letters.substr(j, 1));
  tiny_vocabulary made = vocabulary.take();
  TROUPE_ASSERT(made.tokens.size() == size, "the vocabulary has as many tokens as were asked for");
  return made;
}

}  // namespace troupe::gguf
