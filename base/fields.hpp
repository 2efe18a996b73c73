// Names the fields of a struct once, for everything that walks over them: CAF's inspectors, which ignore the names, and
// the wire format, which writes them (transport/wire).
//
//   struct cancel_request { request_id request; };
//   TROUPE_FIELDS(cancel_request, request)          // beside the struct, in its namespace
//
// defines inspect(f, x), which calls f(field("request", x.request)). Fields are only ever appended.
#pragma once

#include <string_view>

namespace troupe {

/// One field of a struct on its way through an inspector.
template <class T>
struct field_ref {
  std::string_view name;
  T& value;
};

template <class T>
constexpr field_ref<T> field(std::string_view name, T& value) {
  return {name, value};
}

/// For inspectors that do not care for names.
template <class F, class T>
typename F::result_type inspect(F& f, field_ref<T>& x) {
  return f(x.value);
}

}  // namespace troupe

// Walks over up to 256 arguments: each expansion takes one and defers the next.
#define TROUPE_EXPAND_4(...) __VA_ARGS__
#define TROUPE_EXPAND_3(...) TROUPE_EXPAND_4(TROUPE_EXPAND_4(TROUPE_EXPAND_4(TROUPE_EXPAND_4(__VA_ARGS__))))
#define TROUPE_EXPAND_2(...) TROUPE_EXPAND_3(TROUPE_EXPAND_3(TROUPE_EXPAND_3(TROUPE_EXPAND_3(__VA_ARGS__))))
#define TROUPE_EXPAND(...) TROUPE_EXPAND_2(TROUPE_EXPAND_2(TROUPE_EXPAND_2(TROUPE_EXPAND_2(__VA_ARGS__))))
#define TROUPE_DEFERRED ()
#define TROUPE_EACH_FIELD(first, ...) \
  ::troupe::field(#first, x.first) __VA_OPT__(, TROUPE_NEXT_FIELD TROUPE_DEFERRED(__VA_ARGS__))
#define TROUPE_NEXT_FIELD() TROUPE_EACH_FIELD

#define TROUPE_FIELDS(Type, ...)                                         \
  template <class F>                                                     \
  typename F::result_type inspect(F& f, [[maybe_unused]] Type& x) {      \
    return f(__VA_OPT__(TROUPE_EXPAND(TROUPE_EACH_FIELD(__VA_ARGS__)))); \
  }
