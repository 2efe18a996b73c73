// What one rendering may spend: steps (one for each expression or statement, and more for work that grows with its
// data), bytes of strings and containers, and depth. A template comes with a model file, so it is hostile until the
// budget says otherwise.
#pragma once

#include "runtime/template/failure.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::jinja {

inline constexpr std::size_t max_source_bytes = 64 << 10;
inline constexpr int max_source_nesting = 64;        // brackets and blocks within one another
inline constexpr int max_expression_depth = 200;     // also counts the links of a chain such as a + b + c
inline constexpr int max_value_depth = 100;          // lists within lists
inline constexpr int max_evaluation_depth = 600;     // macros that call macros
inline constexpr std::size_t max_steps = 4'000'000;  // well under a second
inline constexpr std::int64_t max_range_items = 100'000;

class budget {
 public:
  explicit budget(std::size_t max_bytes) : bytes_left_(max_bytes) {}

  void step(std::size_t count = 1) {
    if (count > steps_left_)
      fail("the template takes more than " + std::to_string(max_steps) + " steps", errc::too_large);
    steps_left_ -= count;
  }

  /// Reading a text or copying it costs steps as well, so that no single operation is free however long its text.
  void bytes(std::size_t count) {
    step(count / 256);
    if (count > bytes_left_) fail("the template makes more text and lists than a rendering may hold", errc::too_large);
    bytes_left_ -= count;
  }

  class level {
   public:
    explicit level(budget& limits) : limits_(limits) {
      if (++limits_.depth_ > max_evaluation_depth) {
        --limits_.depth_;
        fail("the template's macros and expressions call one another too deeply", errc::too_large);
      }
    }
    ~level() { --limits_.depth_; }
    level(const level&) = delete;
    level& operator=(const level&) = delete;

   private:
    budget& limits_;
  };

 private:
  std::size_t steps_left_ = max_steps;
  std::size_t bytes_left_;
  int depth_ = 0;
};

/// A string under construction that pays before it grows.
class text_builder {
 public:
  explicit text_builder(budget& limits) : limits_(limits) {}
  budget& limits() { return limits_; }
  void append(std::string_view text) {
    limits_.bytes(text.size());
    text_ += text;
  }
  const std::string& text() const { return text_; }
  std::string take() { return std::move(text_); }

 private:
  budget& limits_;
  std::string text_;
};

}  // namespace troupe::jinja
