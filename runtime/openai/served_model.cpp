#include "runtime/openai/served_model.hpp"

#include "base/join.hpp"

#include <algorithm>

namespace troupe::openai {

result<> check_model_name(const served_model& model, std::string_view name) {
  if (name.empty() || std::find(model.names.begin(), model.names.end(), name) != model.names.end()) return {};
  return make_error(
      errc::not_found,
      "The model " + std::string(name) + " does not exist here; this server has " + join(model.names) + ".", "model");
}

}  // namespace troupe::openai
