#include "runtime/engine/cpu_engine.hpp"

#include "base/assert.hpp"
#include "runtime/gguf/gguf_file.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace troupe {
namespace {

constexpr std::uint32_t block_tokens = kernels::kv_block_tokens;

result<> check_options(const cpu_engine_options& options) {
  const auto refuse = [](const char* param, std::string message) {
    return make_error(errc::invalid_argument, std::move(message), param);
  };
  if (options.max_sequences < 1 || options.max_sequences > max_engine_sequences)
    return refuse("max_sequences", "max_sequences must be 1 to " + std::to_string(max_engine_sequences) + ".");
  if (options.max_batched_tokens < 1 || options.max_batched_tokens > max_engine_batched_tokens)
    return refuse("max_batched_tokens",
                  "max_batched_tokens must be 1 to " + std::to_string(max_engine_batched_tokens) + ".");
  if (options.max_guesses > max_engine_guesses)
    return refuse("max_guesses", "max_guesses must be 0 to " + std::to_string(max_engine_guesses) + ".");
  return {};
}

/// Blocks that the budget pays for, and no more than all sequences together can use.
std::uint32_t choose_blocks(const cpu_engine_options& options, std::size_t block_bytes, std::uint32_t max_context) {
  const std::size_t useful = std::size_t{options.max_sequences} * ((max_context + block_tokens - 1) / block_tokens);
  return static_cast<std::uint32_t>(std::min({options.kv_bytes / block_bytes, useful, std::size_t{UINT32_MAX / 2}}));
}

/// engine_status::row_cost: a step of one row reads all weights, a further row multiplies by them once more. From
/// `troupe bench engine`: (time of a step of 16 rows - of one row) / 15 / of one row; 0.32 with AVX-512, 0.41 with
/// AVX2.
constexpr float decoding_row_cost = 0.4f;

/// engine_status::attention_context. Attention multiplies floats, the matrices multiply bytes at about twice the rate
/// (`troupe bench kernels`).
std::uint32_t balanced_context(const model_config& config) {
  constexpr std::uint64_t byte_rate = 2;
  const std::uint64_t matrices = std::uint64_t{config.n_embd} * (config.q_dim() + 2 * config.kv_dim()) +
                                 std::uint64_t{config.q_dim()} * config.n_embd +
                                 std::uint64_t{3} * config.n_embd * config.n_ff;  // multiply-adds a token and layer
  const std::uint64_t attention = std::uint64_t{2} * config.q_dim();              // the same for each token of context
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(1, matrices / byte_rate / attention));
}

}  // namespace

result<kv_plan> cpu_engine::plan_kv(const gguf_file& file, const cpu_engine_options& options) {
  if (auto fine = check_options(options); !fine) return fine.error();
  const auto config = read_model_config(file);
  if (!config) return config.error();
  kv_plan plan;
  plan.layout = {options.kv, config->n_kv_heads, config->head_dim};
  const std::uint32_t wished =
      options.max_context ? std::min(options.max_context, config->context_length) : config->context_length;
  const std::size_t block_bytes = kv_storage::bytes_per_block(plan.layout, config->n_layers);
  plan.n_blocks = choose_blocks(options, block_bytes, wished);
  if (plan.n_blocks == 0)
    return make_error(errc::invalid_argument,
                      "A KV budget of " + std::to_string(options.kv_bytes) + " bytes holds no block; one takes " +
                          std::to_string(block_bytes) + ".",
                      "kv_bytes");
  // A sequence that runs alone must be able to reach its end.
  plan.max_context =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(wished, std::uint64_t{plan.n_blocks} * block_tokens));
  return plan;
}

