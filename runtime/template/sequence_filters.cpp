// Filters that give items or sequences of items.
#include "runtime/template/filters.hpp"
#include "runtime/template/operators.hpp"
#include "runtime/template/parameters.hpp"
#include "runtime/template/strings.hpp"

#include <algorithm>

namespace troupe::jinja {

namespace {

value first(const value& input, arguments& args, budget& limits) {
  parameters("first", args).done();
  const value_list items = iterate(input, limits);
  return items.empty() ? value::undefined("there is no first item: the sequence is empty") : items.front();
}

value last(const value& input, arguments& args, budget& limits) {
  parameters("last", args).done();
  if (input.is(kind::iterator)) fail("last wants a list: put '| list' before it");
  const value_list items = iterate(input, limits);
  return items.empty() ? value::undefined("there is no last item: the sequence is empty") : items.back();
}

value list(const value& input, arguments& args, budget& limits) {
  parameters("list", args).done();
  return value::list(iterate(input, limits), limits);
}

value items(const value& input, arguments& args, budget& limits) {
  parameters("items", args).done();
  value_list pairs;
  if (!input.is_undefined()) {
    if (!input.is(kind::dict)) fail("items wants a dict, not " + input.described());
    for (const auto& [key, item] : input.entries())
      pairs.push_back(value::list({key, item}, limits, kind::tuple));
  }
  return value::iterator(std::move(pairs), limits);
}

value reverse(const value& input, arguments& args, budget& limits) {
  parameters("reverse", args).done();
  value_list reversed = iterate(input, limits);
  std::reverse(reversed.begin(), reversed.end());
  if (!input.is_string()) return value::iterator(std::move(reversed), limits);
  std::string text;
  for (const value& character : reversed)
    text += character.text();
  return value::string(std::move(text), limits);
}

/// The test of select and its like: the value's own truth, or a test by name with the arguments that are left.
class item_test {
 public:
  item_test(std::string_view filter, arguments& args) {
    if (args.positional.empty()) return;
    const value name = args.positional.front();
    if (!name.is_string()) fail(std::string(filter) + " wants the name of a test");
    test_ = find_test(name.text());
    if (test_ == nullptr) fail_unsupported("there is no test '" + name.text() + "'");
    rest_ = {{args.positional.begin() + 1, args.positional.end()}, args.named};
  }
  bool accepts(const value& item, budget& limits) const {
    limits.step();
    if (test_ == nullptr) return item.truth();
    arguments args = rest_;
    return test_(item, args, limits);
  }

 private:
  test_function test_ = nullptr;
  arguments rest_;
};

template <bool Keep>
value select(const value& input, arguments& args, budget& limits) {
  const item_test test("select", args);
  value_list kept;
  for (const value& item : iterate(input, limits)) {
    if (test.accepts(item, limits) == Keep) kept.push_back(item);
  }
  return value::iterator(std::move(kept), limits);
}

template <bool Keep>
value select_attribute(const value& input, arguments& args, budget& limits) {
  if (args.positional.empty()) fail("selectattr and rejectattr want the name of an attribute");
  const value path = args.positional.front();
  args.positional.erase(args.positional.begin());
  const item_test test("selectattr", args);
  value_list kept;
  for (const value& item : iterate(input, limits)) {
    if (test.accepts(attribute_path(item, path, limits), limits) == Keep) kept.push_back(item);
  }
  return value::iterator(std::move(kept), limits);
}

value map(const value& input, arguments& args, budget& limits) {
  value_list mapped;
  if (args.positional.empty()) {
    const auto named =
        std::find_if(args.named.begin(), args.named.end(), [](const auto& a) { return a.first == "attribute"; });
    if (named == args.named.end()) fail("map wants the name of a filter, or attribute=");
    const value path = named->second;
    args.named.erase(named);
    const auto fallback =
        std::find_if(args.named.begin(), args.named.end(), [](const auto& a) { return a.first == "default"; });
    const value* otherwise =
        fallback == args.named.end() || fallback->second.is(kind::none) ? nullptr : &fallback->second;
    for (const value& item : iterate(input, limits))
      mapped.push_back(attribute_path(item, path, limits, otherwise));
    return value::iterator(std::move(mapped), limits);
  }
  const value name = args.positional.front();
  const filter_function filter = name.is_string() ? find_filter(name.text()) : nullptr;
  if (filter == nullptr) fail_unsupported("map is given the name of a filter that does not exist");
  args.positional.erase(args.positional.begin());
  const budget::level level(limits);  // map('map', 'map', …)
  for (const value& item : iterate(input, limits)) {
    limits.step();
    arguments each = args;
    mapped.push_back(filter(item, each, limits));
  }
  return value::iterator(std::move(mapped), limits);
}

/// What sort and its like compare: an attribute of the item where one is named, without regard to case unless told.
class sort_key {
 public:
  sort_key(std::optional<value> path, bool case_sensitive) : path_(std::move(path)), case_sensitive_(case_sensitive) {}

  /// A list with one key for each of the attributes "a,b".
  value_list operator()(const value& item, budget& limits) const {
    if (!path_ || path_->is(kind::none)) return {folded(item, limits)};
    if (!path_->is_string()) return {folded(attribute_path(item, *path_, limits), limits)};
    value_list keys;
    for (const std::string_view path : split(path_->text(), ",", -1)) {
      keys.push_back(folded(attribute_path(item, value::string(std::string(path), limits), limits), limits));
    }
    return keys;
  }

