// The parser alone: whatever the bytes and however they are cut, one outcome, within its limits.
#include "runtime/http/request_parser.hpp"

#include "base/random.hpp"
#include "catch.hpp"

#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::http;

namespace {

struct outcome {
  request_parser::progress progress = request_parser::progress::more;
  int status = 0;
  request taken;
  std::size_t used = 0;
};

/// Feeds pieces as a connection does: what is not consumed is given again with more behind it.
outcome parse_in_pieces(const limits& bounds, std::string_view bytes, const std::vector<std::size_t>& sizes) {
  request_parser parser(bounds);
  outcome result;
  std::string input;
  std::size_t piece = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto size = std::min(sizes[piece++ % sizes.size()], bytes.size() - at);
    input += bytes.substr(at, size);
    at += size;
    do {
      std::size_t consumed = 0;
      result.progress = parser.parse(input, consumed);
      if (consumed > input.size()) FAIL("consumed more than there was");
      input.erase(0, consumed);
      result.used += consumed;
    } while (result.progress == request_parser::progress::headers && !input.empty());
    if (result.progress == request_parser::progress::complete || result.progress == request_parser::progress::refused)
      break;
    if (input.size() > bounds.header_bytes) FAIL("keeps " << input.size() << " bytes");
  }
  result.status = parser.failure().status;
  result.taken = parser.take();
  return result;
}

std::string mutate(const std::vector<std::string>& seeds, random_stream& random) {
  std::string bytes = seeds[random.below(seeds.size())];
  for (auto edits = random.below(5); edits > 0 && !bytes.empty(); --edits) {
    const auto at = random.below(bytes.size());
    switch (random.below(5)) {
      case 0:
        bytes[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        bytes.erase(at, 1 + random.below(6));
        break;
      case 2:
        bytes.insert(at, 1 + random.below(3), "\r\n :0;,\xff"[random.below(8)]);
        break;
      case 3:
        bytes.insert(at, bytes.substr(random.below(bytes.size()), random.below(50)));
        break;
      default: {
        const auto& other = seeds[random.below(seeds.size())];
        bytes = bytes.substr(0, at) + other.substr(random.below(other.size()));
      }
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE("the outcome does not depend on where the bytes are cut", "[http]") {
  limits bounds;
  bounds.header_bytes = 300;
  bounds.header_lines = 8;
  bounds.body_bytes = 40;
  const std::vector<std::string> seeds{
      "GET /a%20b?c=d HTTP/1.1\r\nHost: t\r\nX-Key: value\r\n\r\n",
      "POST /b HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\n\r\nhello world",
      "POST /c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5;x=\"y z\"\r\nabcde\r\n0\r\nT: "
      "1\r\n\r\nGET",
      "PUT http://h/d HTTP/1.0\r\nConnection: keep-alive\r\nX: a\r\n folded\r\nContent-Length: 1\r\n\r\nx",
      "POST /e HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 41\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: t\r\nLong: " + std::string(260, 'l') + "\r\n\r\n"};
  random_stream random(77);
  std::size_t completed = 0;
  std::size_t refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    const auto bytes = mutate(seeds, random);
    if (bytes.empty()) continue;
    const auto whole = parse_in_pieces(bounds, bytes, {bytes.size()});
    const auto single = parse_in_pieces(bounds, bytes, {1});
    const auto cut = parse_in_pieces(bounds, bytes, {1 + random.below(9), 1 + random.below(40), 1 + random.below(3)});
    INFO("round " << round);
    for (const auto* other : {&single, &cut}) {
      // A fault in headers that never end may be met at once or, in pieces, not yet; a request is complete either way
      // or in neither.
      const auto complete = request_parser::progress::complete;
      REQUIRE((other->progress == complete) == (whole.progress == complete));
      if (whole.progress != complete) continue;
      CHECK(other->used == whole.used);
      CHECK(other->taken.method == whole.taken.method);
      CHECK(other->taken.path == whole.taken.path);
      CHECK(other->taken.query == whole.taken.query);
      CHECK(other->taken.headers == whole.taken.headers);
      CHECK(other->taken.body == whole.taken.body);
    }
    if (whole.progress == request_parser::progress::refused) ++refused;
    if (whole.progress != request_parser::progress::complete) continue;
    ++completed;
    CHECK(whole.taken.headers.size() <= bounds.header_lines);
    CHECK(whole.taken.body.size() <= bounds.body_bytes);
  }
  CHECK(completed > 2'000);
  CHECK(refused > 2'000);
}

TEST_CASE("targets in their forms", "[http]") {
  std::string path;
  std::string query;
  REQUIRE(split_target("/a%2Fb/%C3%A9?x=%20", path, query));
  CHECK(path == "/a/b/\xC3\xA9");
  CHECK(query == "x=%20");
  REQUIRE(split_target("HTTPS://host?only=query", path, query));
  CHECK(path == "/");
  CHECK(query == "only=query");
  for (const auto* wrong : {"", "a", "http://", "http:///a", "ftp://h/", "/%", "/%f", "/%0g", "/%00"}) {
    INFO(wrong);
    CHECK_FALSE(split_target(wrong, path, query));
  }
}
