// A table of a TOML file that is read key by key: each value of the right type and within its bounds, and no key left
// over that nobody asked for. The first thing wrong is kept, with the line and the full path of the field
// ("instances[1].blocks"); what is read after it does not matter.
//
// A section may have layers: a key is looked for in the first, then in the next. So some keys of a table can be
// overridden elsewhere, and an error names the place that a value really came from.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <toml++/toml.h>

namespace troupe::simulator {

/// Keeps the first error that is told.
class first_error {
 public:
  /// `original`: where the line of a field is looked up when what was read is a copy, which has none; it has to outlive
  /// this. nullptr: nowhere.
  explicit first_error(std::string file, const toml::table* original = nullptr)
      : file_(std::move(file)), original_(original) {}
  /// `at`: whose line is named, when it has one.
  void tell(const toml::node* at, const std::string& field, const std::string& what);
  /// One that has a message of its own; its field comes to lie within `field`.
  void tell(const std::string& field, const error& inner);
  explicit operator bool() const { return first_.has_value(); }
  const error& get() const { return *first_; }

 private:
  std::uint32_t line_of(const toml::node* at, const std::string& field) const;

  std::string file_;
  const toml::table* original_;
  std::optional<error> first_;
};

class toml_section {
 public:
  struct layer {
    const toml::table* table = nullptr;  // nullptr: empty
    std::string path;                    // "" for the file itself
  };

  toml_section(std::vector<layer> layers, first_error& problems) : layers_(std::move(layers)), problems_(&problems) {}

  bool has(std::string_view key) const;
  /// Full path of a key, in the layer that has it.
  std::string path(std::string_view key) const;

  // Each leaves `into` as it is when the key is not there, or wrong.
  void read(std::string_view key, bool& into);
  void read(std::string_view key, std::string& into);
  /// Within [least, most].
  void read(std::string_view key, double& into, double least, double most);
  void read(std::string_view key, std::uint32_t& into, std::uint32_t least, std::uint32_t most);
  void read_positive(std::string_view key, double& into, double most = 1e12);
  /// A whole number of milliseconds, at least 1.
  void read_ms(std::string_view key, std::chrono::milliseconds& into);

  /// The value as it is, and the key counts as known; nullptr when it is not there.
  const toml::node* take(std::string_view key);
  /// A table inside; an empty one when the key is not there.
  toml_section table(std::string_view key);
  /// An array of tables; empty when the key is not there.
  std::vector<toml_section> tables(std::string_view key);
  /// The keys of the first layer, as they are.
  const toml::table* front() const { return layers_.front().table; }

  void complain(std::string_view key, const std::string& what);
  void complain(std::string_view key, const error& inner);
  /// Complains of the first key that was not asked for.
  void finish();
  first_error& problems() { return *problems_; }

 private:
  const layer* find(std::string_view key) const;

  std::vector<layer> layers_;
  first_error* problems_;
  std::set<std::string, std::less<>> known_;
};

/// The value of a node as a person would write it.
std::string to_text(const toml::node& of);

/// Puts a value where a path leads: "cluster.dispatch", "instances[1].blocks". Tables on the way are made, elements of
/// arrays have to be there. Errors: the path as param.
result<> set_value(toml::table& root, std::string_view path, const toml::node& value);

}  // namespace troupe::simulator
