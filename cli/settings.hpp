// The settings of a server in one table: each has a flag, an environment variable TROUPE_<FLAG>, a key in the
// configuration file, a default and a sentence. Flag beats environment beats file beats default, and `troupe config
// check --print` says which one won.
#pragma once

#include "actors/node.hpp"
#include "base/result.hpp"
#include "runtime/http/server.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace troupe::cli {

/// Everything `troupe serve` needs to know.
struct serve_options {
  node_options node;
  http::options http;
  std::string model;  // as given: a path or the name of a pulled model
  std::vector<std::string> served_model_names;
  std::string embedding_model;  // as given; empty: none
  std::vector<std::string> api_keys;
  std::vector<std::string> allowed_origins;
  std::string metrics_compat;  // "", "vllm"
  std::string log_level = "info";
  std::string log_format = "text";
  std::string log_file;
  bool insecure_bind = false;
  std::string scale_hostfile;  // of workers that the head starts; empty: here
  std::string scale_ssh = "ssh";
  std::string scale_hook;
};

enum class setting_kind : unsigned char { text, list, number, flag };

struct setting {
  std::string_view flag;         // "max-model-len"; its variable is TROUPE_MAX_MODEL_LEN
  std::string_view short_flags;  // CLI11's form of further names: "-m" or "--ctx-size,-c"
  std::string_view section;      // of the file
  std::string_view key;          // in the section
  setting_kind kind;
  std::string_view default_text;  // as a person would write it; "" is "not set"
  std::string_view help;
  result<> (*apply)(serve_options& options, const std::string& value);
};

/// All settings, in the order `--help` shows them.
std::span<const setting> all_settings();
/// "TROUPE_MAX_MODEL_LEN" for "max-model-len".
std::string environment_variable(std::string_view flag);

enum class setting_source : unsigned char { default_value, file, environment, flag };
std::string_view to_string(setting_source source);

struct setting_value {
  std::string text;
  setting_source source = setting_source::default_value;
};

/// What was given on the command line, by flag name.
class given_flags {
 public:
  /// Adds all settings as options of a verb.
  void add_to(CLI::App& app);
  std::optional<std::string> find(std::string_view flag) const;
  const std::map<std::string, std::string, std::less<>>& all() const { return values_; }

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

/// Every setting with its value and where it came from. `file`: the configuration file, or empty.
/// Errors: an unreadable file, bad TOML (with line), an unknown section or key (with the ones there are).
result<std::map<std::string, setting_value>> collect_settings(const given_flags& flags,
                                                              const std::filesystem::path& file);

/// Errors name the setting, its value and what would be right.
result<serve_options> make_serve_options(const std::map<std::string, setting_value>& values);

}  // namespace troupe::cli
