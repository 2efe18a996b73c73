#include "cli/model_argument.hpp"

#include "runtime/store/model_store.hpp"

namespace troupe::cli {

result<std::filesystem::path> resolve_model(const std::string& name_or_path) {
  const auto folder = model_store::default_folder();
  if (folder) return model_store(*folder).resolve(name_or_path);
  if (std::filesystem::exists(name_or_path)) return std::filesystem::path(name_or_path);
  return folder.error();
}

}  // namespace troupe::cli
