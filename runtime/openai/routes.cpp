#include "runtime/openai/routes.hpp"

namespace troupe::openai {

std::optional<matched_route> find_route(std::string_view path) {
  while (path.size() > 1 && path.back() == '/')
    path.remove_suffix(1);
  constexpr std::string_view placeholder = "{id}";
  for (const route& candidate : routes) {
    if (!candidate.path.ends_with(placeholder)) {
      if (path == candidate.path) return matched_route{&candidate, {}};
      continue;
    }
    const auto stem = candidate.path.substr(0, candidate.path.size() - placeholder.size());
    if (path.size() > stem.size() && path.starts_with(stem)) return matched_route{&candidate, path.substr(stem.size())};
  }
  return std::nullopt;
}

std::string_view allowed_methods(const route& matched) {
  return matched.method == "GET" ? "GET, HEAD" : matched.method;
}

bool allows(const route& matched, std::string_view method) {
  return method == matched.method || (method == "HEAD" && matched.method == "GET");
}

}  // namespace troupe::openai
