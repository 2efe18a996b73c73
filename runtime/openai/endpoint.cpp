#include "runtime/openai/endpoint.hpp"

#include "base/assert.hpp"
#include "base/random.hpp"
#include "runtime/openai/answer.hpp"
#include "runtime/openai/client_identity.hpp"
#include "runtime/openai/embedding_answer.hpp"
#include "runtime/openai/embedding_request.hpp"
#include "runtime/openai/information.hpp"
#include "runtime/openai/objective.hpp"
#include "runtime/openai/openapi_document.hpp"
#include "runtime/openai/tokenize.hpp"

#include <algorithm>
#include <random>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

std::int64_t seconds_since_1970() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

// A page of another origin can post text/plain to a local server without asking; application/json makes the browser ask
// first.
result<> check_content_type(const http::request& request) {
  const auto type = request.header("content-type");
  if (!type || type->starts_with("application/json")) return {};
  return make_error(errc::invalid_argument, "The content type must be application/json.", "content-type");
}

error no_such_path(std::string_view path) {
  return make_error(errc::not_found,
                    "There is nothing at " + std::string(path.substr(0, 256)) + "; /openapi.json lists what there is.");
}

error wrong_method(std::string_view method, std::string_view allowed) {
  return make_error(errc::method_not_allowed,
                    "The method must be " + std::string(allowed) + ", not " + std::string(method.substr(0, 32)) + ".");
}

// The client says which version it holds, and it is this one.
bool is_known_to_client(const http::request& request, const http::response& asset) {
  const auto known = request.header("if-none-match");
  const auto tag = std::ranges::find(asset.headers, "etag", [](const auto& header) { return header.first; });
  return known && tag != asset.headers.end() && known->find(tag->second) != std::string_view::npos;
}

void send_or_refuse(reply& out, result<http::response> made) {
  if (made) {
    out.send(*std::move(made));
  } else {
    out.refuse(made.error());
  }
}

}  // namespace

// One POST on its way from the HTTP thread to the service.
struct endpoint::call {
  http::request request;
  route_id id;
  std::string key;
  std::shared_ptr<reply> out;
  bool is_queued = false;  // to the endpoint's own thread
};

