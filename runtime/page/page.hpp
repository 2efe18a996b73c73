// The page at "/", where a person can chat with the model and watch the load: HTML, CSS and JavaScript of this folder,
// inside the binary. It loads nothing from elsewhere and works offline.
#pragma once

#include "runtime/http/server.hpp"

#include <optional>
#include <string_view>

namespace troupe {

/// The page's scripts and styles are files, never inline, so that it holds to this.
inline constexpr std::string_view page_security_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

/// Lives as long as the program.
struct page_asset {
  std::string_view content_type;
  std::string_view body;
  std::string_view etag;  // with its quotes

  /// With the headers that a browser should see: the policy above, the ETag, no sniffing, no referrer.
  operator http::response() const;
};

/// "/" and the files it asks for; nothing for other paths.
std::optional<page_asset> find_page_asset(std::string_view path);

}  // namespace troupe
