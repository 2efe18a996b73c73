#include "simulator/simulated_engine.hpp"

#include "base/assert.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <utility>

namespace troupe::simulator {
namespace {

constexpr std::uint32_t block_tokens = kernels::kv_block_tokens;
constexpr std::uint64_t first_sum = 0x5eed;

std::uint64_t cell_of(std::uint64_t sum, std::uint32_t layer) {
  return random_bits(sum, layer);
}

}  // namespace

namespace {

std::uint64_t answer_seed(const std::vector<token_id>& prompt, std::uint64_t seed) {
  std::uint64_t hash = seed;
  for (const token_id token : prompt)
    hash = random_bits(hash, static_cast<std::uint64_t>(token));
  return hash;
}

token_id draw_token(std::uint64_t seed, std::uint32_t index) {
  return static_cast<token_id>(random_bits(seed, index) % 1000);
}

}  // namespace

token_id answer_token(const std::vector<token_id>& prompt, std::uint64_t seed, std::uint32_t index) {
  return draw_token(answer_seed(prompt, seed), index);
}

std::vector<token_id> whole_answer(const generation_request& request) {
  std::vector<token_id> tokens;
  for (std::uint32_t i = 0; i < request.sampling.max_tokens; ++i)
    tokens.push_back(answer_token(request.prompt, request.sampling.seed, i));
  return tokens;
}

simulated_engine::simulated_engine(options opts)
    : options_(std::move(opts)),
      kv_(std::size_t{options_.blocks} * n_layers * layer_cells()),
      pool_(options_.blocks),
      index_(options_.prefix_caching ? std::make_unique<prefix_index>(pool_, "simulated") : nullptr) {}

simulated_engine::~simulated_engine() {
  tell("end");
  // The tables go before the index and the pool that they name.
  holds_.clear();
  sequences_.clear();
  arrivals_.clear();
}

void simulated_engine::violate(const std::string& what) const {
  if (!options_.on_violation) TROUPE_ASSERT(false, what.c_str());
  options_.on_violation(what);
}

std::span<std::uint64_t> simulated_engine::cells(block_handle block) {
  const std::size_t n = std::size_t{n_layers} * layer_cells();
  return std::span(kv_).subspan(block.index * n, n);
}

/// Every K and V of the first n positions is what it must be.
void simulated_engine::read_all(const sequence& s, std::uint32_t n, std::string_view where) const {
  if (!options_.watch_kv) return;
  for (std::uint32_t p = 0; p < n; ++p) {
    const block_handle block = s.blocks.blocks()[p / block_tokens];
    if (!pool_.is_current(block)) return violate("a block of another generation, " + std::string(where));
    for (std::uint32_t layer = 0; layer < n_layers; ++layer) {
      const std::size_t at = (std::size_t{block.index} * n_layers + layer) * block_tokens + p % block_tokens;
      if (kv_[at] == cell_of(s.sums[p], layer)) continue;
      return violate("wrong K and V at position " + std::to_string(p) + " of " + std::to_string(n) + ", layer " +
                     std::to_string(layer) + ", " + std::string(where));
    }
  }
}

void simulated_engine::append(sequence& s, token_id token) const {
  s.tokens.push_back(token);
  if (!options_.watch_kv) return;
  const std::uint64_t before = s.sums.empty() ? first_sum : s.sums.back();
  s.sums.push_back(random_bits(before, static_cast<std::uint64_t>(token)));
}

simulated_engine::sequence simulated_engine::make_sequence(generation_request request, sequence_blocks blocks) const {
  sequence s{.request = std::move(request), .tokens = {}, .sums = {}, .blocks = std::move(blocks)};
  s.n_prompt = static_cast<std::uint32_t>(s.request.prompt.size());
  s.answer_seed = answer_seed(s.request.prompt, s.request.sampling.seed);
  if (options_.answer_length) s.n_answer = options_.answer_length(s.request.id);
  for (const auto* tokens : {&s.request.prompt, &s.request.resumed})
    for (const token_id token : *tokens)
      append(s, token);
  for (std::uint32_t i = 0; i < s.n_output(); ++i)
    if (s.tokens[s.n_prompt + i] != draw_token(s.answer_seed, i))
      violate("a sequence goes on from a token at index " + std::to_string(i) + " that was never drawn");
  s.prompt_logprobs_due = s.request.sampling.prompt_logprobs >= 0 && s.request.resumed.empty();
  return s;
}

result<> simulated_engine::check(const generation_request& request) const {
  if (request.prompt.empty()) return make_error(errc::invalid_argument, "The prompt is empty.", "prompt");
  if (request.prompt.size() + request.sampling.max_tokens > options_.max_context)
    return make_error(errc::context_length_exceeded, "The prompt is too long.", "prompt");
  return {};
}

result<sequence_id> simulated_engine::add(generation_request request) {
  if (auto fine = check(request); !fine) return fine.error();
  const sequence_id id{++last_id_};
  sequence_blocks blocks(pool_, index_.get(), request.tenant);
  sequences_.emplace(id, make_sequence(std::move(request), std::move(blocks)));
  return id;
}

void simulated_engine::remove(sequence_id id) {
  if (sequences_.erase(id) + arrivals_.erase(id) > 0) tell("remove");
}

std::uint32_t simulated_engine::n_admitted() const {
  const auto n = std::count_if(sequences_.begin(), sequences_.end(), [](const auto& s) { return s.second.admitted; });
  return static_cast<std::uint32_t>(static_cast<std::size_t>(n) + arrivals_.size());
}

void simulated_engine::preempt(sequence& s) {
  s.blocks.release();
  s.n_computed = 0;
  s.admitted = false;
}

void simulated_engine::grant_tokens(const step_grant& wish) {
  const auto found = sequences_.find(wish.id);
  if (found == sequences_.end() || found->second.paused || wish.n_tokens == 0) return;
  sequence& s = found->second;
  if (!s.admitted) {
    if (n_admitted() >= options_.max_sequences) return;
    if (!s.prompt_logprobs_due) s.n_computed = s.blocks.adopt_prefix(s.tokens, s.n_known() - 1);
    if (!s.blocks.reserve(s.n_computed + std::min(wish.n_tokens, s.n_known() - s.n_computed))) return preempt(s);
    s.admitted = true;
    if (!std::exchange(s.was_admitted, true)) s.n_cached = std::min(s.n_computed, s.n_prompt);
  }
  const std::uint32_t n_tokens = std::min(wish.n_tokens, s.n_known() - s.n_computed);
  if (s.blocks.reserve(s.n_computed + n_tokens)) grants_.push_back({wish.id, n_tokens});
}

std::vector<sequence_output> simulated_engine::step(const step_plan& plan) {
  TROUPE_ASSERT(!options_.broken, "a broken engine");
  for (const auto id : plan.preempt)
    if (const auto found = sequences_.find(id); found != sequences_.end() && !found->second.paused) {
      if (options_.on_preempt) options_.on_preempt(found->second.request.id);
      preempt(found->second);
    }
  grants_.clear();
  for (const auto& wish : plan.grants)
    grant_tokens(wish);
  measure();
  compute();
  std::vector<sequence_output> outputs;
  for (const auto& g : grants_)
    complete(g, outputs);
  grants_.clear();
  return outputs;
}

void simulated_engine::measure() {
  shape_ = {};
  for (const auto& g : grants_) {
    const sequence& s = sequences_.at(g.id);
    if (s.n_known() - s.n_computed == 1 && s.n_output() > 0)
      shape_.add_decoding(s.n_known());
    else
      shape_.add_prompt(s.n_computed, s.n_computed + g.n_tokens);
  }
}

/// Layer by layer, as a model does.
void simulated_engine::compute() {
  computing_ = true;
  for (const auto& g : grants_) {
    const sequence& s = sequences_.at(g.id);
    read_all(s, s.n_computed, "in a step");
    if (!options_.on_write) continue;
    for (std::uint32_t b = s.n_computed / block_tokens; b * block_tokens < s.n_computed + g.n_tokens; ++b)
      options_.on_write(std::as_bytes(cells(s.blocks.blocks()[b])));
  }
  for (std::uint32_t layer = 0; layer < n_layers; ++layer) {
    for (const auto& g : grants_) {
      if (!options_.watch_kv) break;
      const sequence& s = sequences_.at(g.id);
      for (std::uint32_t p = s.n_computed; p < s.n_computed + g.n_tokens; ++p)
        cells(s.blocks.blocks()[p / block_tokens])[layer * block_tokens + p % block_tokens] = cell_of(s.sums[p], layer);
    }
    for (const auto& g : grants_)
      if (const sequence& s = sequences_.at(g.id); s.listener != nullptr)
        s.listener->on_layer(g.id, layer, s.n_computed, g.n_tokens);
  }
  computing_ = false;
}

void simulated_engine::complete(const grant& g, std::vector<sequence_output>& outputs) {
  sequence& s = sequences_.at(g.id);
  s.n_computed += g.n_tokens;
  s.blocks.commit(s.tokens, s.n_computed);
  const auto& request = s.request;
  sequence_output output;
  output.id = g.id;
  output.usage.prompt_tokens = s.n_prompt;
  output.usage.cached_tokens = s.n_cached;
  s.n_scored = std::max(s.n_scored, std::min(s.n_computed + 1, s.n_prompt));
  if (s.n_computed < s.n_known()) return;
  if (std::exchange(s.prompt_logprobs_due, false)) output.prompt_logprobs = scores(s);
  if (s.n_output() < request.sampling.max_tokens) {
    generated_token token;
    token.index = s.n_output();
    token.token = draw_token(s.answer_seed, token.index);
    if (options_.watch_kv) token.text = std::to_string(token.token) + " ";
    append(s, token.token);
    output.tokens.push_back(std::move(token));
  }
  output.usage.completion_tokens = s.n_output();
  const bool ended = s.n_answer > 0 && s.n_output() >= s.n_answer;
  const bool done = ended || s.n_output() >= request.sampling.max_tokens;
  if (done) output.reason = ended ? finish_reason::stop : finish_reason::length;
  outputs.push_back(std::move(output));
  if (done) sequences_.erase(g.id);
}

/// Of the prompt's tokens that have a score.
std::vector<prompt_token_logprob> simulated_engine::scores(const sequence& s) const {
  std::vector<prompt_token_logprob> all;
  for (std::uint32_t i = 0; i < s.n_scored; ++i) {
    const float logprob = i == 0 ? 0.0f : -static_cast<float>(random_bits(s.sums[i], 99) % 1000) / 100.0f;
    all.push_back({s.tokens[i], logprob, {}});
  }
  return all;
}

engine_status simulated_engine::status() const {
  engine_status status;
  status.block_tokens = block_tokens;
  status.blocks_total = pool_.total();
  status.blocks_free = pool_.free();
  status.blocks_cached = pool_.cached();
  status.max_context = options_.max_context;
  status.max_batched_tokens = options_.max_batched_tokens;
  status.max_sequences = options_.max_sequences;
  status.attention_context = options_.attention_context;
  const auto n_paused = std::count_if(sequences_.begin(), sequences_.end(),
                                      [](const auto& s) { return s.second.admitted && s.second.paused; });
  status.sequences_in_transfer = static_cast<std::uint32_t>(static_cast<std::size_t>(n_paused) + arrivals_.size());
  if (!index_) return status;
  status.prefix_tokens_queried = index_->stats().tokens_queried;
  status.prefix_tokens_hit = index_->stats().tokens_hit;
  return status;
}

std::vector<sequence_status> simulated_engine::sequences() const {
  std::vector<sequence_status> all;
  for (const auto& [id, s] : sequences_)
    if (!s.paused) all.push_back({id, s.n_known(), s.n_computed, s.blocks.size(), s.admitted});
  return all;
}

void simulated_engine::reset_prefix_cache() {
  if (index_) index_->reset();
}

result<> simulated_engine::audit() const {
  if (auto fine = pool_.audit(); !fine) return fine;
  if (index_)
    if (auto fine = index_->audit(); !fine) return fine;
  std::vector<std::uint32_t> holders(pool_.total(), 0);
  std::vector<block_handle> held;
  const auto add = [&](std::span<const block_handle> blocks) { held.insert(held.end(), blocks.begin(), blocks.end()); };
  for (const auto& [id, s] : sequences_)
    add(s.blocks.blocks());
  for (const auto& [id, arriving] : arrivals_)
    add(arriving.blocks.blocks());
  for (const auto& [id, hold] : holds_)
    add(hold.blocks());
  for (const auto block : held) {
    if (!pool_.is_current(block)) return make_error(errc::internal, "a block is held by an outdated handle");
    ++holders[block.index];
  }
  for (const auto block : held)
    if (holders[block.index] != pool_.references(block))
      return make_error(errc::internal, "a block has other references than those of its holders");
  const auto n_held = std::count_if(holders.begin(), holders.end(), [](std::uint32_t n) { return n > 0; });
  if (static_cast<std::uint32_t>(n_held) != pool_.used())
    return make_error(errc::internal, "a block is used by nobody");
  return {};
}

}  // namespace troupe::simulator
