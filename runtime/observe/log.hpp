// The log: one line an event, with its time, level, component and request. Text for people, or JSON lines for machines.
// Whatever a client wrote into a field, an event stays one line. Safe from any thread. The logging library stays out of
// this header.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace troupe {

enum class log_level : unsigned char { trace, debug, info, warning, error, off };
enum class log_format : unsigned char { text, json };

/// "trace", "debug", "info", "warning" or "warn", "error", "off"; nothing for any other word.
std::optional<log_level> parse_log_level(std::string_view word);

/// One key=value of an event. The strings are only looked at during the call.
struct log_field {
  using field_value = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;

  log_field(std::string_view name, std::string_view text) : key(name), value(text) {}
  log_field(std::string_view name, const std::string& text) : key(name), value(std::string_view(text)) {}
  log_field(std::string_view name, const char* text) : key(name), value(std::string_view(text)) {}
  log_field(std::string_view name, bool truth) : key(name), value(truth) {}
  log_field(std::string_view name, double number) : key(name), value(number) {}
  template <class Integer>
  requires std::is_integral_v<Integer> log_field(std::string_view name, Integer number)
      : key(name), value(widened(number)) {}

  std::string_view key;
  field_value value;

 private:
  template <class Integer>
  static field_value widened(Integer number) {
    if constexpr (std::is_signed_v<Integer>) return static_cast<std::int64_t>(number);
    return static_cast<std::uint64_t>(number);
  }
};

struct log_options {
  log_format format = log_format::text;
  log_level level = log_level::info;
  std::string file;  // empty: standard error, with colour when that is a terminal and NO_COLOR is not set
};

/// The options as the environment has them: the level from TROUPE_LOG_LEVEL. An unknown word is an error.
result<log_options> log_options_from_environment();

/// Takes effect for all events that follow. Before the first call the log is text on standard error from level info.
/// Fails when the file cannot be opened; the log stays as it was.
result<> configure_log(const log_options& options);

bool log_enabled(log_level level);

void log(log_level level, std::string_view component, std::string_view message,
         std::initializer_list<log_field> fields = {}, std::string_view request_id = {});

/// For events that may come thousands of times a second: the same component and message is written at most once in ten
/// seconds, with the number of those left out since (`suppressed`).
void log_repeating(log_level level, std::string_view component, std::string_view message,
                   std::initializer_list<log_field> fields = {}, std::string_view request_id = {});

/// Waits until everything logged so far is handed to the operating system.
void flush_log();

}  // namespace troupe
