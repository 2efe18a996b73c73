// The OpenAI-compatible endpoint: an http::handler that turns requests into submissions to a generation_service and its
// streams into answers. docs of the routes: openapi.json beside this file, served at /openapi.json.
//
// On the HTTP thread: routes, keys and small bodies. Bodies over inline_bytes are parsed, rendered and tokenized on the
// endpoint's own thread, because a megabyte takes long enough to hold up every open stream, and so are requests with a
// grammar that is not known yet. The answers themselves are
// written on whichever thread the service reports from.
#pragma once

#include "base/generation_service.hpp"
#include "runtime/http/server.hpp"
#include "runtime/openai/cors.hpp"
#include "runtime/openai/preparation_queue.hpp"
#include "runtime/openai/reply.hpp"
#include "runtime/openai/request_limits.hpp"
#include "runtime/openai/routes.hpp"
#include "runtime/openai/served_embeddings.hpp"
#include "runtime/openai/served_model.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::openai {

struct endpoint_options {
  std::vector<std::string> api_keys;         // empty: nobody needs a key
  std::vector<std::string> allowed_origins;  // for CORS; empty: off
  sampling_params default_sampling;          // where a request says nothing
  request_limits limits;
  std::string version;      // of /version
  std::string fingerprint;  // system_fingerprint of every answer: names the build
  std::size_t inline_bytes = 4 * 1024;
  bool queue_grammars = true;         // compile a grammar that is not known on the endpoint's own thread
  std::size_t preparation_jobs = 64;  // waiting for the endpoint's thread; past it requests are refused as overload
};

/// What the endpoint speaks for. The functions may be empty: then their routes are not found.
struct endpoint_parts {
  std::shared_ptr<generation_service> service;
  served_model model;
  served_embeddings embeddings;
  std::function<std::string()> expose_metrics;  // Prometheus text
  std::function<std::optional<http::response>(std::string_view path)> find_page_asset;
  record_sink on_request;  // one record an HTTP request
};

class endpoint {
 public:
  endpoint(endpoint_options options, endpoint_parts parts);

  /// Usable as http::handler: [&](auto request, auto stream) { endpoint.handle(std::move(request), std::move(stream));
  /// }
  void handle(http::request request, std::shared_ptr<http::response_stream> stream);

  /// Requests waiting for the endpoint's thread.
  std::size_t preparing() const { return queue_.size(); }

 private:
  struct call;

  std::shared_ptr<reply> open_reply(const http::request& request, std::string_view route,
                                    std::shared_ptr<http::response_stream> stream);
  void handle_unrouted(const http::request& request, reply& out);
  void answer_get(route_id id, std::string_view rest, reply& out);
  void answer_post(std::shared_ptr<call> made);
  void prepare_later(std::shared_ptr<call> made);
  void prepare_guarded(const std::shared_ptr<call>& made);
  void prepare(const std::shared_ptr<call>& made);
  void generate(const std::shared_ptr<call>& made);
  void embed(call& made);
  std::uint64_t fresh_random();

  const endpoint_options options_;
  const endpoint_parts parts_;
  const cors_policy cors_;
  const std::string openapi_document_;
  const std::uint64_t random_seed_;
  std::atomic<std::uint64_t> random_index_{0};
  preparation_queue queue_;  // last: its thread uses all of the above
};

}  // namespace troupe::openai