 private:
  value folded(const value& key, budget& limits) const {
    return !case_sensitive_ && key.is_string() ? value::string(lower(key.text()), limits) : key;
  }

  std::optional<value> path_;
  bool case_sensitive_;
};

bool keys_less(const value_list& left, const value_list& right, budget& limits) {
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (!equal(left[i], right[i], limits)) return less(left[i], right[i], limits);
  }
  return false;
}

value_list sorted(const value_list& items, const sort_key& key, bool descending, budget& limits) {
  std::vector<std::pair<value_list, const value*>> keyed;
  for (const value& item : items)
    keyed.emplace_back(key(item, limits), &item);
  // Python sorts stably downwards too: equal items keep their order.
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return descending ? keys_less(b.first, a.first, limits) : keys_less(a.first, b.first, limits);
  });
  value_list in_order;
  for (const auto& [unused, item] : keyed)
    in_order.push_back(*item);
  return in_order;
}

value sort(const value& input, arguments& args, budget& limits) {
  parameters p("sort", args);
  const bool descending = p.truth_or("reverse", false);
  const bool case_sensitive = p.truth_or("case_sensitive", false);
  const sort_key key(p.optional("attribute"), case_sensitive);
  p.done();
  return value::list(sorted(iterate(input, limits), key, descending, limits), limits);
}

value unique(const value& input, arguments& args, budget& limits) {
  parameters p("unique", args);
  const bool case_sensitive = p.truth_or("case_sensitive", false);
  const sort_key key(p.optional("attribute"), case_sensitive);
  p.done();
  std::vector<value_list> seen;
  value_list kept;
  for (const value& item : iterate(input, limits)) {
    value_list mine = key(item, limits);
    const bool known = std::any_of(seen.begin(), seen.end(), [&](const value_list& other) {
      return std::equal(mine.begin(), mine.end(), other.begin(), other.end(),
                        [&](const value& a, const value& b) { return equal(a, b, limits); });
    });
    if (known) continue;
    kept.push_back(item);
    seen.push_back(std::move(mine));
  }
  return value::iterator(std::move(kept), limits);
}

value dict_sort(const value& input, arguments& args, budget& limits) {
  parameters p("dictsort", args);
  const bool case_sensitive = p.truth_or("case_sensitive", false);
  const std::string by = p.optional_text("by").value_or("key");
  const bool descending = p.truth_or("reverse", false);
  p.done();
  input.require_defined();
  if (!input.is(kind::dict)) fail("dictsort wants a dict, not " + input.described());
  if (by != "key" && by != "value") fail("dictsort sorts by 'key' or by 'value', not by '" + by + "'");
  value_list pairs;
  for (const auto& [key, item] : input.entries())
    pairs.push_back(value::list({key, item}, limits, kind::tuple));
  const sort_key key(value::integer(by == "key" ? 0 : 1), case_sensitive);
  return value::list(sorted(pairs, key, descending, limits), limits);
}

template <bool Smallest>
value extreme(const value& input, arguments& args, budget& limits) {
  parameters p(Smallest ? "min" : "max", args);
  const bool case_sensitive = p.truth_or("case_sensitive", false);
  const sort_key key(p.optional("attribute"), case_sensitive);
  p.done();
  const value_list candidates = iterate(input, limits);
  if (candidates.empty()) return value::undefined("there is no item: the sequence is empty");
  const value* best = &candidates.front();
  value_list best_key = key(*best, limits);
  for (const value& item : candidates) {
    value_list mine = key(item, limits);
    if (Smallest ? keys_less(mine, best_key, limits) : keys_less(best_key, mine, limits)) {
      best = &item;
      best_key = std::move(mine);
    }
  }
  return *best;
}

}  // namespace

value attribute_path(const value& object, const value& path, budget& limits, const value* otherwise) {
  const auto part_of = [&](const value& holder, const value& key) {
    value part = subscript(holder, key, limits);
    return part.is_undefined() && otherwise != nullptr ? *otherwise : part;
  };
  if (!path.is_string()) return part_of(object, path);
  value at = object;
  for (const std::string_view part : split(path.text(), ".", -1)) {
    const bool is_position =
        !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == std::string_view::npos;
    at = part_of(
        at, is_position ? value::integer(std::stoll(std::string(part))) : value::string(std::string(part), limits));
  }
  return at;
}

filter_function find_sequence_filter(std::string_view name) {
  if (name == "first") return first;
  if (name == "last") return last;
  if (name == "list") return list;
  if (name == "items") return items;
  if (name == "reverse") return reverse;
  if (name == "select") return select<true>;
  if (name == "reject") return select<false>;
  if (name == "selectattr") return select_attribute<true>;
  if (name == "rejectattr") return select_attribute<false>;
  if (name == "map") return map;
  if (name == "sort") return sort;
  if (name == "unique") return unique;
  if (name == "dictsort") return dict_sort;
  if (name == "min") return extreme<true>;
  if (name == "max") return extreme<false>;
  return nullptr;
}

filter_function find_filter(std::string_view name) {
  if (const auto filter = find_text_filter(name)) return filter;
  if (const auto filter = find_number_filter(name)) return filter;
  return find_sequence_filter(name);
}

}  // namespace troupe::jinja
