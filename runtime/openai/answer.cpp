#include "runtime/openai/answer.hpp"

namespace troupe::openai {

class answer::stream_observer final : public generation_observer {
 public:
  stream_observer(std::shared_ptr<answer> owner, std::size_t index) : owner_(std::move(owner)), index_(index) {}
  void on_prompt_logprobs(std::span<const prompt_token_logprob> prompt) override {
    owner_->take_prompt_logprobs(index_, prompt);
  }
  void on_tokens(std::span<const generated_token> tokens) override { owner_->take_tokens(index_, tokens); }
  void on_end(finish_reason reason, const token_usage& usage, const std::optional<error>& failure) override {
    owner_->take_end(index_, reason, usage, failure);
  }

 private:
  const std::shared_ptr<answer> owner_;
  const std::size_t index_;
};

answer::answer(const generation_plan& plan, std::shared_ptr<generation_service> service,
               std::shared_ptr<const tokenizer> vocabulary, std::shared_ptr<reply> out)
    : format_(plan.format),
      n_(plan.n),
      writer_(plan.format),
      service_(std::move(service)),
      vocabulary_(std::move(vocabulary)),
      reply_(std::move(out)),
      unfinished_(plan.submissions.size()) {
  choices_.reserve(plan.submissions.size());
  for (std::size_t i = 0; i < plan.submissions.size(); ++i) {
    ids_.push_back(plan.submissions[i].id);
    choice& made =
        choices_.emplace_back(choice{.logprobs = logprob_writer(format_.kind, *vocabulary_, format_.alternatives),
                                     .echo = {},
                                     .text = {},
                                     .reader = {},
                                     .calls = {}});
    if (!plan.echoes.empty()) made.echo = plan.echoes[i / n_];
    made.text = made.echo.text;
  }
}

void answer::begin(generation_plan plan, std::shared_ptr<generation_service> service,
                   std::shared_ptr<const tokenizer> vocabulary, std::shared_ptr<reply> out) {
  const auto made = std::make_shared<answer>(plan, std::move(service), std::move(vocabulary), out);
  out->on_disconnect([weak = std::weak_ptr(made)] {
    if (const auto self = weak.lock()) self->lose_client();
  });
  made->submit(std::move(plan));
}

void answer::submit(generation_plan plan) {
  for (std::size_t i = 0; i < plan.submissions.size(); ++i) {
    if (over()) return;  // the client went, or an earlier stream was refused
    generation_request& request = plan.submissions[i];
    // Echo alone needs no model: nothing is to be generated and nothing to be scored.
    if (request.sampling.max_tokens == 0 && request.sampling.prompt_logprobs < 0) {
      take_end(i, finish_reason::length, {static_cast<std::uint32_t>(request.prompt.size()), 0, 0}, std::nullopt);
      continue;
    }
    const request_id id = request.id;
    service_->submit(std::move(request), std::make_shared<stream_observer>(shared_from_this(), i));
    // A cancel that ran before this submit met an id that nobody knew.
    if (over()) service_->cancel(id);
  }
}

bool answer::over() {
  std::lock_guard lock(mutex_);
  return over_;
}

void answer::cancel_all() {
  for (const request_id id : ids_)
    service_->cancel(id);
}

void answer::take_prompt_logprobs(std::size_t index, std::span<const prompt_token_logprob> prompt) {
  std::lock_guard lock(mutex_);
  if (over_ || format_.kind != answer_kind::completion) return;
  choice& own = choices_[index];
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const auto logprob = i == 0 ? std::nullopt : std::optional(prompt[i].logprob);
    own.logprobs.add(prompt[i].token, logprob, prompt[i].top, own.characters);
    if (i == 0 && own.echo.begin_added) continue;
    own.characters += count_characters(vocabulary_->token_bytes(prompt[i].token));
  }
}

