// Equality, order and the search in dicts.
#include "runtime/template/value.hpp"

#include <algorithm>

namespace troupe::jinja {

namespace {

// An int64 and a double compare exactly in long double where that has 64 bits of mantissa or more, as on x86-64 and
// aarch64.
long double exact(const value& v) {
  return v.is_integral() ? static_cast<long double>(v.as_integer()) : static_cast<long double>(v.as_real());
}

bool equal_dicts(const value& left, const value& right, budget& limits) {
  if (left.entries().size() != right.entries().size()) return false;
  return std::all_of(left.entries().begin(), left.entries().end(), [&](const auto& entry) {
    const value* other = find_key(right, entry.first, limits);
    return other != nullptr && equal(entry.second, *other, limits);
  });
}

}  // namespace

bool equal(const value& left, const value& right, budget& limits) {
  limits.step();
  if (left.is_number() && right.is_number()) return exact(left) == exact(right);
  if (left.kind() != right.kind()) return false;
  switch (left.kind()) {
    case kind::undefined:
    case kind::none:
      return true;
    case kind::string:
      limits.step(std::min(left.text().size(), right.text().size()) / 256);
      return left.text() == right.text();
    case kind::list:
    case kind::tuple:
    case kind::range:
      return std::equal(left.items().begin(), left.items().end(), right.items().begin(), right.items().end(),
                        [&](const value& a, const value& b) { return equal(a, b, limits); });
    case kind::dict:
      return equal_dicts(left, right, limits);
    default:
      return left.same_object(right);
  }
}

bool less(const value& left, const value& right, budget& limits) {
  limits.step();
  left.require_defined();
  right.require_defined();
  if (left.is_number() && right.is_number()) return exact(left) < exact(right);
  if (left.is_string() && right.is_string()) {
    limits.step(std::min(left.text().size(), right.text().size()) / 256);
    return left.text() < right.text();  // bytes of UTF-8 are in the order of code points
  }
  if (left.kind() == right.kind() && (left.is(kind::list) || left.is(kind::tuple))) {
    const value_list& a = left.items();
    const value_list& b = right.items();
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
      if (!equal(a[i], b[i], limits)) return less(a[i], b[i], limits);
    }
    return a.size() < b.size();
  }
  fail("there is no order between " + left.described() + " and " + right.described());
}

void require_hashable(const value& key) {
  key.require_defined();
  if (key.is(kind::list) || key.is(kind::dict)) fail(key.described() + " cannot be a key of a dict");
}

const value* find_key(const value& dict, const value& key, budget& limits) {
  if (key.is_string()) return find_key(dict, key.text(), limits);
  require_hashable(key);
  for (const auto& [name, item] : dict.entries()) {
    if (equal(name, key, limits)) return &item;
  }
  return nullptr;
}

const value* find_key(const value& dict, std::string_view key, budget& limits) {
  limits.step(dict.entries().size() / 16);
  for (const auto& [name, item] : dict.entries()) {
    if (name.is_string() && name.text() == key) return &item;
  }
  return nullptr;
}

}  // namespace troupe::jinja
