// Every bound of this room. A grammar comes with a request, so it is hostile until these say otherwise; past a bound
// the answer is errc::too_large and a sentence, never a hang.
#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe::grammar {

inline constexpr std::size_t max_source_bytes = 256 << 10;   // a GBNF text or a JSON schema
inline constexpr int max_source_nesting = 64;                // groups, or objects and arrays, within one another
inline constexpr std::uint32_t max_repetition = 4096;        // the n and m of {n,m}, minLength, maxItems …
inline constexpr std::size_t max_rules = 4096;               // before inlining
inline constexpr std::size_t max_expressions = 1 << 17;      // nodes of the intermediate form
inline constexpr std::size_t max_nfa_states = 1 << 19;       // of all rules, before subsets
inline constexpr std::size_t max_states = 1 << 16;           // of all rules, after subsets
inline constexpr std::size_t max_table_entries = 4'000'000;  // states x byte classes: 16 MB
inline constexpr std::size_t max_subset_work = 40'000'000;   // members and moves of the subset construction
inline constexpr int max_inline_depth = 32;

inline constexpr std::uint32_t max_depth = 256;            // rules within one another while text is read
inline constexpr std::size_t max_configurations = 128;     // alive at once; more is an ambiguity nobody meant
inline constexpr std::size_t max_work_per_byte = 4096;     // calls, returns and comparisons
inline constexpr std::size_t mask_work_per_node = 256;     // a mask may take this many steps for each trie node
inline constexpr std::size_t max_token_bytes = 4096;       // longer tokens are never allowed
inline constexpr std::size_t max_class_work = 30'000'000;  // of the search for states that no token tells apart

}  // namespace troupe::grammar