endpoint::endpoint(endpoint_options options, endpoint_parts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      cors_(options_.allowed_origins),
      openapi_document_(make_openapi_document(parts_.model, parts_.embeddings, options_.limits, options_.version)),
      random_seed_(random_seed()),
      queue_(options_.preparation_jobs) {
  TROUPE_ASSERT(parts_.service && parts_.model.vocabulary, "an endpoint needs a service and a tokenizer");
  TROUPE_ASSERT(!parts_.model.names.empty(), "a served model has a name");
  TROUPE_ASSERT(!parts_.embeddings.service || !parts_.embeddings.names.empty(), "a served model has a name");
}

std::uint64_t endpoint::fresh_random() {
  return random_bits(random_seed_, random_index_.fetch_add(1));
}

std::shared_ptr<reply> endpoint::open_reply(const http::request& request, std::string_view route,
                                            std::shared_ptr<http::response_stream> stream) {
  request_record record;
  record.id = request_id_of(request, hex_id(fresh_random(), fresh_random()));
  record.traceparent = traceparent_of(request);
  record.method = request.method;
  record.route = route;
  http::header_list headers = cors_.headers_for(request);
  headers.emplace_back("x-request-id", record.id);
  return std::make_shared<reply>(std::move(stream), std::move(headers), std::move(record), parts_.on_request);
}

void endpoint::handle(http::request request, std::shared_ptr<http::response_stream> stream) {
  const auto matched = find_route(request.path);
  const auto out = open_reply(request, matched ? matched->route->path : std::string_view{}, std::move(stream));
  if (!matched) return handle_unrouted(request, *out);
  const route& found = *matched->route;
  if (cors_.is_preflight(request)) return out->send(cors_.preflight_response(request, allowed_methods(found)));
  if (!allows(found, request.method))
    return out->refuse(wrong_method(request.method, allowed_methods(found)), allowed_methods(found));
  std::string key;
  if (found.needs_key) {
    auto authenticated = authenticate(request, options_.api_keys);
    if (!authenticated) return out->refuse(authenticated.error());
    key = *std::move(authenticated);
  }
  if (found.method == "GET") return answer_get(found.id, matched->rest, *out);
  answer_post(std::make_shared<call>(call{std::move(request), found.id, std::move(key), out}));
}

void endpoint::handle_unrouted(const http::request& request, reply& out) {
  auto asset = parts_.find_page_asset ? parts_.find_page_asset(request.path) : std::nullopt;
  if (!asset) return out.refuse(no_such_path(request.path));
  constexpr std::string_view methods = "GET, HEAD";
  if (request.method != "GET" && request.method != "HEAD")
    return out.refuse(wrong_method(request.method, methods), methods);
  if (is_known_to_client(request, *asset)) *asset = http::response{304, {}, std::move(asset->headers), {}};
  out.send(*std::move(asset));
}

void endpoint::answer_get(route_id id, std::string_view rest, reply& out) {
  switch (id) {
    case route_id::models:
      return out.send(list_models(parts_.model, parts_.embeddings));
    case route_id::model:
      return send_or_refuse(out, describe_model(parts_.model, parts_.embeddings, rest));
    case route_id::tokenizer_info:
      return out.send(describe_tokenizer(parts_.model));
    case route_id::version:
      return out.send(describe_version(options_.version));
    case route_id::health_live:
      return out.send(describe_liveness());
    case route_id::health:
    case route_id::health_ready:
      return send_or_refuse(out, describe_health(parts_.service->status()));
    case route_id::openapi:
      return out.send({200, "application/json", {}, openapi_document_});
    case route_id::metrics:
      if (!parts_.expose_metrics) return out.refuse(no_such_path("/metrics"));
      return out.send({200, "text/plain; version=0.0.4; charset=utf-8", {}, parts_.expose_metrics()});
    default:
      break;
  }
  out.refuse(make_error(errc::internal, "This route has no answer to GET."));
}

void endpoint::answer_post(std::shared_ptr<call> made) {
  if (const auto type = check_content_type(made->request); !type) return made->out->refuse(type.error());
  if (made->request.body.size() <= options_.inline_bytes) return prepare_guarded(made);
  prepare_later(std::move(made));
}

void endpoint::prepare_later(std::shared_ptr<call> made) {
  made->is_queued = true;
  const auto job = [this, made](bool go_on) {
    if (go_on) return prepare_guarded(made);
    made->out->refuse(make_error(errc::unavailable, "The server is shutting down."));
  };
  if (!queue_.push(job))
    made->out->refuse(
        make_error(errc::overloaded, "Too many long requests are being prepared; try again in a moment."));
}

// A failed assertion or an exhausted memory fails this request and no other.
void endpoint::prepare_guarded(const std::shared_ptr<call>& made) {
  try {
    prepare(made);
  } catch (const std::exception&) {
    made->out->refuse(make_error(errc::internal, "The server could not prepare this request."));
  }
}

void endpoint::prepare(const std::shared_ptr<call>& made) {
  if (made->id == route_id::embeddings) return embed(*made);
  if (made->id == route_id::chat_completions || made->id == route_id::completions) return generate(made);
  const auto body = parse_json_object(made->request.body);
  if (!body) return made->out->refuse(body.error());
  const auto answer_with = made->id == route_id::tokenize ? tokenize : detokenize;
  send_or_refuse(*made->out, answer_with(*body, parts_.model, options_.limits));
}

void endpoint::embed(call& made) {
  const served_embeddings& served = parts_.embeddings;
  if (!served.service) return made.out->refuse(no_embeddings());
  const auto body = parse_json_object(made.request.body);
  if (!body) return made.out->refuse(body.error());
  auto request = parse_embedding_request(*body, options_.limits, served.service->dimensions());
  if (!request) return made.out->refuse(request.error());
  made.out->note_user(request->user);
  if (const auto known = check_embedding_model(served, parts_.model, request->model); !known)
    return made.out->refuse(known.error());
  std::string name = request->model.empty() ? served.names.front() : request->model;
  embedding_answer::begin(*std::move(request), std::move(name), *served.service, made.out);
}

void endpoint::generate(const std::shared_ptr<call>& made) {
  generation_fields defaults;
  defaults.sampling = options_.default_sampling;
  const auto objective = objective_of_headers(made->request);
  if (!objective) return made->out->refuse(objective.error());
  defaults.objective = *objective;
  auto named_call = call_of_headers(made->request);
  if (!named_call) return made->out->refuse(named_call.error());
  defaults.call = *std::move(named_call);
  const auto body = parse_json_object(made->request.body);
  if (!body) return made->out->refuse(body.error());

  // A grammar that is not known may take most of a second to compile: not on the HTTP thread.
  bool later = false;
  const auto plan_with = [&](auto parsed, auto plan) -> result<generation_plan> {
    if (!parsed) return parsed.error();
    const output_grammar& grammar = parsed->common.sampling.grammar;
    later = options_.queue_grammars && !made->is_queued && parts_.model.grammars &&
            grammar.kind != grammar_kind::none && !parts_.model.grammars->knows(grammar);
    if (later) return generation_plan();
    plan_context context;
    context.answer_id = hex_id(fresh_random(), fresh_random());
    context.created = seconds_since_1970();
    context.fingerprint = options_.fingerprint;
    context.tenant = tenant_of(made->key, parsed->common.cache_salt);
    context.fresh_seed = fresh_random();
    made->out->note_user(parsed->common.user);
    return plan(*std::move(parsed), parts_.model, *parts_.service, std::move(context));
  };
  auto plan = made->id == route_id::chat_completions
                  ? plan_with(parse_chat_request(*body, options_.limits, std::move(defaults)), plan_chat)
                  : plan_with(parse_completion_request(*body, options_.limits, std::move(defaults)), plan_completion);
  if (later) return prepare_later(made);
  if (!plan) return made->out->refuse(plan.error());
  answer::begin(*std::move(plan), parts_.service, parts_.model.vocabulary, made->out);
}

}  // namespace troupe::openai
