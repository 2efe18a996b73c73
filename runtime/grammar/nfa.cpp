#include "runtime/grammar/nfa.hpp"

#include "runtime/grammar/failure.hpp"
#include "runtime/grammar/limits.hpp"
#include "runtime/grammar/rule_analysis.hpp"

#include <map>
#include <utility>

namespace troupe::grammar {

nfa_builder::nfa_builder(const rule_set& rules)
    : rules_(rules), nullable_(find_nullable(rules)), inlined_(choose_inlined(rules)), is_called_(rules.n_rules()) {}

nfa::fragment nfa_builder::build_rule(rule_id id) {
  const std::uint32_t entry = add_state();
  return {entry, build(rules_.rule_at(id).body, entry)};
}

std::uint32_t nfa_builder::add_state() {
  if (nfa_.first_arc.size() >= max_nfa_states)
    fail_too_large("the grammar is too large: written out, it has more than " + std::to_string(max_nfa_states) +
                   " states");
  nfa_.first_arc.push_back(nothing);
  return static_cast<std::uint32_t>(nfa_.first_arc.size() - 1);
}

void nfa_builder::add_arc(std::uint32_t from, nfa::arc arc) {
  arc.next = nfa_.first_arc[from];
  nfa_.first_arc[from] = static_cast<std::uint32_t>(nfa_.arcs.size());
  nfa_.arcs.push_back(arc);
}

void nfa_builder::add_empty(std::uint32_t from, std::uint32_t to) {
  add_arc(from, {nfa::arc_kind::empty, 0, 0, 0, to, nothing});
}

void nfa_builder::add_bytes(std::uint32_t from, byte_sequence::range range, std::uint32_t to) {
  add_arc(from, {nfa::arc_kind::bytes, range.first, range.last, 0, to, nothing});
}

std::uint32_t nfa_builder::build(expression_id id, std::uint32_t from) {
  // Repetitions of nothing make no states, so the work itself is counted.
  if (++n_built_ > 8 * max_nfa_states) fail_too_large("the grammar is too large: its repetitions write out too much");
  const expression& e = rules_.at(id);
  switch (e.kind) {
    case expression_kind::literal:
      return build_literal(e, from);
    case expression_kind::character:
      return build_character(e, from);
    case expression_kind::sequence:
      for (const expression_id child : e.children)
        from = build(child, from);
      return from;
    case expression_kind::choice:
      return build_choice(e, from);
    case expression_kind::repeat:
      return build_repeat(e, from);
    case expression_kind::call:
      return build_call(e, from);
    case expression_kind::joined:
      return build_joined(e, from);
  }
  return from;
}

std::uint32_t nfa_builder::build_literal(const expression& e, std::uint32_t from) {
  for (const char c : e.bytes) {
    const auto byte = static_cast<std::uint8_t>(c);
    const std::uint32_t to = add_state();
    add_bytes(from, {byte, byte}, to);
    from = to;
  }
  return from;
}

std::uint32_t nfa_builder::build_character(const expression& e, std::uint32_t from) {
  const std::uint32_t exit = add_state();
  // Sequences with the same end share it: most are continuation bytes over their whole range.
  std::map<std::vector<std::uint8_t>, std::uint32_t> ends;
  for (const byte_sequence& sequence : utf8_sequences(e.set)) {
    std::uint32_t to = exit;
    std::vector<std::uint8_t> end;
    for (std::size_t i = sequence.length; i-- > 1;) {
      end.push_back(sequence.bytes[i].first);
      end.push_back(sequence.bytes[i].last);
      const auto [found, is_new] = ends.try_emplace(end, nothing);
      if (is_new) {
        found->second = add_state();
        add_bytes(found->second, sequence.bytes[i], to);
      }
      to = found->second;
    }
    add_bytes(from, sequence.bytes[0], to);
  }
  return exit;
}

std::uint32_t nfa_builder::build_choice(const expression& e, std::uint32_t from) {
  const std::uint32_t exit = add_state();
  for (const expression_id child : e.children)
    add_empty(build(child, from), exit);
  return exit;
}

std::uint32_t nfa_builder::build_repeat(const expression& e, std::uint32_t from) {
  const expression_id child = e.children[0];
  const std::uint32_t exit = add_state();
  if (e.max == unbounded) {
    for (std::uint32_t i = 1; i < e.min; ++i)
      from = build(child, from);
    const std::uint32_t loop = add_state();
    add_empty(from, loop);
    const std::uint32_t end = build(child, loop);
    add_empty(end, loop);
    add_empty(e.min == 0 ? loop : end, exit);
    return exit;
  }
  for (std::uint32_t i = 0; i < e.max; ++i) {
    if (i >= e.min) add_empty(from, exit);
    from = build(child, from);
  }
  add_empty(from, exit);
  return exit;
}

std::uint32_t nfa_builder::build_call(const expression& e, std::uint32_t from) {
  if (inlined_[e.rule] && inline_depth_ < max_inline_depth) {
    ++inline_depth_;
    const std::uint32_t exit = build(rules_.rule_at(e.rule).body, from);
    --inline_depth_;
    return exit;
  }
  if (!is_called_[e.rule]) {
    is_called_[e.rule] = true;
    called_.push_back(e.rule);
  }
  const std::uint32_t exit = add_state();
  add_arc(from, {nfa::arc_kind::call, 0, 0, e.rule, exit, nothing});
  if (nullable_[e.rule]) add_empty(from, exit);
  return exit;
}

// Two tracks of states, before each child: `bare` while none has appeared, `after` once one has. Both lead into the
// one copy of the child, `after` through a separator, so that n optional members cost n copies and not n squared.
std::uint32_t nfa_builder::build_joined(const expression& e, std::uint32_t from) {
  const std::uint32_t exit = add_state();
  std::uint32_t bare = from;
  std::uint32_t after = nothing;
  for (std::size_t i = 0; i < e.children.size(); ++i) {
    const std::uint32_t start = add_state();
    if (bare != nothing) add_empty(bare, start);
    if (after != nothing) add_empty(build(e.separator, after), start);
    const std::uint32_t end = add_state();
    add_empty(build(e.children[i], start), end);
    if (!e.optional[i]) {
      bare = nothing;
      after = end;
    } else if (e.omits == omission::stop) {
      if (bare != nothing) add_empty(bare, exit);
      if (after != nothing) add_empty(after, exit);
      bare = nothing;
      after = end;
    } else {
      if (after != nothing) add_empty(after, end);
      after = end;
      if (bare != nothing) {
        const std::uint32_t skipped = add_state();
        add_empty(bare, skipped);
        bare = skipped;
      }
    }
  }
  if (bare != nothing) add_empty(bare, exit);
  if (after != nothing) add_empty(after, exit);
  return exit;
}

}  // namespace troupe::grammar