result<std::unique_ptr<cpu_engine>> cpu_engine::create(std::shared_ptr<const gguf_file> file,
                                                       std::shared_ptr<const tokenizer> vocabulary,
                                                       const cpu_engine_options& options,
                                                       std::shared_ptr<vocabulary_grammars> grammars) {
  const auto plan = plan_kv(*file, options);
  if (!plan) return plan.error();
  const auto table = kernels::choose(options.isa);
  if (!table) return table.error();
  const auto config = read_model_config(*file);
  if (!config) return config.error();
  if (vocabulary->vocabulary_size() > config->n_vocab)
    return make_error(errc::corrupt, "The tokenizer has " + std::to_string(vocabulary->vocabulary_size()) +
                                         " tokens, but the model only " + std::to_string(config->n_vocab) + ".");

  // Before loading, which gives the file's pages back.
  const kv_fingerprint fingerprint = make_fingerprint(*file, plan->layout, config->n_layers, **table);
  auto pool = std::make_unique<thread_pool>(options.n_threads);
  auto model = decoder_model::load(std::move(file), **table, *pool,
                                   {.max_rows = options.max_batched_tokens, .max_positions = plan->max_context});
  if (!model) return model.error();
  auto kv = kv_storage::create(plan->layout, config->n_layers, plan->n_blocks);
  if (!kv) return kv.error();
  if (!grammars) grammars = std::make_shared<vocabulary_grammars>(vocabulary);
  return std::unique_ptr<cpu_engine>(new cpu_engine(std::move(pool), std::move(*model), std::move(*kv),
                                                    std::move(vocabulary), std::move(grammars), options,
                                                    plan->max_context, fingerprint));
}

cpu_engine::cpu_engine(std::unique_ptr<thread_pool> pool, std::unique_ptr<decoder_model> model, kv_storage kv,
                       std::shared_ptr<const tokenizer> vocabulary, std::shared_ptr<vocabulary_grammars> grammars,
                       const cpu_engine_options& options, std::uint32_t max_context, const kv_fingerprint& fingerprint)
    : pool_(std::move(pool)),
      model_(std::move(model)),
      kv_(std::move(kv)),
      vocabulary_(std::move(vocabulary)),
      grammars_(std::move(grammars)),
      max_context_(max_context),
      max_sequences_(options.max_sequences),
      max_guesses_(options.max_guesses),
      fingerprint_(fingerprint),
      blocks_(kv_.n_blocks()) {
  if (options.prefix_caching)
    index_ = std::make_unique<prefix_index>(blocks_,
                                            std::to_string(fingerprint.low) + "|" + std::to_string(fingerprint.high));
  for (std::uint32_t worker = 0; worker < pool_->size(); ++worker)
    samplers_.emplace_back(model_->table(), model_->config().n_vocab);
  for (std::uint32_t id = 0; id < vocabulary_->vocabulary_size(); ++id)
    if (vocabulary_->is_end(static_cast<token_id>(id))) end_tokens_.push_back(static_cast<token_id>(id));
  const std::size_t most = std::min(max_sequences_, model_->max_rows());
  grants_.reserve(most);
  slices_.reserve(most);
}

cpu_engine::~cpu_engine() = default;

result<> cpu_engine::check(const generation_request& request) const {
  if (auto valid = validate(request.sampling); !valid) return valid.error();
  const auto refuse = [](const char* param, std::string message) {
    return make_error(errc::invalid_argument, std::move(message), param);
  };
  const auto unknown = [&](token_id token) {
    return token < 0 || static_cast<std::uint32_t>(token) >= config().n_vocab;
  };
  const std::string range = " is outside the vocabulary of " + std::to_string(config().n_vocab) + ".";
  if (request.prompt.empty()) return refuse("prompt", "The prompt is empty; it must have at least one token.");
  for (const auto* tokens : {&request.prompt, &request.resumed})
    for (const token_id token : *tokens)
      if (unknown(token)) return refuse("prompt", "The token " + std::to_string(token) + range);
  for (const auto& [token, bias] : request.sampling.logit_bias)
    if (unknown(token)) return refuse("logit_bias", "The token " + std::to_string(token) + range);
  if (request.sampling.logprobs > max_engine_logprobs || request.sampling.prompt_logprobs > max_engine_logprobs)
    return refuse("logprobs", "At most " + std::to_string(max_engine_logprobs) + " logprobs can be asked for.");

  // A resumed sequence may have reached the end of the context; a prompt must leave room for the token it asks for.
  const std::size_t n = request.prompt.size() + request.resumed.size();
  const bool wants_room = request.resumed.empty() && request.sampling.max_tokens > 0;
  if (n + (wants_room ? 1 : 0) <= max_context_) return {};
  return make_error(errc::context_length_exceeded,
                    "The context holds " + std::to_string(max_context_) +
                        " tokens, prompt and answer together, but the prompt has " + std::to_string(n) + ".",
                    "prompt");
}

