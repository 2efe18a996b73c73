#include "runtime/engine/grammar_constraint.hpp"

#include "base/assert.hpp"
#include "runtime/grammar/mask_builder.hpp"

#include <string_view>
#include <vector>

namespace troupe {
namespace {

/// Draws that are refused before only single bytes are left to draw from, of which one leads to the end.
constexpr int patience = 16;

void clear_bit(std::span<std::uint64_t> bits, token_id id) {
  bits[static_cast<std::size_t>(id) / 64] &= ~(std::uint64_t{1} << (static_cast<std::size_t>(id) % 64));
}

void keep_single_bytes(std::span<std::uint64_t> bits, const token_set& tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<token_id>(i);
    if (tokens.bytes(id).size() != 1 && !tokens.is_end(id)) clear_bit(bits, id);
  }
}

}  // namespace

result<token_id> grammar_constraint::draw(std::span<const token_id> guesses, std::uint32_t tokens_left,
                                          const draw_function& draw) const {
  const token_set& tokens = matcher_->tokens();
  grammar_state before = state_;
  for (const token_id guess : guesses)
    TROUPE_ASSERT(before.accept(guess), "a guess that the grammar refuses is not tried");
  std::vector<std::uint64_t> allowed(tokens.mask_words());
  if (const auto made = before.mask(allowed); !made) return made.error();
  const bool fits = before.bytes_to_end() <= tokens_left;
  for (int refused = 0;; ++refused) {
    if (refused == patience) keep_single_bytes(allowed, tokens);
    const token_id token = draw(allowed);
    if (!tokens.contains(token) || !grammar::has_bit(allowed, token))
      return make_error(errc::unsupported, "The grammar allows no token of this model's vocabulary here.", "grammar");
    grammar_state after = before;
    if (after.accept(token) && (!fits || after.bytes_to_end() < tokens_left)) return token;
    clear_bit(allowed, token);
  }
}

std::size_t grammar_constraint::count_allowed(std::span<const token_id> tokens) const {
  grammar_state state = state_;
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (!state.accept(tokens[i])) return i;
  return tokens.size();
}

}  // namespace troupe
