#include "catch.hpp"
#include "runtime/page/page.hpp"

#include <string>

using namespace troupe;

TEST_CASE("the page and all it asks for are embedded", "[page]") {
  const auto page = find_page_asset("/");
  REQUIRE(page);
  CHECK(page->content_type == "text/html; charset=utf-8");
  CHECK(page->body.starts_with("<!doctype html>"));
  CHECK(find_page_asset("/index.html")->etag == page->etag);
  for (const auto* path : {"/page.css", "/page.js", "/page_api.js", "/page_load.js", "/page_text.js", "/favicon.svg"}) {
    INFO(path);
    const auto asset = find_page_asset(path);
    REQUIRE(asset);
    CHECK(asset->body.size() > 100);
    CHECK(asset->etag.size() == 18);
    CHECK(asset->etag != page->etag);
  }
  CHECK_FALSE(find_page_asset("/v1/models"));
  CHECK_FALSE(find_page_asset("/../page.css"));
  CHECK_FALSE(find_page_asset("page.css"));
  CHECK_FALSE(find_page_asset(""));
}

TEST_CASE("the page works offline and under its own policy", "[page]") {
  for (const auto* path : {"/", "/page.css", "/page.js", "/page_api.js", "/page_load.js", "/page_text.js"}) {
    INFO(path);
    std::string body(find_page_asset(path)->body);
    const auto namespace_name = body.find("http://www.w3.org/2000/svg");  // a name, not an address
    if (namespace_name != std::string::npos) body.erase(namespace_name, 10);
    for (const auto* forbidden :
         {"http://", "https://", "innerHTML", "outerHTML", "document.write", "eval(", "style=", "onclick="}) {
      CHECK(body.find(forbidden) == std::string::npos);
    }
  }
  const http::response answer = *find_page_asset("/");
  CHECK(answer.status == 200);
  bool has_policy = false;
  for (const auto& [name, value] : answer.headers)
    has_policy |= name == "content-security-policy" && value == page_security_policy;
  CHECK(has_policy);
}
