#include "actors/node.hpp"

#include "actors/gateway/gateway.hpp"
#include "actors/messages.hpp"
#include "actors/scheduler/scheduler.hpp"
#include "actors/supervisor/supervisor.hpp"
#include "base/build_info.hpp"
#include "runtime/engine/cpu_engine.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/observe/log.hpp"
#include "runtime/observe/metrics.hpp"
#include "runtime/template/chat_template.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <optional>
#include <thread>
#include <utility>

namespace troupe {
namespace {

constexpr std::uint64_t default_kv_bytes = std::uint64_t{512} << 20;

// The actors only pass messages on; the engine has threads of its own.
constexpr std::size_t actor_threads = 2;

struct actor_config : caf::actor_system_config {
  actor_config() {
    set("scheduler.policy", caf::atom("sharing"));  // sleeps when idle; work stealing polls
    set("scheduler.max-threads", actor_threads);
    set("logger.verbosity", caf::atom("quiet"));
    add_message_types<caf::id_block::troupe>();
  }
};

result<cpu_engine_options> make_engine_options(const node_options& options) {
  cpu_engine_options made;
  made.isa = options.isa;
  made.n_threads = options.threads;
  const auto kv = kernels::find_kv_type(options.kv_cache_type);
  if (!kv)
    return make_error(errc::invalid_argument,
                      "unknown KV type '" + options.kv_cache_type + "'; there are: f32, f16, q8_0.", "kv-cache-dtype");
  made.kv = *kv;
  made.kv_bytes = options.kv_cache_bytes != 0 ? options.kv_cache_bytes : default_kv_bytes;
  made.max_context = options.max_model_len;
  made.max_sequences = options.max_num_seqs;
  made.max_batched_tokens = options.max_num_batched_tokens;
  made.prefix_caching = options.enable_prefix_caching;
  made.max_guesses = options.num_speculative_tokens;
  return made;
}

result<std::shared_ptr<const chat_template>> read_template(const node_options& options, const gguf_file& file) {
  const auto own = file.get_string("tokenizer.chat_template");
  if (options.chat_template.empty() && !own) return std::shared_ptr<const chat_template>{};
  auto parsed = chat_template::parse(options.chat_template.empty() ? *own : options.chat_template);
  if (parsed) return parsed;
  // A model must not become unusable because its template wants more than we do; a template given by hand must be
  // right.
  if (!options.chat_template.empty()) return parsed.error();
  log(log_level::warning, "node",
      "the model's chat template cannot be used, so that chats are refused: " + parsed.error().message);
  return std::shared_ptr<const chat_template>{};
}

}  // namespace

struct node::implementation {
  std::shared_ptr<const gguf_file> file;
  std::shared_ptr<const tokenizer> vocabulary;
  std::shared_ptr<vocabulary_grammars> grammars;
  std::shared_ptr<const chat_template> chat;
  std::string template_source;
  std::shared_ptr<troupe::metrics> figures;
  std::string name;
  std::uint32_t max_context = 0;
  std::unique_ptr<engine>
      first_engine;  // made before the actors, so that a bad model is an error and not a dead worker
  cpu_engine_options engine_options;
  node_options options;

  actor_config config;
  std::optional<caf::actor_system> system;
  caf::actor scheduler, gateway, supervisor;
  std::shared_ptr<gateway_service> service;

  result<std::unique_ptr<engine>> make_engine() {
    if (first_engine) return std::move(first_engine);
    auto made = cpu_engine::create(file, vocabulary, engine_options, grammars);
    if (!made) return made.error();
    return std::unique_ptr<engine>(*std::move(made));
  }

  result<std::unique_ptr<engine_driver>> make_driver(worker_id worker, engine_driver::listener report) {
    auto policy = policies::make_batching_policy(options.scheduler);
    if (!policy) return policy.error();
    auto made = make_engine();
    if (!made) return made.error();
    auto runner = std::make_unique<engine_runner>(worker, *std::move(made), *std::move(policy),
                                                  options.interleaved_prefill_tokens);
    return std::unique_ptr<engine_driver>(
        std::make_unique<threaded_engine_driver>(std::move(runner), std::move(report)));
  }

