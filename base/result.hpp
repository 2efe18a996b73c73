// result<T>: a value, or an error that says what was wrong and what would be right.
#pragma once

#include "base/assert.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace troupe {

/// Kinds of failure, each with one meaning to a client. The HTTP status and OpenAI type of each are in
/// runtime/openai/errors.
enum class errc : unsigned char {
  invalid_argument,         // the caller's input is wrong; the same call fails again
  context_length_exceeded,  // the prompt, or prompt and answer, do not fit the model's context
  unauthenticated,          // no key, or a wrong one
  not_found,                // no such model, file, route
  method_not_allowed,       // the route exists, the verb does not
  too_large,                // a body, a header, a file over its limit
  overloaded,               // a bounded queue is full; trying later may help
  unavailable,              // no able worker now
  deadline_exceeded,        // the request's own deadline passed
  cancelled,                // the client asked for it, or went away
  corrupt,                  // bytes that break their own format
  unsupported,              // well-formed, but something this build does not do
  internal                  // our fault
};

constexpr errc last_enumerator(errc) {
  return errc::internal;
}

std::string_view to_string(errc code);

struct error {
  errc code = errc::internal;
  std::string message;  // a whole sentence for the person who reads it
  std::string param;    // the field, flag or key at fault; empty when there is none
  friend bool operator==(const error&, const error&) = default;
};

/// Success without a value.
struct success {};

template <class T = success>
class [[nodiscard]] result {
 public:
  result() requires std::is_same_v<T, success> : state_(success{}) {}
  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  result(troupe::error failure) : state_(std::in_place_index<1>, std::move(failure)) {}

  explicit operator bool() const { return state_.index() == 0; }
  bool has_value() const { return state_.index() == 0; }

  T& value() & {
    TROUPE_ASSERT(has_value(), "value() of a failed result");
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    TROUPE_ASSERT(has_value(), "value() of a failed result");
    return *std::get_if<0>(&state_);
  }
  T&& value() && { return std::move(value()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const troupe::error& error() const {
    TROUPE_ASSERT(!has_value(), "error() of a successful result");
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, troupe::error> state_;
};

/// make_error(errc::corrupt, "the file ends at byte 12", "path")
inline error make_error(errc code, std::string message, std::string param = {}) {
  return error{code, std::move(message), std::move(param)};
}

}  // namespace troupe
