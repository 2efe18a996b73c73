// The bytes of every message of version 1: tests/data/wire/<message>.msgpack. A message that is written otherwise than
// its file is a wire that old nodes do not understand.
//
//   TROUPE_WRITE_GOLDEN=1 build/release/tests/transport/test_wire "[golden]"     writes the files anew
//
// That is right for a new message only. When fields are appended to one, the test of its file becomes
// `still_reads` (a node of version 1 sends it) and the new bytes get a file of their own, <message>.2.msgpack.
#include "actors/protocols/membership.hpp"
#include "actors/protocols/relocation.hpp"
#include "actors/protocols/request.hpp"
#include "actors/protocols/status.hpp"
#include "catch.hpp"
#include "fillers.hpp"
#include "wire_samples.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace troupe;
using namespace troupe::test;

namespace {

std::filesystem::path file_of(const std::string& message) {
  const char* const data = std::getenv("TROUPE_TEST_DATA");
  return std::filesystem::path(data != nullptr ? data : "tests/data") / "wire" / (message + ".msgpack");
}

std::vector<std::byte> content_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

template <class T>
void still_reads(const std::string& message) {
  CAPTURE(message);
  T x{};
  CHECK(read_exactly(content_of(file_of(message)), x) == "");
}

template <class T>
void is_written_as(const std::string& message) {
  CAPTURE(message);
  const auto bytes = written(counted_value<T>());
  if (std::getenv("TROUPE_WRITE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(file_of(message).parent_path());
    std::ofstream(file_of(message), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  CHECK(std::ranges::equal(content_of(file_of(message)), bytes.bytes()));
  still_reads<T>(message);
}

}  // namespace

TEST_CASE("the request protocol has the bytes of version 1", "[wire][golden]") {
  is_written_as<submit_request>("submit_request");
  is_written_as<assign_request>("assign_request");
  is_written_as<token_chunk>("token_chunk");
  is_written_as<request_ended>("request_ended");
  is_written_as<cancel_request>("cancel_request");
  is_written_as<request_lost>("request_lost");
  is_written_as<load_report>("load_report");
  is_written_as<scheduler_report>("scheduler_report");
}

TEST_CASE("the relocation protocol has the bytes of version 1", "[wire][golden]") {
  is_written_as<relocate_request>("relocate_request");
  is_written_as<relocate_some>("relocate_some");
  is_written_as<offer_relocation>("offer_relocation");
  is_written_as<relocation_accepted>("relocation_accepted");
  is_written_as<relocation_refused>("relocation_refused");
  is_written_as<commit_relocation>("commit_relocation");
  is_written_as<relocation_done>("relocation_done");
  is_written_as<abort_relocation>("abort_relocation");
  is_written_as<request_taken>("request_taken");
}

TEST_CASE("the membership protocol has the bytes of version 1", "[wire][golden]") {
  is_written_as<join_cluster>("join_cluster");
  is_written_as<cluster_joined>("cluster_joined");
  is_written_as<join_refused>("join_refused");
  is_written_as<leave_cluster>("leave_cluster");
  is_written_as<drain_node>("drain_node");
  is_written_as<stop_node>("stop_node");
  is_written_as<members_changed>("members_changed");
  is_written_as<ask_status>("ask_status");
  is_written_as<command_done>("command_done");
}

TEST_CASE("the status protocol has the bytes of version 1", "[wire][golden]") {
  is_written_as<migrate_request>("migrate_request");
  is_written_as<ask_requests>("ask_requests");
  is_written_as<requests_status>("requests_status");
  is_written_as<ask_workers>("ask_workers");
  is_written_as<workers_status>("workers_status");
  is_written_as<set_policy>("set_policy");
  is_written_as<set_local_order>("set_local_order");
  is_written_as<ask_policies>("ask_policies");
  is_written_as<policies_status>("policies_status");
}