  void spawn_cast(std::shared_ptr<const policies::dispatch_policy> dispatch) {
    system.emplace(config);
    scheduler = system->spawn(
        scheduler_actor,
        scheduler_config{.dispatch = std::move(dispatch), .queue_capacity = options.max_queue, .metrics = figures});
    const auto board = std::make_shared<status_board>();
    gateway = system->spawn(gateway_actor, gateway_config{scheduler, board, figures});
    supervisor_config supervising;
    supervising.scheduler = scheduler;
    supervising.make_driver = [this](worker_id worker, engine_driver::listener report) {
      return make_driver(worker, std::move(report));
    };
    supervising.on_restart = [figures = figures] { figures->count_worker_restart(); };
    supervisor = system->spawn(supervisor_actor, supervising);
    service = std::make_shared<gateway_service>(gateway, board);
  }

  // The first report of the worker says that it is able; without it a request sent at once would be refused.
  bool wait_until_ready(std::chrono::milliseconds longest) const {
    const auto end = std::chrono::steady_clock::now() + longest;
    while (!service->status().ready) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  ~implementation() {
    if (!system) return;
    for (const auto& actor : {supervisor, gateway, scheduler})
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    service.reset();
    supervisor = gateway = scheduler = caf::actor{};
    system.reset();  // waits for all actors, and they for their engines
  }
};

node::node(std::unique_ptr<implementation> made) : implementation_(std::move(made)) {}
node::~node() = default;

result<std::unique_ptr<node>> node::start(const node_options& options) {
  auto made = std::make_unique<implementation>();
  made->options = options;
  auto dispatch = policies::make_dispatch_policy(options.dispatch);
  if (!dispatch) return dispatch.error();
  if (auto policy = policies::make_batching_policy(options.scheduler); !policy) return policy.error();
  auto engine_options = make_engine_options(options);
  if (!engine_options) return engine_options.error();
  made->engine_options = *engine_options;

  auto file = gguf_file::open(options.model);
  if (!file) return file.error();
  made->file = *std::move(file);
  auto vocabulary = tokenizer::from_gguf(*made->file);
  if (!vocabulary) return vocabulary.error();
  made->vocabulary = *std::move(vocabulary);
  made->grammars = std::make_shared<vocabulary_grammars>(made->vocabulary);
  auto chat = read_template(options, *made->file);
  if (!chat) return chat.error();
  made->chat = *std::move(chat);
  made->template_source = options.chat_template.empty()
                              ? std::string(made->file->get_string("tokenizer.chat_template").value_or(""))
                              : options.chat_template;
  made->name = std::string(made->file->get_string("general.name").value_or(""));
  if (made->name.empty()) made->name = options.model.stem().string();
  made->figures = std::make_shared<metrics>(metrics_options{
      std::string(version()), options.metrics_model_name.empty() ? made->name : options.metrics_model_name});
  auto first = made->make_engine();
  if (!first) return first.error();
  made->first_engine = *std::move(first);
  made->max_context = made->first_engine->status().max_context;

  made->spawn_cast(*std::move(dispatch));
  if (!made->wait_until_ready(std::chrono::seconds(10)))
    return make_error(errc::unavailable, "The worker did not become ready within 10 s.");
  return std::unique_ptr<node>(new node(std::move(made)));
}

generation_service& node::service() {
  return *implementation_->service;
}
std::shared_ptr<generation_service> node::shared_service() {
  return implementation_->service;
}
std::shared_ptr<const tokenizer> node::shared_tokenizer() const {
  return implementation_->vocabulary;
}
std::shared_ptr<vocabulary_grammars> node::shared_grammars() const {
  return implementation_->grammars;
}
std::shared_ptr<const chat_template> node::shared_chat_template() const {
  return implementation_->chat;
}
std::shared_ptr<metrics> node::shared_metrics() const {
  return implementation_->figures;
}
std::uint32_t node::max_context() const {
  return implementation_->max_context;
}
const std::string& node::model_name() const {
  return implementation_->name;
}

bool node::chat_template_uses(std::string_view variable) const {
  return implementation_->chat && implementation_->template_source.find(variable) != std::string::npos;
}

}  // namespace troupe
