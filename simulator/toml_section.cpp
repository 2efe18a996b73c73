#include "simulator/toml_section.hpp"

#include "base/join.hpp"

#include <charconv>
#include <cmath>
#include <sstream>

namespace troupe::simulator {
namespace {

std::string inside(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

std::string number_text(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

/// One step of a path: a key, and which element when it is an array.
struct path_step {
  std::string key;
  std::optional<std::size_t> element;
};

std::optional<path_step> parse_step(std::string_view text) {
  const auto bracket = text.find('[');
  path_step made{std::string(text.substr(0, bracket)), std::nullopt};
  if (made.key.empty()) return std::nullopt;
  if (bracket == std::string_view::npos) return made;
  if (!text.ends_with(']')) return std::nullopt;
  const auto digits = text.substr(bracket + 1, text.size() - bracket - 2);
  std::size_t element = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), element);
  if (failed != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  made.element = element;
  return made;
}

void assign(toml::table& table, std::string_view key, const toml::node& value) {
  value.visit([&](const auto& typed) { table.insert_or_assign(key, typed); });
}

}  // namespace

std::uint32_t first_error::line_of(const toml::node* at, const std::string& field) const {
  if (at != nullptr && at->source().begin.line > 0) return at->source().begin.line;
  const auto* const found = original_ == nullptr ? nullptr : toml::at_path(*original_, field).node();
  return found == nullptr ? 0 : found->source().begin.line;
}

void first_error::tell(const toml::node* at, const std::string& field, const std::string& what) {
  if (first_) return;
  const auto line = line_of(at, field);
  first_ = make_error(errc::invalid_argument,
                      file_ + (line > 0 ? ":" + std::to_string(line) : "") + ": " + field + ": " + what + ".", field);
}

void first_error::tell(const std::string& field, const error& inner) {
  if (first_) return;
  const auto line = line_of(nullptr, field);
  first_ =
      make_error(errc::invalid_argument,
                 file_ + (line > 0 ? ":" + std::to_string(line) : "") + ": " + field + ": " + inner.message, field);
}

const toml_section::layer* toml_section::find(std::string_view key) const {
  for (const auto& each : layers_)
    if (each.table != nullptr && each.table->contains(key)) return &each;
  return nullptr;
}

bool toml_section::has(std::string_view key) const {
  return find(key) != nullptr;
}

std::string toml_section::path(std::string_view key) const {
  const auto* in = find(key);
  return inside(in != nullptr ? in->path : layers_.back().path, key);
}

const toml::node* toml_section::take(std::string_view key) {
  known_.emplace(key);
  const auto* in = find(key);
  return in == nullptr ? nullptr : in->table->get(key);
}

void toml_section::complain(std::string_view key, const std::string& what) {
  const auto* in = find(key);
  problems_->tell(in == nullptr ? nullptr : in->table->get(key), path(key), what);
}

void toml_section::complain(std::string_view key, const error& inner) {
  problems_->tell(path(key), inner);
}

void toml_section::read(std::string_view key, bool& into) {
  const auto* const node = take(key);
  if (node == nullptr) return;
  if (!node->is_boolean()) return complain(key, "this has to be true or false, not " + to_text(*node));
  into = *node->value<bool>();
}

void toml_section::read(std::string_view key, std::string& into) {
  const auto* const node = take(key);
  if (node == nullptr) return;
  if (!node->is_string()) return complain(key, "this has to be a text in quotes, not " + to_text(*node));
  into = *node->value<std::string>();
}

void toml_section::read(std::string_view key, double& into, double least, double most) {
  const auto* const node = take(key);
  if (node == nullptr) return;
  const auto value = node->is_number() ? node->value<double>() : std::nullopt;
  if (!value || !(*value >= least && *value <= most) || !std::isfinite(*value))
    return complain(key, to_text(*node) + " is no number from " + number_text(least) + " to " + number_text(most));
  into = *value;
}

void toml_section::read_positive(std::string_view key, double& into, double most) {
  const auto* const node = take(key);
  if (node == nullptr) return;
  const auto value = node->is_number() ? node->value<double>() : std::nullopt;
  if (!value || !(*value > 0 && *value <= most))
    return complain(key, to_text(*node) + " is no number above 0 and up to " + number_text(most));
  into = *value;
}

void toml_section::read(std::string_view key, std::uint32_t& into, std::uint32_t least, std::uint32_t most) {
  const auto* const node = take(key);
  if (node == nullptr) return;
  const auto value = node->is_integer() ? node->value<std::int64_t>() : std::nullopt;
  if (!value || *value < std::int64_t{least} || *value > std::int64_t{most})
    return complain(
        key, to_text(*node) + " is no whole number from " + std::to_string(least) + " to " + std::to_string(most));
  into = static_cast<std::uint32_t>(*value);
}

void toml_section::read_ms(std::string_view key, std::chrono::milliseconds& into) {
  std::uint32_t ms = 0;
  read(key, ms, 1, 1'000'000'000);
  if (ms > 0) into = std::chrono::milliseconds(ms);
}

toml_section toml_section::table(std::string_view key) {
  const auto* const node = take(key);
  const auto* const inner = node == nullptr ? nullptr : node->as_table();
  if (node != nullptr && inner == nullptr) complain(key, "this has to be a table, not " + to_text(*node));
  return {{{inner, path(key)}}, *problems_};
}

std::vector<toml_section> toml_section::tables(std::string_view key) {
  std::vector<toml_section> made;
  const auto* const node = take(key);
  if (node == nullptr) return made;
  const auto* const list = node->as_array();
  if (list == nullptr) {
    complain(key, "this has to be a list of tables, written as [[" + path(key) + "]]");
    return made;
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string place = path(key) + "[" + std::to_string(i) + "]";
    const auto* const inner = (*list)[i].as_table();
    if (inner == nullptr) problems_->tell(list->get(i), place, "this has to be a table");
    made.push_back({{{inner, place}}, *problems_});
  }
  return made;
}

void toml_section::finish() {
  for (const auto& each : layers_) {
    if (each.table == nullptr) continue;
    for (const auto& [key, value] : *each.table) {
      if (known_.contains(key.str())) continue;
      problems_->tell(&value, inside(each.path, key.str()), "there is no such key; there are: " + join(known_));
    }
  }
}

std::string to_text(const toml::node& of) {
  if (of.is_floating_point()) return number_text(*of.value<double>());
  std::ostringstream text;
  of.visit([&](const auto& typed) { text << typed; });
  return text.str();
}

result<> set_value(toml::table& root, std::string_view path, const toml::node& value) {
  const auto wrong = [&](const std::string& what) {
    return make_error(errc::invalid_argument, "'" + std::string(path) + "' " + what + ".", std::string(path));
  };
  toml::table* at = &root;
  for (std::string_view rest = path;;) {
    const auto dot = rest.find('.');
    const auto step = parse_step(rest.substr(0, dot));
    if (!step) return wrong("is no path of keys like instances[1].blocks");
    const bool is_last = dot == std::string_view::npos;
    if (is_last && !step->element) {
      assign(*at, step->key, value);
      return {};
    }
    if (!step->element && !at->contains(step->key)) at->insert(step->key, toml::table{});
    toml::node* next = at->get(step->key);
    if (step->element) {
      auto* const list = next == nullptr ? nullptr : next->as_array();
      if (list == nullptr || *step->element >= list->size())
        return wrong("leads to an element that is not there: " + step->key + "[" + std::to_string(*step->element) +
                     "]");
      if (is_last) {
        value.visit([&](const auto& typed) {
          list->replace(list->cbegin() + static_cast<std::ptrdiff_t>(*step->element), typed);
        });
        return {};
      }
      next = list->get(*step->element);
    }
    at = next->as_table();
    if (at == nullptr) return wrong("leads through " + step->key + ", which is no table");
    rest = rest.substr(dot + 1);
  }
}

}  // namespace troupe::simulator
