// Thompson's construction: the expressions of rules as states with byte ranges, calls and empty moves between them.
#pragma once

#include "runtime/grammar/expression.hpp"

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace troupe::grammar {

struct nfa {
  enum class arc_kind : std::uint8_t { empty, bytes, call };
  struct arc {
    arc_kind kind;
    std::uint8_t first;  // bytes
    std::uint8_t last;
    std::uint32_t rule;  // call
    std::uint32_t target;
    std::uint32_t next;  // the next arc of the same state, or `nothing`
  };
  struct fragment {
    std::uint32_t entry;
    std::uint32_t exit;
  };

  std::vector<arc> arcs;
  std::vector<std::uint32_t> first_arc;  // (states)
};

class nfa_builder {
 public:
  explicit nfa_builder(const rule_set& rules);

  /// Rules called by what is built are appended to `called` once each.
  nfa::fragment build_rule(rule_id id);
  const nfa& built() const { return nfa_; }
  const std::vector<rule_id>& called() const { return called_; }
  bool root_is_nullable() const { return nullable_[rules_.root]; }

 private:
  std::uint32_t add_state();
  void add_arc(std::uint32_t from, nfa::arc arc);
  void add_empty(std::uint32_t from, std::uint32_t to);
  void add_bytes(std::uint32_t from, byte_sequence::range range, std::uint32_t to);

  // Each gives the state where the expression has been read, beginning at `from`. It adds no way back to `from`.
  std::uint32_t build(expression_id id, std::uint32_t from);
  std::uint32_t build_literal(const expression& e, std::uint32_t from);
  std::uint32_t build_character(const expression& e, std::uint32_t from);
  std::uint32_t build_choice(const expression& e, std::uint32_t from);
  std::uint32_t build_repeat(const expression& e, std::uint32_t from);
  std::uint32_t build_call(const expression& e, std::uint32_t from);
  std::uint32_t build_joined(const expression& e, std::uint32_t from);

  const rule_set& rules_;
  std::vector<bool> nullable_;
  std::vector<bool> inlined_;
  std::vector<bool> is_called_;
  std::vector<rule_id> called_;
  int inline_depth_ = 0;
  std::size_t n_built_ = 0;
  nfa nfa_;
};

}  // namespace troupe::grammar
