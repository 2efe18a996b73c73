#include "base/utf8.hpp"

#include "catch.hpp"

#include <string>
#include <vector>

using namespace troupe;

TEST_CASE("every code point survives a round trip and nothing else is valid", "[utf8]") {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    const auto decoded = decode_utf8(text);
    if (!decoded.valid || decoded.code_point != c || decoded.length != text.size())
      FAIL("code point " << std::uint32_t(c));
  }
  for (const std::string bad :
       {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF", "\x80", "\xE2\x82", "\xF0\x9F\x98"})
    CHECK(find_invalid_utf8("ok" + bad) == 2);
  CHECK(find_invalid_utf8("ok \xF0\x9F\x98\x80") == std::string_view::npos);
}

TEST_CASE("an incomplete character is told from a broken one", "[utf8]") {
  CHECK(incomplete_utf8_suffix("a\xE2\x82") == 2);
  CHECK(incomplete_utf8_suffix("a\xF0\x9F\x98") == 3);
  CHECK(incomplete_utf8_suffix("\xC3") == 1);
  CHECK(incomplete_utf8_suffix("a") == 0);
  CHECK(incomplete_utf8_suffix("") == 0);
  CHECK(incomplete_utf8_suffix("\xED\xA0") == 0);  // the beginning of a surrogate can never be completed
  CHECK(incomplete_utf8_suffix("\xE2\x82\xAC") == 0);
}

TEST_CASE("repair replaces each maximal invalid part once", "[utf8]") {
  CHECK(repair_utf8("a\xE2\x82z") == "a\xEF\xBF\xBDz");
  CHECK(repair_utf8("\xFF\xFF") == "\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(repair_utf8("\xED\xA0\x80") == "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(repair_utf8("fine") == "fine");
}
