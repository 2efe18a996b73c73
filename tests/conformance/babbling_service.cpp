#include "babbling_service.hpp"

#include "base/random.hpp"
#include "runtime/tokenizer/stream_decoder.hpp"

#include <algorithm>

namespace troupe::testing {
namespace {

constexpr std::size_t max_streams = 256;
constexpr float first_logprob = -0.125f;
constexpr float step_logprob = -0.25f;

std::uint64_t fold(const std::vector<token_id>& tokens) {
  std::uint64_t context = tokens.size();
  for (const token_id token : tokens)
    context = random_bits(context, static_cast<std::uint64_t>(token));
  return context;
}

// Where the first of the stop strings begins, and how long it is.
std::pair<std::size_t, std::size_t> find_stop(const std::string& text, const std::vector<std::string>& stops) {
  std::pair<std::size_t, std::size_t> first{std::string::npos, 0};
  for (const auto& stop : stops)
    if (const auto at = text.find(stop); at < first.first) first = {at, stop.size()};
  return first;
}

}  // namespace

babbling_service::babbling_service(std::shared_ptr<const tokenizer> vocabulary,
                                   std::chrono::microseconds between_tokens)
    : vocabulary_(std::move(vocabulary)), between_tokens_(between_tokens), thread_([this] { run(); }) {}

babbling_service::~babbling_service() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

request_id babbling_service::next_request_id() {
  std::lock_guard lock(mutex_);
  return {next_id_++};
}

// Letters mostly, now and then the end. A logit bias of 50 or more decides everything, as with a model.
token_id babbling_service::draw(const sampling_params& sampling, std::uint64_t context, std::uint32_t index) const {
  for (const auto& [token, bias] : sampling.logit_bias)
    if (bias >= 50.0f) return token;
  const std::uint64_t seed = sampling.temperature == 0.0f ? 0 : sampling.seed;
  const std::uint64_t bits = random_bits(random_bits(context, seed), index);
  const bool may_end = !sampling.ignore_eos && index >= sampling.min_tokens;
  if (may_end && bits % 32 == 0) return *vocabulary_->eos();
  return static_cast<token_id>(bits % 5 == 0 ? ' ' : 'a' + (bits >> 8) % 26);
}

std::vector<token_logprob> babbling_service::alternatives(token_id chosen, std::int32_t count) const {
  std::vector<token_logprob> top;
  for (std::int32_t i = 0; i < count; ++i) {
    const token_id token = i == 0 ? chosen : (chosen + i * 7) % static_cast<token_id>(vocabulary_->vocabulary_size());
    top.push_back({token, first_logprob + step_logprob * static_cast<float>(i)});
  }
  return top;
}

babbling_service::stream babbling_service::compose(const generation_request& request) const {
  const sampling_params& sampling = request.sampling;
  stream made;
  made.id = request.id;
  made.usage.prompt_tokens = static_cast<std::uint32_t>(request.prompt.size());
  if (sampling.prompt_logprobs >= 0)
    for (const token_id token : request.prompt)
      made.prompt.push_back({token, first_logprob, alternatives(token, sampling.prompt_logprobs)});
  const std::uint64_t context = fold(request.prompt);
  stream_decoder decoder;
  std::string text;
  while (made.tokens.size() < sampling.max_tokens) {
    const auto index = static_cast<std::uint32_t>(made.tokens.size());
    const token_id token = draw(sampling, context, index);
    const bool asked_to_stop =
        std::find(sampling.stop_tokens.begin(), sampling.stop_tokens.end(), token) != sampling.stop_tokens.end();
    made.tokens.push_back({index, token, {}, first_logprob, alternatives(token, std::max(0, sampling.logprobs))});
    if (asked_to_stop || (vocabulary_->is_end(token) && !sampling.ignore_eos)) {
      made.reason = finish_reason::stop;
      break;
    }
    made.tokens.back().text = decoder.push(vocabulary_->token_bytes(token));
    text += made.tokens.back().text;
    const auto [at, length] = find_stop(text, sampling.stop);
    if (at == std::string::npos) continue;
    // What is past the stop is taken back from the last tokens.
    std::size_t surplus = text.size() - at - (sampling.include_stop_in_output ? length : 0);
    for (auto last = made.tokens.rbegin(); surplus > 0; ++last) {
      const std::size_t cut = std::min(surplus, last->text.size());
      last->text.resize(last->text.size() - cut);
      surplus -= cut;
    }
    made.reason = finish_reason::stop;
    break;
  }
  made.usage.completion_tokens = static_cast<std::uint32_t>(made.tokens.size());
  return made;
}

void babbling_service::submit(generation_request request, std::shared_ptr<generation_observer> observer) {
  auto made = std::make_shared<stream>(compose(request));
  made->observer = observer;
  {
    std::lock_guard lock(mutex_);
    if (streams_.size() < max_streams) {
      totals_.prompt_tokens_total += made->usage.prompt_tokens;
      totals_.generation_tokens_total += made->usage.completion_tokens;
      streams_.push_back(std::move(made));
      observer = nullptr;
    }
  }
  if (observer) return observer->on_end(finish_reason::failed, {}, make_error(errc::overloaded, "The queue is full."));
  wake_.notify_all();
}

void babbling_service::cancel(request_id id) {
  std::lock_guard lock(mutex_);
  for (const auto& open : streams_)
    if (open->id == id) open->cancelled = true;
}

service_status babbling_service::status() const {
  std::lock_guard lock(mutex_);
  service_status now = totals_;
  now.ready = true;
  now.workers = 1;
  now.requests_running = static_cast<std::uint32_t>(streams_.size());
  return now;
}

bool babbling_service::advance(stream& open) {
  if (!open.prompt.empty()) {
    open.observer->on_prompt_logprobs(open.prompt);
    open.prompt.clear();
  }
  if (open.given < open.tokens.size()) {
    open.observer->on_tokens({&open.tokens[open.given], 1});
    if (++open.given < open.tokens.size()) return false;
  }
  open.observer->on_end(open.reason, open.usage, std::nullopt);
  return true;
}

void babbling_service::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !streams_.empty(); });
    if (stopping_) return;
    const auto open = streams_;
    std::vector<request_id> ended;
    for (const auto& each : open) {
      const bool cancelled = each->cancelled;
      lock.unlock();  // observers may call back
      if (cancelled) each->observer->on_end(finish_reason::cancelled, each->usage, std::nullopt);
      if (cancelled || advance(*each)) ended.push_back(each->id);
      lock.lock();
    }
    std::erase_if(streams_,
                  [&](const auto& each) { return std::find(ended.begin(), ended.end(), each->id) != ended.end(); });
    wake_.wait_for(lock, between_tokens_, [this] { return stopping_; });
  }
}

}  // namespace troupe::testing
