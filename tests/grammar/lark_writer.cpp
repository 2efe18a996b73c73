#include "grammar/lark_writer.hpp"

#include "base/assert.hpp"
#include "base/utf8.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace troupe::test {
namespace {

using namespace grammar;

std::string code_point(std::uint32_t c) {
  char text[16];
  std::snprintf(text, sizeof text, "\\x{%X}", c);
  return text;
}

class lark_writer {
 public:
  explicit lark_writer(const rule_set& rules) : rules_(rules), recursive_(rules.n_rules()) {
    for (rule_id id = 0; id < rules.n_rules(); ++id) {
      std::vector<bool> seen(rules.n_rules());
      recursive_[id] = rules.rule_at(id).body != nothing && reaches(rules.rule_at(id).body, id, seen);
    }
  }

  std::string write() {
    const std::string root = rule(rules_.root);
    return "start: " + root + "\n" + definitions_;
  }

 private:
  bool reaches(expression_id id, rule_id target, std::vector<bool>& seen) const {
    const expression& e = rules_.at(id);
    if (e.kind == expression_kind::call) {
      if (e.rule == target) return true;
      if (seen[e.rule]) return false;
      seen[e.rule] = true;
      return reaches(rules_.rule_at(e.rule).body, target, seen);
    }
    for (const auto child : e.children)
      if (reaches(child, target, seen)) return true;
    return e.separator != nothing && reaches(e.separator, target, seen);
  }

  /// Some way through the expression comes to a rule that may come to itself again.
  bool is_recursive(expression_id id) {
    if (const auto found = known_.find(id); found != known_.end()) return found->second;
    const expression& e = rules_.at(id);
    bool is = e.separator != nothing && is_recursive(e.separator);
    if (e.kind == expression_kind::call) is = recursive_[e.rule] || is_recursive(rules_.rule_at(e.rule).body);
    for (const auto child : e.children)
      is = is_recursive(child) || is;
    return known_[id] = is;
  }

  std::string define(bool recursive, const std::string& body) {
    const std::string name = (recursive ? "r" : "T") + std::to_string(++n_names_);
    definitions_ += name + ": " + body + "\n";
    return name;
  }

  std::string rule(rule_id id) {
    if (const auto found = rule_names_.find(id); found != rule_names_.end()) return found->second;
    const expression_id body = rules_.rule_at(id).body;
    TROUPE_ASSERT(body != nothing, "only complete rules are written out");
    if (!is_recursive(body)) return rule_names_[id] = define(false, expression_text(body));
    const std::string name = rule_names_[id] = "r" + std::to_string(++n_names_);
    definitions_ += name + ": " + expression_text(body) + "\n";
    return name;
  }

  /// Something that stands as an item of a sequence.
  std::string item(expression_id id) {
    constexpr int deepest = 10;  // llguidance reads only so many brackets within one another
    const int outer = std::exchange(depth_, depth_ == deepest ? 0 : depth_ + 1);
    const std::string text = expression_text(id);
    depth_ = outer;
    return outer == deepest ? define(is_recursive(id), text) : "(" + text + ")";
  }

  std::string sequence_text(const expression& e) {
    std::string text, terminal;
    const bool recursive = std::ranges::any_of(e.children, [&](auto child) { return is_recursive(child); });
    const auto flush = [&] {
      if (!terminal.empty()) text += " " + define(false, terminal);
      terminal.clear();
    };
    for (const auto child : e.children) {
      if (!recursive || is_recursive(child) || is_nullable(child)) {
        flush();
        text += " " + item(child);
      } else {
        terminal += " " + item(child);
      }
    }
    flush();
    return text.empty() ? "\"\"" : text.substr(1);
  }

