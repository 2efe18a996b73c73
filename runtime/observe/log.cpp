#include "runtime/observe/log.hpp"

#include "runtime/observe/log_line.hpp"
#include "runtime/observe/log_throttle.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <vector>

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

namespace troupe {

namespace {

constexpr auto repeat_interval = std::chrono::seconds(10);

// The library's payload is the line or the members that log_line made; time and level are its part.
constexpr const char* text_pattern = "%Y-%m-%dT%H:%M:%S.%eZ %^%-7l%$ %v";
constexpr const char* json_pattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

struct log_output {
  spdlog::logger logger;
  log_format format;
  log_level level;
};

spdlog::level::level_enum to_spdlog(log_level level) {
  switch (level) {
    case log_level::trace:
      return spdlog::level::trace;
    case log_level::debug:
      return spdlog::level::debug;
    case log_level::info:
      return spdlog::level::info;
    case log_level::warning:
      return spdlog::level::warn;
    case log_level::error:
      return spdlog::level::err;
    case log_level::off:
      break;
  }
  return spdlog::level::off;
}

std::shared_ptr<spdlog::sinks::sink> make_sink(const std::string& file) {
  if (!file.empty()) return std::make_shared<spdlog::sinks::basic_file_sink_mt>(file, false);
  const char* no_colour = std::getenv("NO_COLOR");  // https://no-color.org: set to anything but nothing
  const bool plain = no_colour != nullptr && *no_colour != '\0';
  return std::make_shared<spdlog::sinks::stderr_color_sink_mt>(plain ? spdlog::color_mode::never
                                                                     : spdlog::color_mode::automatic);
}

std::shared_ptr<log_output> make_output(const log_options& options) {
  auto output = std::make_shared<log_output>(
      log_output{spdlog::logger("troupe", make_sink(options.file)), options.format, options.level});
  const char* pattern = options.format == log_format::json ? json_pattern : text_pattern;
  output->logger.set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
  output->logger.set_level(to_spdlog(options.level));
  output->logger.flush_on(spdlog::level::trace);  // the last line before a crash is the one that matters
  return output;
}

std::atomic<std::shared_ptr<log_output>>& current_output() {
  static std::atomic<std::shared_ptr<log_output>> output(make_output({}));
  return output;
}

// Read before every event; the shared pointer is only taken for those that are written.
std::atomic<log_level> current_level{log_level::info};

log_throttle& repeats() {
  static log_throttle throttle(repeat_interval);
  return throttle;
}

void write(log_level level, const log_event& event) {
  const auto output = current_output().load();
  // Passed as a value, not as a format: a message may hold braces.
  const std::string payload = output->format == log_format::json ? json_members(event) : text_line(event);
  output->logger.log(to_spdlog(level), spdlog::string_view_t(payload));
}

}  // namespace

std::optional<log_level> parse_log_level(std::string_view word) {
  if (word == "trace") return log_level::trace;
  if (word == "debug") return log_level::debug;
  if (word == "info") return log_level::info;
  if (word == "warning" || word == "warn") return log_level::warning;
  if (word == "error") return log_level::error;
  if (word == "off") return log_level::off;
  return std::nullopt;
}

result<log_options> log_options_from_environment() {
  log_options options;
  const char* word = std::getenv("TROUPE_LOG_LEVEL");
  if (word == nullptr || *word == '\0') return options;
  const auto level = parse_log_level(word);
  if (!level) {
    return make_error(
        errc::invalid_argument,
        "TROUPE_LOG_LEVEL is '" + std::string(word) + "'; it must be trace, debug, info, warning, error or off.",
        "TROUPE_LOG_LEVEL");
  }
  options.level = *level;
  return options;
}

result<> configure_log(const log_options& options) {
  try {
    auto output = make_output(options);
    current_output().exchange(std::move(output))->logger.flush();
    current_level.store(options.level, std::memory_order_relaxed);
    return {};
  } catch (const spdlog::spdlog_ex& failure) {
    return make_error(errc::invalid_argument, "The log file '" + options.file + "' cannot be opened: " + failure.what(),
                      "log-file");
  }
}

bool log_enabled(log_level level) {
  return level != log_level::off && level >= current_level.load(std::memory_order_relaxed);
}

void log(log_level level, std::string_view component, std::string_view message, std::initializer_list<log_field> fields,
         std::string_view request_id) {
  if (log_enabled(level)) write(level, {component, message, request_id, {fields.begin(), fields.size()}});
}

void log_repeating(log_level level, std::string_view component, std::string_view message,
                   std::initializer_list<log_field> fields, std::string_view request_id) {
  if (!log_enabled(level)) return;
  const std::string key = std::string(component) + '\n' + std::string(message);
  const auto suppressed = repeats().pass(key, std::chrono::steady_clock::now());
  if (!suppressed) return;
  std::vector<log_field> with_count(fields);
  if (*suppressed > 0) with_count.emplace_back("suppressed", *suppressed);
  write(level, {component, message, request_id, with_count});
}

void flush_log() {
  current_output().load()->logger.flush();
}

}  // namespace troupe
