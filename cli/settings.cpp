#include "cli/settings.hpp"

#include "cli/setting_values.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include <CLI/CLI.hpp>
#include <toml++/toml.h>

namespace troupe::cli {
namespace {

const setting* find_setting(std::string_view section, std::string_view key) {
  const auto all = all_settings();
  const auto found = std::ranges::find_if(all, [&](const setting& s) { return s.section == section && s.key == key; });
  return found == all.end() ? nullptr : &*found;
}

std::string known_keys(std::string_view section) {
  std::string list;
  for (const auto& s : all_settings())
    if (section.empty() || s.section == section)
      list += (list.empty() ? "" : ", ") + std::string(s.section) + "." + std::string(s.key);
  return list.empty() ? known_keys("") : list;
}

result<std::string> text_of(const toml::node& node) {
  if (const auto* string = node.as_string()) return string->get();
  if (const auto* integer = node.as_integer()) return std::to_string(integer->get());
  if (const auto* decimal = node.as_floating_point()) return shortest(decimal->get());
  if (const auto* boolean = node.as_boolean()) return std::string(boolean->get() ? "true" : "false");
  if (const auto* array = node.as_array()) {
    std::string joined;
    for (const auto& item : *array) {
      const auto one = text_of(item);
      if (!one || item.is_array()) return make_error(errc::invalid_argument, "a list holds texts or numbers");
      joined += (joined.empty() ? "" : ",") + *one;
    }
    return joined;
  }
  return make_error(errc::invalid_argument, "a value is a text, a number, true, false or a list of them");
}

error configuration_error(const std::filesystem::path& file, const toml::source_region& at, std::string message) {
  return make_error(errc::invalid_argument,
                    file.string() + ":" + std::to_string(at.begin.line) + ": " + std::move(message), "config");
}

result<> read_file(const std::filesystem::path& file, std::map<std::string, setting_value>& values) {
  if (!std::filesystem::exists(file))
    return make_error(errc::invalid_argument, "There is no configuration file '" + file.string() + "'.", "config");
  toml::table root;
  try {
    root = toml::parse_file(file.string());
  } catch (const toml::parse_error& e) {
    return configuration_error(file, e.source(), std::string(e.description()));
  }
  for (const auto& [section, content] : root) {
    if (section == "node" || section == "plan") continue;  // of `troupe up` (launch_plan.hpp) and `troupe place`
    const auto* table = content.as_table();
    if (table == nullptr)
      return configuration_error(file, content.source(),
                                 "'" + std::string(section.str()) + "' stands outside of a section.");
    for (const auto& [key, node] : *table) {
      const setting* s = find_setting(section.str(), key.str());
      if (s == nullptr)
        return configuration_error(file, node.source(),
                                   "unknown key '" + std::string(section.str()) + "." + std::string(key.str()) +
                                       "'; there are: " + known_keys(section.str()) + ".");
      const auto value = text_of(node);
      if (!value) return configuration_error(file, node.source(), value.error().message + ".");
      values[std::string(s->flag)] = {*value, setting_source::file};
    }
  }
  return {};
}

result<> check_together(const node_options& node) {
  const auto refuse = [](const char* flag, const std::string& why) {
    return make_error(errc::invalid_argument, "--" + std::string(flag) + ": " + why, flag);
  };
  if (node.max_running_seqs > node.max_num_seqs)
    return refuse("max-running-seqs",
                  "no more sequences run than --max-num-seqs has room for, " + std::to_string(node.max_num_seqs) + ".");
  if (node.reschedule.migrate_below > node.reschedule.migrate_above)
    return refuse("migrate-below",
                  "a worker that takes requests must not be one that gives them away; "
                  "--migrate-above is at least as high.");
  const auto& scaling = node.scaling;
  if (scaling.max_workers == 0) return {};
  if (scaling.min_workers > scaling.max_workers)
    return refuse("min-workers", "that is more than --max-workers, " + std::to_string(scaling.max_workers) + ".");
  if (scaling.scale_up_below >= scaling.scale_down_above)
    return refuse("scale-up-below", "workers would come and go; --scale-down-above is higher.");
  return {};
}

}  // namespace

std::string environment_variable(std::string_view flag) {
  std::string name = "TROUPE_" + std::string(flag);
  for (char& c : name)
    c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string_view to_string(setting_source source) {
  switch (source) {
    case setting_source::default_value:
      return "default";
    case setting_source::file:
      return "file";
    case setting_source::environment:
      return "environment";
    case setting_source::flag:
      return "flag";
  }
  return "unknown";
}

void given_flags::add_to(CLI::App& app) {
  for (const auto& s : all_settings()) {
    const std::string name(s.flag);
    std::string names = "--" + name + (s.short_flags.empty() ? "" : "," + std::string(s.short_flags));
    const std::string help =
        std::string(s.help) + (s.default_text.empty() ? "" : " Default: " + std::string(s.default_text) + ".");
    if (s.kind == setting_kind::flag) {
      app.add_flag_callback(
          names, [this, name] { values_[name] = "true"; }, help);
      app.add_flag_callback(
          "--no-" + name, [this, name] { values_[name] = "false"; }, "The opposite of --" + name + ".");
      continue;
    }
    auto* option = app.add_option_function<std::vector<std::string>>(
        names,
        [this, name](const std::vector<std::string>& given) {
          std::string joined;
          for (const auto& value : given)
            joined += (joined.empty() ? "" : ",") + value;
          values_[name] = joined;
        },
        help);
    option->type_name(s.kind == setting_kind::number ? "N" : "TEXT");
    option->expected(s.kind == setting_kind::list ? -1 : 1);
  }
}

std::optional<std::string> given_flags::find(std::string_view flag) const {
  const auto found = values_.find(flag);
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

result<std::map<std::string, setting_value>> collect_settings(const given_flags& flags,
                                                              const std::filesystem::path& file) {
  std::map<std::string, setting_value> values;
  for (const auto& s : all_settings())
    values[std::string(s.flag)] = {std::string(s.default_text), setting_source::default_value};
  if (!file.empty())
    if (auto read = read_file(file, values); !read) return read.error();
  for (const auto& s : all_settings()) {
    if (const char* variable = std::getenv(environment_variable(s.flag).c_str()))
      values[std::string(s.flag)] = {variable, setting_source::environment};
    if (auto given = flags.find(s.flag)) values[std::string(s.flag)] = {*std::move(given), setting_source::flag};
  }
  return values;
}

result<serve_options> make_serve_options(const std::map<std::string, setting_value>& values) {
  serve_options made;
  for (const auto& s : all_settings()) {
    const auto& value = values.at(std::string(s.flag));
    if (auto applied = s.apply(made, value.text); !applied) {
      const std::string origin(to_string(value.source));
      return make_error(errc::invalid_argument,
                        "--" + std::string(s.flag) + " (from the " + origin + "): " + applied.error().message,
                        std::string(s.flag));
    }
  }
  if (auto checked = check_together(made.node); !checked) return checked.error();
  return made;
}

}  // namespace troupe::cli
