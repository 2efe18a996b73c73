#include "runtime/page/page.hpp"

#include "runtime/page/embedded_files.hpp"

#include <string>

namespace troupe {

namespace {

std::string_view content_type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  return "image/svg+xml";
}

}  // namespace

page_asset::operator http::response() const {
  return {200,
          std::string(content_type),
          {{"etag", std::string(etag)},
           {"cache-control", "no-cache"},
           {"content-security-policy", std::string(page_security_policy)},
           {"x-content-type-options", "nosniff"},
           {"referrer-policy", "no-referrer"}},
          std::string(body)};
}

std::optional<page_asset> find_page_asset(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  const auto name = path == "/" ? std::string_view("index.html") : path.substr(1);
  for (const auto& file : embedded_files()) {
    if (file.name != name) continue;
    return page_asset{content_type_of(name), {reinterpret_cast<const char*>(file.bytes), file.size}, file.etag};
  }
  return std::nullopt;
}

}  // namespace troupe
