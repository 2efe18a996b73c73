// troupe serve: one model behind the OpenAI-compatible endpoint, until a signal says stop.
#include "actors/node.hpp"
#include "base/build_info.hpp"
#include "base/generation_service.hpp"
#include "cli/exit_codes.hpp"
#include "cli/log_setup.hpp"
#include "cli/settings.hpp"
#include "cli/status_line.hpp"
#include "cli/stop_signals.hpp"
#include "cli/verbs.hpp"
#include "cli/worker_launcher.hpp"
#include "runtime/embedding/embedding_worker.hpp"
#include "runtime/http/server.hpp"
#include "runtime/observe/log.hpp"
#include "runtime/observe/metrics.hpp"
#include "runtime/openai/endpoint.hpp"
#include "runtime/openai/errors.hpp"
#include "runtime/page/page.hpp"
#include "runtime/store/model_store.hpp"
#include "transport/address.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>

namespace troupe::cli {
namespace {

struct serve_arguments {
  given_flags flags;
  std::string model;
  std::string file;
};

result<serve_options> read_options(const serve_arguments& arguments) {
  auto values = collect_settings(arguments.flags, arguments.file);
  if (!values) return values.error();
  if (!arguments.model.empty()) (*values)["model"] = {arguments.model, setting_source::flag};
  auto options = make_serve_options(*values);
  if (!options) return options;
  if (!transport::is_loopback(options->http.host) && options->api_keys.empty() && !options->insecure_bind)
    return make_error(errc::invalid_argument,
                      "Listening on " + options->http.host +
                          " would let everybody on the network in. Give clients a key with "
                          "--api-key or --api-key-file, or listen on 127.0.0.1.",
                      "host");
  if (options->node.scaling.max_workers > 0 && options->node.cluster.listen.empty())
    return make_error(errc::invalid_argument,
                      "Further workers need an address to join: give --cluster-listen HOST:PORT.", "max-workers");
  return options;
}

/// Of the settings for scaling; nullptr when there are none.
result<std::unique_ptr<worker_launcher>> make_launcher(const serve_arguments& arguments, const serve_options& options) {
  if (options.node.scaling.max_workers == 0) return std::unique_ptr<worker_launcher>();
  launcher_settings settings;
  settings.launch.program = std::filesystem::read_symlink("/proc/self/exe");
  settings.launch.model = options.model;
  constexpr std::string_view told_apart[] = {"model",   "cluster-listen", "join",     "roles",
                                             "threads", "node-name",      "log-file", "cluster-state-file"};
  settings.launch.shared_flags = say_again(arguments.flags, arguments.file, told_apart);
  settings.launch.threads = options.node.threads;
  settings.launch.ssh = split_words(options.scale_ssh);
  settings.launch.processors = std::max(1u, std::thread::hardware_concurrency());
  settings.share = options.node.scaling.max_workers;
  settings.hook = options.scale_hook;
  settings.log_file = options.log_file;
  if (!options.scale_hostfile.empty()) {
    std::ifstream in(options.scale_hostfile);
    if (!in)
      return make_error(errc::invalid_argument, "Cannot read the host file '" + options.scale_hostfile + "'.",
                        "scale-hostfile");
    std::stringstream all;
    all << in.rdbuf();
    auto hosts = parse_hostfile(all.str(), options.scale_hostfile);
    if (!hosts) return hosts.error();
    settings.hosts = *std::move(hosts);
  }
  return std::make_unique<worker_launcher>(std::move(settings));
}

/// Of the setting embedding-model; without it the names are empty and the service null.
result<openai::served_embeddings> start_embeddings(const serve_options& options) {
  openai::served_embeddings served;
  if (options.embedding_model.empty()) return served;
  const auto folder = resolve_model(options.embedding_model);
  if (!folder) return folder.error();
  auto worker = embedding_worker::start({.folder = *folder, .isa = options.node.isa, .threads = options.node.threads});
  if (!worker) return worker.error();
  // By what people type, as the other model.
  const std::filesystem::path given(options.embedding_model);
  served.names = {given.has_filename() ? given.filename().string() : given.parent_path().filename().string()};
  served.service = *std::move(worker);
  served.created = static_cast<std::int64_t>(std::time(nullptr));
  return served;
}

openai::endpoint_parts make_parts(const serve_options& options, node& running) {
  openai::endpoint_parts parts;
  parts.service = running.shared_service();
  auto& model = parts.model;
  // By default a model goes by what people type: the name of a pulled one, or its file's.
  model.names = options.served_model_names;
  if (model.names.empty()) model.names.push_back(std::filesystem::path(options.model).stem().string());
  model.vocabulary = running.shared_tokenizer();
  model.chat = running.shared_chat_template();
  model.chat_uses_tools = running.chat_template_uses("tools");
  model.grammars = running.shared_grammars();
  model.context_length = running.max_context();
  model.created = static_cast<std::int64_t>(std::time(nullptr));
  const auto metrics = running.shared_metrics();
  parts.expose_metrics = [metrics, &running, vllm = options.metrics_compat == "vllm"] {
    running.refresh_metrics();
    return metrics->expose(vllm);
  };
  parts.find_page_asset = [](std::string_view asset) -> std::optional<http::response> {
    if (const auto found = find_page_asset(asset)) return http::response(*found);
    return std::nullopt;
  };
  parts.on_request = [metrics](const openai::request_record& record) { log_http_request(record, *metrics); };
  return parts;
}

/// Until a signal or an operator says stop.
std::string wait_for_stop(const sigset_t& signals, status_line line, const node& running) {
  constexpr std::chrono::seconds interval{10};
  for (;;) {
    const auto end = std::chrono::steady_clock::now() + interval;
    do {
      if (const int signal = take_stop_signal(signals, std::chrono::milliseconds(500)); signal > 0)
        return "signal " + std::to_string(signal);
      if (running.wait_for_stop(std::chrono::milliseconds(0))) return "told to stop";
    } while (std::chrono::steady_clock::now() < end);
    line.tick(interval);
  }
}

int serve(const serve_arguments& arguments) {
  const auto started = std::chrono::steady_clock::now();
  auto options = read_options(arguments);
  if (!options) {
    fail(options.error());
    return exit_configuration;
  }
  if (auto opened = open_log(*options); !opened) return fail(opened.error());
  const auto path = resolve_model(options->model);
  if (!path) return fail(path.error());
  options->node.model = *path;
  if (!options->served_model_names.empty()) options->node.metrics_model_name = options->served_model_names.front();
  const sigset_t stop_signals = block_stop_signals();

  // Ends after the node, whose scheduler speaks to it.
  const auto launcher = make_launcher(arguments, *options);
  if (!launcher) return fail_to_start(launcher.error());
  if (auto* const of = launcher->get())
    options->node.source = {.start = [of] { of->start(); },
                            .stop = [of](const std::string& name) { of->stop(name); },
                            .owns = [of](const std::string& name) { return of->owns(name); }};
  auto running = node::start(options->node);
  if (!running) return fail_to_start(running.error());
  if (*launcher) (*launcher)->open((*running)->cluster_address());
  openai::endpoint_options endpoint_options;
  endpoint_options.api_keys = options->api_keys;
  endpoint_options.allowed_origins = options->allowed_origins;
  endpoint_options.version = version();
  endpoint_options.fingerprint = "troupe-" + std::string(version()) + "-" + std::string(commit());
  auto parts = make_parts(*options, **running);
  auto embeddings = start_embeddings(*options);
  if (!embeddings) return fail(embeddings.error());
  parts.embeddings = *std::move(embeddings);
  openai::endpoint endpoint(endpoint_options, std::move(parts));
  http::server server(
      options->http, [&](auto request, auto stream) { endpoint.handle(std::move(request), std::move(stream)); },
      openai::format_server_refusal);
  if (auto bound = server.start(); !bound) return fail(bound.error());

  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  log(log_level::info, "serve", "ready",
      {{"url", "http://" + options->http.host + ":" + std::to_string(server.port())},
       {"model", (*running)->model_name()},
       {"cluster", (*running)->cluster_address()},
       {"seconds", took.count()}});
  const auto why = wait_for_stop(stop_signals, status_line((*running)->shared_service()), **running);
  log(log_level::info, "serve", "stopping", {{"reason", why}});
  server.stop(std::chrono::seconds(5));
  return exit_done;
}

}  // namespace

void add_serve_verb(CLI::App& app, int& exit_code) {
  auto* verb = app.add_subcommand("serve", "Serve a model over HTTP, as OpenAI's API.");
  const auto arguments = std::make_shared<serve_arguments>();
  verb->add_option("MODEL", arguments->model, "A GGUF file or the name of a pulled model.");
  verb->add_option("--config,-f", arguments->file, "A configuration file (TOML).")->envname("TROUPE_CONFIG");
  arguments->flags.add_to(*verb);
  verb->callback([arguments, &exit_code] { exit_code = serve(*arguments); });
}

}  // namespace troupe::cli