void answer::take_tokens(std::size_t index, std::span<const generated_token> tokens) {
  std::lock_guard lock(mutex_);
  if (over_ || tokens.empty()) return;
  reply_->note_first_token();
  choice& own = choices_[index];
  for (const generated_token& token : tokens) {
    if (format_.calls_tools)
      own.reader.read(token.text, own.text, own.calls);
    else
      own.text += token.text;
    if (!format_.logprobs) continue;
    own.logprobs.add(token.token, token.logprob, token.top, own.characters);
    own.characters += count_characters(vocabulary_->token_bytes(token.token));
  }
  if (!format_.stream) return;
  open(index);
  send_text(index);
  send_calls(index);
}

void answer::open(std::size_t index) {
  if (!std::exchange(events_started_, true)) reply_->start_events();
  if (std::exchange(choices_[index].opened, true) || format_.kind != answer_kind::chat) return;
  event_.clear();
  writer_.append_role(event_, index);
  reply_->send_event(event_);
}

// Nothing goes out for tokens whose characters are held back, unless their logprobs do.
void answer::send_text(std::size_t index) {
  choice& own = choices_[index];
  if (own.text.empty() && own.logprobs.empty()) return;
  event_.clear();
  writer_.append_text(event_, index, own.text, own.logprobs.empty() ? nullptr : &own.logprobs);
  reply_->send_event(event_);
  own.text.clear();
  own.logprobs.clear();
}

void answer::send_calls(std::size_t index) {
  choice& own = choices_[index];
  for (; own.n_calls_sent < own.calls.size(); ++own.n_calls_sent) {
    event_.clear();
    writer_.append_call(event_, index, own.n_calls_sent, own.calls[own.n_calls_sent]);
    reply_->send_event(event_);
  }
}

void answer::take_end(std::size_t index, finish_reason reason, const token_usage& usage,
                      const std::optional<error>& failure) {
  bool failed = false;
  {
    std::lock_guard lock(mutex_);
    if (over_) return;
    if (reason == finish_reason::stop || reason == finish_reason::length) {
      end_choice(index, reason, usage);
    } else {
      failed = true;
      fail(failure.value_or(reason == finish_reason::cancelled
                                ? make_error(errc::cancelled, "The request was cancelled.")
                                : make_error(errc::internal, "The request failed without a reason.")));
    }
  }
  if (failed) cancel_all();  // without the lock: a cancel may end a stream at once
}

void answer::end_choice(std::size_t index, finish_reason reason, const token_usage& usage) {
  choice& own = choices_[index];
  own.reason = reason;
  own.reader.finish(own.text);
  usage_.completion_tokens += usage.completion_tokens;
  if (index % n_ == 0) {  // a prompt counts once, however many choices it has
    usage_.prompt_tokens += usage.prompt_tokens;
    usage_.cached_tokens += usage.cached_tokens;
  }
  if (format_.stream) {
    open(index);
    send_text(index);
    event_.clear();
    writer_.append_finish(event_, index, reason, !own.calls.empty());
    reply_->send_event(event_);
  }
  if (--unfinished_ == 0) complete();
}

void answer::complete() {
  over_ = true;
  reply_->note_usage(usage_);
  if (format_.stream) {
    if (format_.include_usage) {
      event_.clear();
      writer_.append_usage(event_, usage_);
      reply_->send_event(event_);
    }
    reply_->send_event("[DONE]");
    return reply_->end_events();
  }
  std::vector<written_choice> written;
  for (const choice& own : choices_)
    written.push_back({own.text, format_.logprobs ? &own.logprobs : nullptr, own.reason, own.calls});
  http::response response;
  response.body = writer_.whole(written, usage_);
  reply_->send(std::move(response));
}

void answer::fail(const error& failure) {
  over_ = true;
  reply_->note_usage(usage_);
  if (events_started_) {
    reply_->fail_events(failure);
  } else {
    reply_->refuse(failure);
  }
}

void answer::lose_client() {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(over_, true)) return;
    reply_->abandon();
  }
  cancel_all();
}

}  // namespace troupe::openai