result<sequence_id> cpu_engine::add(generation_request request) {
  if (auto fine = check(request); !fine) return fine.error();
  auto constraint = make_constraint(request);
  if (!constraint) return constraint.error();
  const sequence_id id{next_id_++};
  sequence_blocks blocks(blocks_, index_.get(), request.tenant);
  sequences_.push_back(make_sequence(id, std::move(request), *std::move(constraint), std::move(blocks)));
  return id;
}

std::unique_ptr<engine_sequence> cpu_engine::make_sequence(sequence_id id, generation_request request,
                                                           std::optional<grammar_constraint> constraint,
                                                           sequence_blocks blocks) {
  return std::make_unique<engine_sequence>(id, std::move(request), std::move(constraint), *vocabulary_, end_tokens_,
                                           std::move(blocks), max_context_, max_guesses_);
}

result<std::optional<grammar_constraint>> cpu_engine::make_constraint(const generation_request& request) {
  using made = std::optional<grammar_constraint>;
  if (request.sampling.grammar.kind == grammar_kind::none) return made();
  auto matcher = grammars_->find(request.sampling.grammar);
  if (!matcher) return matcher.error();
  grammar_constraint constraint(*std::move(matcher));
  for (const token_id token : request.resumed)
    if (!constraint.accept(token))
      return make_error(errc::invalid_argument, "The tokens to resume from are not of the request's grammar.",
                        "resumed");
  return made(std::move(constraint));
}

void cpu_engine::remove(sequence_id id) {
  std::erase_if(sequences_, [&](const auto& sequence) { return sequence->id() == id; });
  arrivals_.erase(id);
}

engine_sequence* cpu_engine::find(sequence_id id) const {
  const auto at = std::lower_bound(sequences_.begin(), sequences_.end(), id,
                                   [](const auto& sequence, sequence_id wanted) { return sequence->id() < wanted; });
  return at != sequences_.end() && (*at)->id() == id ? at->get() : nullptr;
}

std::uint32_t cpu_engine::n_admitted() const {
  const auto n = std::count_if(sequences_.begin(), sequences_.end(), [](const auto& s) { return s->admitted(); });
  return static_cast<std::uint32_t>(static_cast<std::size_t>(n) + arrivals_.size());
}

std::vector<sequence_output> cpu_engine::step(const step_plan& plan) {
  for (const sequence_id id : plan.preempt)
    if (engine_sequence* sequence = find(id); sequence && !sequence->paused()) sequence->preempt();
  grants_.clear();
  slices_.clear();
  n_granted_ = 0;
  for (const step_grant& wish : plan.grants)
    grant_tokens(wish);
  for (const grant& g : grants_) {
    const engine_sequence& s = *g.sequence;
    slices_.push_back({.tokens = s.tokens().subspan(s.n_computed(), g.n_tokens),
                       .first_position = s.n_computed(),
                       .blocks = s.blocks().blocks(),
                       .n_logits = s.logits_wanted(g.n_tokens)});
  }
  run_model();

  std::vector<sequence_output> outputs;
  outputs.reserve(grants_.size());
  for (const grant& g : grants_) {
    sequence_output output;
    if (!g.sequence->complete(g.n_tokens, output)) continue;
    guesses_tried_ += g.n_guesses;
    if (!output.tokens.empty()) guesses_right_ += output.tokens.size() - 1;  // one is drawn without a guess
    if (output.reason != finish_reason::unfinished) remove(output.id);
    outputs.push_back(std::move(output));
  }
  return outputs;
}

void cpu_engine::run_model() {
  const bool heard = std::any_of(grants_.begin(), grants_.end(), [](const grant& g) { return g.sequence->listener(); });
  computing_ = true;
  model_->forward(slices_, kv_, *this, heard ? this : nullptr);
  computing_ = false;
}

