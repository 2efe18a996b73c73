// How tests read texts by a grammar, and what they know of the language without the automaton.
#pragma once

#include "base/assert.hpp"
#include "base/random.hpp"
#include "base/utf8.hpp"
#include "runtime/grammar/automaton.hpp"
#include "runtime/grammar/compiled_grammar.hpp"
#include "runtime/grammar/expression.hpp"
#include "runtime/grammar/grammar_matcher.hpp"
#include "runtime/grammar/stack_machine.hpp"
#include "runtime/grammar/token_set.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::test {

/// One reader of bytes without tokens: every state is its own class.
class byte_reader {
 public:
  explicit byte_reader(const grammar::automaton& a) : keys_(a.n_states()), machine_(a, numbered(keys_)) {}
  byte_reader(const byte_reader&) = delete;
  byte_reader& operator=(const byte_reader&) = delete;

  bool read(std::string_view text) {
    for (const char c : text)
      if (!machine_.push(static_cast<std::uint8_t>(c))) return false;
    return true;
  }
  grammar::stack_machine& machine() { return machine_; }

 private:
  static std::span<const std::uint32_t> numbered(std::vector<std::uint32_t>& keys) {
    std::iota(keys.begin(), keys.end(), 0);
    return keys;
  }

  std::vector<std::uint32_t> keys_;
  grammar::stack_machine machine_;
};

inline bool accepts(const grammar::automaton& a, std::string_view text) {
  byte_reader reader(a);
  return reader.read(text) && reader.machine().may_end();
}

inline bool begins(const grammar::automaton& a, std::string_view text) {
  return byte_reader(a).read(text);
}

/// The shortest text that completes what was read, by the machine's own distances; nothing when they lead astray.
inline std::optional<std::string> shortest_end(grammar::stack_machine& machine) {
  std::string text;
  const std::size_t base = machine.n_levels();
  while (!machine.may_end() && text.size() < 1000) {
    const std::uint32_t left = machine.distance();
    int byte = 0;
    for (; byte < 256; ++byte) {
      if (!machine.push(static_cast<std::uint8_t>(byte))) continue;
      if (machine.distance() + 1 == left) break;
      machine.pop();
    }
    if (byte == 256) return std::nullopt;
    text += static_cast<char>(byte);
  }
  while (machine.n_levels() > base)
    machine.pop();
  return text;
}

/// Recognises a text by trying everything: where an expression that begins at a place may end. Slow, and simple enough
/// to believe.
class naive_recogniser {
 public:
  naive_recogniser(const grammar::rule_set& rules, std::string_view text) : rules_(rules), text_(text) {}
  bool matches() { return ends(rules_.rule_at(rules_.root).body, 0).contains(text_.size()); }

 private:
  using places = std::set<std::size_t>;

  places ends(grammar::expression_id id, std::size_t start) {
    if (const auto found = known_.find({id, start}); found != known_.end()) return found->second;
    const places made = find_ends(rules_.at(id), start);
    known_[{id, start}] = made;
    return made;
  }

  places ends_of_all(grammar::expression_id id, const places& starts) {
    places made;
    for (const std::size_t start : starts)
      made.merge(ends(id, start));
    return made;
  }

  places find_ends(const grammar::expression& e, std::size_t start) {
    using grammar::expression_kind;
    switch (e.kind) {
      case expression_kind::literal:
        return text_.substr(start).starts_with(e.bytes) ? places{start + e.bytes.size()} : places{};
      case expression_kind::character: {
        if (start >= text_.size()) return {};
        const auto c = decode_utf8(text_.substr(start));
        return c.valid && contains(e.set, static_cast<std::uint32_t>(c.code_point)) ? places{start + c.length}
                                                                                    : places{};
      }
      case expression_kind::sequence: {
        places made{start};
        for (const auto child : e.children)
          made = ends_of_all(child, made);
        return made;
      }
      case expression_kind::choice: {
        places made;
        for (const auto child : e.children)
          made.merge(ends(child, start));
        return made;
      }
      case expression_kind::call:
        return ends(rules_.rule_at(e.rule).body, start);
      case expression_kind::repeat:
        return ends_of_repeat(e, start);
      case expression_kind::joined:
        return ends_of_joined(e, start, 0, false);
    }
    return {};
  }

  places ends_of_repeat(const grammar::expression& e, std::size_t start) {
    places made, at{start};
    const std::size_t most = e.max == grammar::unbounded ? e.min + text_.size() + 1 : e.max;
    for (std::size_t i = 0; i <= most && !at.empty(); ++i) {
      if (i >= e.min) made.insert(at.begin(), at.end());
      if (i == most) break;
      at = ends_of_all(e.children[0], at);
    }
    return made;
  }

  places ends_of_joined(const grammar::expression& e, std::size_t start, std::size_t child, bool some) {
    if (child == e.children.size()) return {start};
    places made;
    if (e.optional[child])
      made = e.omits == grammar::omission::stop ? places{start} : ends_of_joined(e, start, child + 1, some);
    const places from = some ? ends(e.separator, start) : places{start};
    for (const std::size_t end : ends_of_all(e.children[child], from))
      made.merge(ends_of_joined(e, end, child + 1, true));
    return made;
  }

  const grammar::rule_set& rules_;
  std::string_view text_;
  std::map<std::pair<grammar::expression_id, std::size_t>, places> known_;
};

/// Tokens of a made-up vocabulary: id 0 ends the text, id 1 is a control token with the bytes of its name.
inline std::shared_ptr<const token_set> make_tokens(const std::vector<std::string>& texts) {
  std::vector<std::string_view> views{"<end>", "<control>"};
  views.insert(views.end(), texts.begin(), texts.end());
  const std::vector<token_id> ends{0};
  auto made = token_set::build(views, ends, [](token_id id) { return id == 1; });
  TROUPE_ASSERT(made, "the vocabulary is well-formed");
  return *made;
}

/// The mask by definition: each token's bytes tried on a copy.
inline std::vector<bool> brute_force_mask(const grammar::stack_machine& machine, const token_set& tokens) {
  std::vector<bool> allowed(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<token_id>(i);
    if (tokens.is_end(id)) allowed[i] = machine.may_end();
    if (!tokens.is_text(id)) continue;
    grammar::stack_machine trial = machine;
    allowed[i] = true;
    for (const char c : tokens.bytes(id))
      allowed[i] = allowed[i] && trial.push(static_cast<std::uint8_t>(c));
  }
  return allowed;
}

inline std::vector<bool> mask_of(const grammar_state& state, const token_set& tokens) {
  std::vector<std::uint64_t> bits(tokens.mask_words(), ~std::uint64_t{0});
  TROUPE_ASSERT(state.mask(bits), "the work of a mask is bounded");
  std::vector<bool> allowed(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i)
    allowed[i] = grammar::has_bit(bits, static_cast<token_id>(i));
  return allowed;
}

}  // namespace troupe::test