  bool is_nullable(expression_id id) const {
    const expression& e = rules_.at(id);
    switch (e.kind) {
      case expression_kind::literal:
        return e.bytes.empty();
      case expression_kind::character:
        return false;
      case expression_kind::choice:
        return std::ranges::any_of(e.children, [&](auto child) { return is_nullable(child); });
      case expression_kind::repeat:
        return e.min == 0 || is_nullable(e.children[0]);
      case expression_kind::call:
        return is_nullable(rules_.rule_at(e.rule).body);
      case expression_kind::sequence:
        return std::ranges::all_of(e.children, [&](auto child) { return is_nullable(child); });
      case expression_kind::joined:
        return true;
    }
    return false;
  }

  /// Not even the empty text matches. Rules that never end are not looked for: compiled grammars have none.
  bool is_empty(expression_id id) const {
    const expression& e = rules_.at(id);
    const auto empty = [&](auto child) { return is_empty(child); };
    switch (e.kind) {
      case expression_kind::choice:
        return std::ranges::all_of(e.children, empty);
      case expression_kind::repeat:
        return e.min > 0 && is_empty(e.children[0]);
      case expression_kind::sequence:
        return std::ranges::any_of(e.children, empty);
      default:
        return false;
    }
  }

  std::string expression_text(expression_id id) {
    const expression& e = rules_.at(id);
    switch (e.kind) {
      case expression_kind::literal:
        return literal_text(e.bytes);
      case expression_kind::character:
        return class_text(e.set);
      case expression_kind::sequence:
        return sequence_text(e);
      case expression_kind::choice: {
        std::string text;
        for (const auto child : e.children)
          if (!is_empty(child)) text += (text.empty() ? "" : " | ") + item(child);
        TROUPE_ASSERT(!text.empty(), "what matches nothing is left out by those around it");
        return text;
      }
      case expression_kind::repeat: {
        if (e.max == 0 || is_empty(e.children[0])) return "\"\"";
        const std::string most = e.max == unbounded ? "" : std::to_string(e.max);
        if (e.max == unbounded && e.min <= 1) return item(e.children[0]) + (e.min == 0 ? "*" : "+");
        return item(e.children[0]) + "{" + std::to_string(e.min) + "," + most + "}";
      }
      case expression_kind::call:
        return rule(e.rule);
      case expression_kind::joined:
        return joined_text(id, 0, false);
    }
    return {};
  }

  /// The children from this one on; is_some: one has appeared, so the next wants a separator.
  std::string joined_text(expression_id id, std::size_t child, bool is_some) {
    const expression& e = rules_.at(id);
    if (child == e.children.size()) return "\"\"";
    const auto key = std::tuple(id, child, is_some);
    if (const auto found = joined_names_.find(key); found != joined_names_.end()) return found->second;
    const std::string separator = is_some ? item(e.separator) + " " : "";
    std::string text = separator + item(e.children[child]);
    if (child + 1 < e.children.size()) text += " " + joined_text(id, child + 1, true);
    if (e.optional[child])
      text = "(" + text + ") | " + (e.omits == omission::stop ? "\"\"" : joined_text(id, child + 1, is_some));
    return joined_names_[key] = define(is_recursive(id), text);
  }

  static std::string literal_text(std::string_view bytes) {
    if (bytes.empty()) return "\"\"";
    std::string text = "/";
    for (std::size_t at = 0; at < bytes.size();) {
      const auto c = decode_utf8(bytes.substr(at));
      TROUPE_ASSERT(c.valid, "literals are whole characters");
      text += code_point(static_cast<std::uint32_t>(c.code_point));
      at += c.length;
    }
    return text + "/";
  }

  static std::string class_text(const code_set& set) {
    std::string text = "/[";
    for (const auto& range : set)
      text += code_point(range.first) + "-" + code_point(range.last);
    return text + "]/";
  }

  const rule_set& rules_;
  std::vector<bool> recursive_;
  std::map<expression_id, bool> known_;
  std::map<rule_id, std::string> rule_names_;
  std::map<std::tuple<expression_id, std::size_t, bool>, std::string> joined_names_;
  std::string definitions_;
  int depth_ = 0;
  int n_names_ = 0;
};

}  // namespace

std::string lark_of(const rule_set& rules) {
  return lark_writer(rules).write();
}

}  // namespace troupe::test
