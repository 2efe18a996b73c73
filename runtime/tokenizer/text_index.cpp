#include "runtime/tokenizer/text_index.hpp"

#include "base/assert.hpp"
#include "runtime/tokenizer/seeded_mix.hpp"

#include <bit>
#include <cstring>
#include <limits>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace troupe {
namespace {

constexpr std::size_t short_bytes = 8;

// One to eight bytes as a number. Texts of one length give different numbers; the halves may overlap.
std::uint64_t short_text(std::string_view text) {
  if (text.size() >= 4) {
    std::uint32_t head;
    std::uint32_t tail;
    std::memcpy(&head, text.data(), 4);
    std::memcpy(&tail, text.data() + text.size() - 4, 4);
    return std::uint64_t{tail} << 32 | head;
  }
  const auto byte = [&](std::size_t i) { return std::uint64_t{static_cast<std::uint8_t>(text[i])}; };
  return byte(0) << 16 | byte(text.size() / 2) << 8 | byte(text.size() - 1);
}

}  // namespace

text_index::text_index(std::size_t capacity)
    : slots_(std::bit_ceil(2 * capacity + 2)), long_texts_(slots_.size()), seed_(random_seed()) {}

std::uint64_t text_index::key_of(std::string_view text) const {
  return text.size() <= short_bytes ? short_text(text) : XXH3_64bits_withSeed(text.data(), text.size(), seed_);
}

std::size_t text_index::slot_of(std::string_view text, std::uint64_t key) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = seeded_mix(key + text.size(), seed_) & mask;; at = (at + 1) & mask) {
    const slot& s = slots_[at];
    if (s.length == 0) return at;
    if (s.key != key || s.length != text.size()) continue;
    if (text.size() <= short_bytes || std::memcmp(long_texts_[at], text.data(), text.size()) == 0) return at;
  }
}

bool text_index::insert(std::string_view text, token_id id) {
  TROUPE_ASSERT(!text.empty() && text.size() <= std::numeric_limits<std::uint32_t>::max(), "not a token's text");
  const std::uint64_t key = key_of(text);
  const std::size_t at = slot_of(text, key);
  if (slots_[at].length != 0) return false;
  TROUPE_ASSERT(2 * (size_ + 1) < slots_.size(), "more texts than the index was made for");
  slots_[at] = {key, static_cast<std::uint32_t>(text.size()), id};
  if (text.size() > short_bytes) long_texts_[at] = text.data();
  ++size_;
  return true;
}

std::optional<token_id> text_index::find(std::string_view text) const {
  if (text.empty()) return std::nullopt;
  const slot& s = slots_[slot_of(text, key_of(text))];
  if (s.length == 0) return std::nullopt;
  return s.id;
}

}  // namespace troupe
