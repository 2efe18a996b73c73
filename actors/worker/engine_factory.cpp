#include "actors/worker/engine_factory.hpp"

#include "base/build_info.hpp"
#include "runtime/engine/cpu_engine.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/grammar/vocabulary_grammars.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <utility>

namespace troupe {
namespace {

constexpr std::uint64_t default_kv_bytes = std::uint64_t{512} << 20;

result<cpu_engine_options> make_engine_options(const worker_options& options) {
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

}  // namespace

result<std::shared_ptr<engine_factory>> engine_factory::load(const worker_options& options) {
  if (auto policy = policies::make_batching_policy(options.scheduler, options.batching); !policy) return policy.error();
  auto engine_options = make_engine_options(options);
  if (!engine_options) return engine_options.error();
  std::shared_ptr<engine_factory> made(new engine_factory(options));
  made->engine_options_ = *engine_options;
  auto file = gguf_file::open(options.model);
  if (!file) return file.error();
  made->file_ = *std::move(file);
  auto vocabulary = tokenizer::from_gguf(*made->file_);
  if (!vocabulary) return vocabulary.error();
  made->vocabulary_ = *std::move(vocabulary);
  made->grammars_ = std::make_shared<vocabulary_grammars>(made->vocabulary_);
  made->name_ = std::string(made->file_->get_string("general.name").value_or(""));
  if (made->name_.empty()) made->name_ = options.model.stem().string();
  const auto plan = cpu_engine::plan_kv(*made->file_, made->engine_options_);
  if (!plan) return plan.error();
  made->max_context_ = plan->max_context;
  return made;
}

result<std::unique_ptr<engine>> engine_factory::make_engine() {
  auto made = cpu_engine::create(file_, vocabulary_, engine_options_, grammars_);
  if (!made) return made.error();
  return std::unique_ptr<engine>(*std::move(made));
}

result<> engine_factory::prepare() {
  auto made = make_engine();
  if (!made) return made.error();
  std::lock_guard lock(mutex_);
  prepared_ = *std::move(made);
  return {};
}

result<std::unique_ptr<engine_driver>> engine_factory::make_driver(worker_id worker, engine_driver::listener report) {
  auto policy = policies::make_batching_policy(options_.scheduler, options_.batching);
  if (!policy) return policy.error();
  std::unique_ptr<engine> of;
  {
    std::lock_guard lock(mutex_);
    of = std::move(prepared_);
  }
  if (!of) {
    auto made = make_engine();
    if (!made) return made.error();
    of = *std::move(made);
  }
  engine_runner_options running;
  running.interleaved_prefill_tokens = options_.interleaved_prefill_tokens;
  running.max_running = options_.max_running_seqs;
  running.length_quantile = options_.length_quantile;
  running.lengths = std::make_shared<policies::length_histogram>();  // of the engine's thread alone
  auto runner = std::make_unique<engine_runner>(worker, std::move(of), *std::move(policy), std::move(running));
  return std::unique_ptr<engine_driver>(std::make_unique<threaded_engine_driver>(std::move(runner), std::move(report)));
}

served_content engine_factory::content() const {
  const auto digest = file_->digest();
  return {std::string(version()), name_, digest.low, digest.high};
}

}  // namespace troupe
