// The tests of `x is name`.
#include "runtime/template/filters.hpp"
#include "runtime/template/operators.hpp"
#include "runtime/template/parameters.hpp"
#include "runtime/template/strings.hpp"
#include "runtime/template/value_text.hpp"

#include <algorithm>

namespace troupe::jinja {

namespace {

/// A test without arguments.
template <bool (*Holds)(const value&)>
bool plain(const value& input, arguments& args, budget&) {
  parameters("a test", args).done();
  return Holds(input);
}

/// A test with one argument.
template <bool (*Holds)(const value&, const value&, budget&)>
bool against(const value& input, arguments& args, budget& limits) {
  parameters p("a test that compares", args);
  const value other = p.required("other");
  p.done();
  return Holds(input, other, limits);
}

bool is_defined(const value& v) {
  return !v.is_undefined();
}
bool is_undefined(const value& v) {
  return v.is_undefined();
}
bool is_none(const value& v) {
  return v.is(kind::none);
}
bool is_string(const value& v) {
  return v.is_string();
}
bool is_number(const value& v) {
  return v.is_number();
}
bool is_integer(const value& v) {
  return v.is(kind::integer);
}
bool is_real(const value& v) {
  return v.is(kind::real);
}
bool is_boolean(const value& v) {
  return v.is(kind::boolean);
}
bool is_true(const value& v) {
  return v.is(kind::boolean) && v.truth();
}
bool is_false(const value& v) {
  return v.is(kind::boolean) && !v.truth();
}
bool is_mapping(const value& v) {
  return v.is(kind::dict);
}
bool is_callable(const value& v) {
  return v.is(kind::callable) || v.is(kind::loop) || v.is_undefined();
}
bool has_items(const value& v) {
  return v.is_undefined() || v.is_string() || v.is_sequence() || v.is(kind::dict);
}
bool is_iterable(const value& v) {
  return has_items(v) || v.is(kind::iterator) || v.is(kind::loop);
}

bool has_remainder(const value& v, std::int64_t divisor, std::int64_t remainder, budget& limits) {
  const value rest = apply(arithmetic::modulo, v, value::integer(divisor), limits);
  return equal(rest, value::integer(remainder), limits);
}
bool is_odd(const value& v, arguments& args, budget& limits) {
  parameters("odd", args).done();
  return has_remainder(v, 2, 1, limits);
}
bool is_even(const value& v, arguments& args, budget& limits) {
  parameters("even", args).done();
  return has_remainder(v, 2, 0, limits);
}
bool is_divisible(const value& v, const value& by, budget& limits) {
  return equal(apply(arithmetic::modulo, v, by, limits), value::integer(0), limits);
}
bool is_equal(const value& a, const value& b, budget& limits) {
  return equal(a, b, limits);
}
bool is_unequal(const value& a, const value& b, budget& limits) {
  return !equal(a, b, limits);
}
bool is_less(const value& a, const value& b, budget& limits) {
  return less(a, b, limits);
}
bool is_greater(const value& a, const value& b, budget& limits) {
  return less(b, a, limits);
}
bool is_at_most(const value& a, const value& b, budget& limits) {
  return less(a, b, limits) || equal(a, b, limits);
}
bool is_at_least(const value& a, const value& b, budget& limits) {
  return less(b, a, limits) || equal(a, b, limits);
}
bool is_in(const value& item, const value& container, budget& limits) {
  return contains(container, item, limits);
}
bool is_same(const value& a, const value& b, budget&) {
  return a.same_object(b) || (a.is_undefined() && b.is_undefined()) || (a.is(kind::none) && b.is(kind::none));
}

template <std::string (*Change)(std::string_view)>
bool is_in_case(const value& v, arguments& args, budget& limits) {
  parameters("upper and lower", args).done();
  const std::string text = to_str(v, limits);
  const bool has_letters = upper(text) != lower(text);
  return has_letters && Change(text) == text;
}

bool is_filter(const value& v, arguments& args, budget&) {
  parameters("filter", args).done();
  return v.is_string() && find_filter(v.text()) != nullptr;
}
bool is_test(const value& v, arguments& args, budget&) {
  parameters("test", args).done();
  return v.is_string() && find_test(v.text()) != nullptr;
}

struct named_test {
  std::string_view name;
  test_function test;
};
constexpr named_test tests[] = {{"defined", plain<is_defined>},
                                {"undefined", plain<is_undefined>},
                                {"none", plain<is_none>},
                                {"string", plain<is_string>},
                                {"number", plain<is_number>},
                                {"integer", plain<is_integer>},
                                {"float", plain<is_real>},
                                {"boolean", plain<is_boolean>},
                                {"true", plain<is_true>},
                                {"false", plain<is_false>},
                                {"mapping", plain<is_mapping>},
                                {"callable", plain<is_callable>},
                                {"sequence", plain<has_items>},
                                {"iterable", plain<is_iterable>},
                                {"odd", is_odd},
                                {"even", is_even},
                                {"divisibleby", against<is_divisible>},
                                {"eq", against<is_equal>},
                                {"equalto", against<is_equal>},
                                {"==", against<is_equal>},
                                {"ne", against<is_unequal>},
                                {"!=", against<is_unequal>},
                                {"lt", against<is_less>},
                                {"lessthan", against<is_less>},
                                {"<", against<is_less>},
                                {"gt", against<is_greater>},
                                {"greaterthan", against<is_greater>},
                                {">", against<is_greater>},
                                {"le", against<is_at_most>},
                                {"<=", against<is_at_most>},
                                {"ge", against<is_at_least>},
                                {">=", against<is_at_least>},
                                {"in", against<is_in>},
                                {"sameas", against<is_same>},
                                {"upper", is_in_case<upper>},
                                {"lower", is_in_case<lower>},
                                {"filter", is_filter},
                                {"test", is_test}};

}  // namespace

test_function find_test(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(tests), std::end(tests), [&](const named_test& each) { return each.name == name; });
  return found == std::end(tests) ? nullptr : found->test;
}

}  // namespace troupe::jinja
