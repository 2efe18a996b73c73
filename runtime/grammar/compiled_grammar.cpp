#include "runtime/grammar/compiled_grammar.hpp"

#include "runtime/grammar/failure.hpp"
#include "runtime/grammar/gbnf_parser.hpp"
#include "runtime/grammar/json_schema.hpp"
#include "runtime/grammar/tool_calls.hpp"

#include <string>

namespace troupe {
namespace {

// The border of the room: failures become results.
template <class Read>
result<std::shared_ptr<const compiled_grammar>> compile(Read&& read) {
  try {
    return std::make_shared<const compiled_grammar>(grammar::build_automaton(read()));
  } catch (const grammar::failure& failed) {
    return make_error(failed.code, failed.message, failed.param);
  }
}

}  // namespace

std::size_t compiled_grammar::bytes() const {
  const auto& a = automaton_;
  return sizeof(*this) + a.table.size() * sizeof(grammar::state_id) + a.calls.size() * sizeof(a.calls[0]) +
         a.n_states() * (4 + 1 + 1 + 4 + 4) + a.rules.size() * sizeof(a.rules[0]);
}

result<std::shared_ptr<const compiled_grammar>> compile_gbnf(std::string_view source) {
  return compile([&] { return grammar::parse_gbnf(source); });
}

result<std::shared_ptr<const compiled_grammar>> compile_json_schema(std::string_view json_text) {
  return compile([&] { return grammar::parse_json_schema(json_text); });
}

result<std::shared_ptr<const compiled_grammar>> compile_json_object() {
  return compile([] { return grammar::any_json_object(); });
}

result<std::shared_ptr<const compiled_grammar>> compile_tool_calls(std::string_view json_text) {
  return compile([&] { return grammar::parse_tool_calls(json_text); });
}

result<std::shared_ptr<const compiled_grammar>> compile_rules(const grammar::rule_set& rules) {
  return compile([&]() -> const grammar::rule_set& { return rules; });
}

}  // namespace troupe
