// What a cluster must not forget when its head is started again: the numbers its members got (a number is never given
// twice) and who was drained. An interface, so that a cluster can keep it where it likes.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace troupe {

struct member_record {
  std::uint32_t number = 0;
  bool drained = false;
};

class registry_store {
 public:
  virtual ~registry_store() = default;
  /// By name.
  virtual result<std::map<std::string, member_record>> load() = 0;
  virtual result<> save(const std::string& name, const member_record& record) = 0;
};

/// Forgets with the process.
std::unique_ptr<registry_store> make_memory_registry_store();

/// In an SQLite file, made if it is missing. Errors: unavailable (no such folder, no permission), corrupt (no database,
/// or one of another program).
result<std::unique_ptr<registry_store>> open_sqlite_registry_store(const std::filesystem::path& file);

}  // namespace troupe