void cpu_engine::grant_tokens(const step_grant& wish) {
  engine_sequence* sequence = find(wish.id);
  if (!sequence || sequence->paused() || wish.n_tokens == 0) return;
  const std::uint32_t room = std::min(wish.n_tokens, model_->max_rows() - n_granted_);
  if (room == 0 || grants_.size() == grants_.capacity()) return;
  TROUPE_ASSERT(std::none_of(grants_.begin(), grants_.end(), [&](const grant& g) { return g.sequence == sequence; }),
                "a plan grants a sequence once");
  if (!sequence->admitted() && (n_admitted() >= max_sequences_ || !sequence->admit(room))) return;
  const std::uint32_t n_left = sequence->n_known() - sequence->n_computed();
  const std::uint32_t n_tokens = std::min(room, n_left + sequence->n_guessed());
  if (!sequence->reserve(n_tokens)) return;
  grants_.push_back({sequence, n_tokens, n_tokens - std::min(n_tokens, n_left)});
  n_granted_ += n_tokens;
}

void cpu_engine::take(std::size_t slice, std::size_t position, std::span<const float> logits, std::uint32_t worker) {
  const auto absolute = slices_[slice].first_position + static_cast<std::uint32_t>(position);
  grants_[slice].sequence->take_logits(absolute, logits, table(), samplers_[worker]);
}

engine_status cpu_engine::status() const {
  engine_status status;
  status.block_tokens = block_tokens;
  status.blocks_total = blocks_.total();
  status.blocks_free = blocks_.free();
  status.blocks_cached = blocks_.cached();
  status.max_context = max_context_;
  status.max_batched_tokens = model_->max_rows();
  status.max_sequences = max_sequences_;
  const auto n_paused =
      std::count_if(sequences_.begin(), sequences_.end(), [](const auto& s) { return s->admitted() && s->paused(); });
  status.sequences_in_transfer = static_cast<std::uint32_t>(static_cast<std::size_t>(n_paused) + arrivals_.size());
  status.row_cost = decoding_row_cost;
  status.guesses_tried = guesses_tried_;
  status.guesses_right = guesses_right_;
  status.attention_context = balanced_context(model_->config());
  if (index_) {
    status.prefix_tokens_queried = index_->stats().tokens_queried;
    status.prefix_tokens_hit = index_->stats().tokens_hit;
  }
  return status;
}

std::vector<sequence_status> cpu_engine::sequences() const {
  std::vector<sequence_status> all;
  all.reserve(sequences_.size());
  for (const auto& s : sequences_)
    if (!s->paused())
      all.push_back(
          {s->id(), s->n_known(), s->n_computed(), s->blocks().size(), s->admitted(), s->n_guessed(), s->acceptance()});
  return all;
}

void cpu_engine::reset_prefix_cache() {
  if (index_) index_->reset();
}

result<> cpu_engine::audit() const {
  if (auto fine = blocks_.audit(); !fine) return fine;
  if (index_)
    if (auto fine = index_->audit(); !fine) return fine;
  std::vector<block_handle> held;  // once for each reference
  const auto add = [&](std::span<const block_handle> blocks) { held.insert(held.end(), blocks.begin(), blocks.end()); };
  for (const auto& sequence : sequences_)
    add(sequence->blocks().blocks());
  for (const auto& [id, arriving] : arrivals_)
    add(arriving.blocks.blocks());
  for (const auto& [id, hold] : holds_)
    add(hold.blocks());

  std::vector<std::uint32_t> holders(blocks_.total(), 0);
  for (const block_handle block : held) {
    if (!blocks_.is_current(block))
      return make_error(errc::internal, "Block " + std::to_string(block.index) + " is held by an outdated handle.");
    ++holders[block.index];
  }
  for (const block_handle block : held)
    if (holders[block.index] != blocks_.references(block))
      return make_error(errc::internal,
                        "Block " + std::to_string(block.index) + " has other references than those of its holders.");
  const auto n_held =
      static_cast<std::uint32_t>(std::count_if(holders.begin(), holders.end(), [](std::uint32_t n) { return n > 0; }));
  if (n_held != blocks_.used())
    return make_error(errc::internal, std::to_string(blocks_.used()) + " blocks are used, but " +
                                          std::to_string(n_held) + " are held.");
  return {};
}

}  // namespace troupe
