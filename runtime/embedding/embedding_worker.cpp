#include "runtime/embedding/embedding_worker.hpp"

#include <algorithm>
#include <utility>

#include <sys/resource.h>
#include <unistd.h>

namespace troupe {
namespace {

constexpr int niceness = 10;

/// Linux keeps a priority for each thread, and threads begin with that of the one that makes them. A thread that is
/// refused a lower priority works all the same.
void lower_priority() {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness);
}

}  // namespace

result<std::shared_ptr<embedding_worker>> embedding_worker::start(const embedding_worker_options& options) {
  std::shared_ptr<embedding_worker> worker(new embedding_worker(options));
  std::promise<result<>> started;
  auto outcome = started.get_future();
  worker->thread_ =
      std::thread([&own = *worker, promise = std::move(started)]() mutable { own.run(std::move(promise)); });
  if (const auto loaded = outcome.get(); !loaded) return loaded.error();
  return worker;
}

embedding_worker::~embedding_worker() {
  queue_.close();
  thread_.join();
}

result<> embedding_worker::submit(std::vector<embedding_input> inputs, std::shared_ptr<embedding_observer> observer) {
  TROUPE_ASSERT(!inputs.empty() && observer, "a request has inputs and somebody who waits for them");
  if (queue_.closed()) return make_error(errc::unavailable, "The server is shutting down.");
  // Counted until it is answered, so that the queue itself never is what is full.
  if (n_requests_.fetch_add(1) >= options_.max_requests) {
    n_requests_.fetch_sub(1);
    return make_error(errc::overloaded, "Too many requests for embeddings are waiting; try again in a moment.");
  }
  auto made = std::make_unique<job>();
  made->inputs = std::move(inputs);
  made->observer = std::move(observer);
  if (queue_.push(std::move(made))) return {};
  n_requests_.fetch_sub(1);
  return make_error(errc::unavailable, "The server is shutting down.");
}

void embedding_worker::run(std::promise<result<>> started) {
  lower_priority();
  auto loaded = load();
  const bool able = loaded.has_value();
  started.set_value(std::move(loaded));
  while (able && !queue_.closed()) {
    take_requests();
    fill_pass();
    compute_pass();
    answer_finished();
  }
  refuse_all();
}

result<> embedding_worker::load() {
  const auto table = kernels::choose(options_.isa);
  if (!table) return table.error();
  pool_ = std::make_unique<thread_pool>(options_.threads);
  auto embedder = sentence_embedder::load(options_.folder, **table, *pool_);
  if (!embedder) return embedder.error();
  embedder_ = std::move(*embedder);
  pass_vectors_.resize(std::size_t{embedder_->encoder().max_rows()} * embedder_->dimensions());
  return {};
}

void embedding_worker::take_requests() {
  for (auto& arrived : jobs_.empty() ? queue_.wait_and_drain() : queue_.drain())
    jobs_.push_back(std::move(arrived));
}

/// Goes round the requests, one text of each at a time, until one does not fit. Who could not be served begins the
/// next.
void embedding_worker::fill_pass() {
  pass_.clear();
  std::size_t n_rows = 0;
  std::size_t n_done = 0;  // requests in a row that have no text left
  while (n_done < jobs_.size()) {
    job& next = *jobs_.front();
    if (next.observer && !next.observer->is_waiting()) next.inputs.clear();
    if (next.n_taken >= next.inputs.size()) {
      ++n_done;
    } else if (take_text(next, n_rows)) {
      n_done = 0;
    } else {
      return;
    }
    std::rotate(jobs_.begin(), jobs_.begin() + 1, jobs_.end());
  }
}

/// False when the text does not fit. A text that is wrong ends its request.
bool embedding_worker::take_text(job& from, std::size_t& n_rows) {
  if (from.tokens.empty()) {
    const std::string name = from.inputs.size() == 1 ? "input" : "input[" + std::to_string(from.n_taken) + "]";
    auto tokens = embedder_->tokens_of(from.inputs[from.n_taken], name);
    if (!tokens) {
      end(from, tokens.error());
      return true;
    }
    from.tokens = std::move(*tokens);
  }
  if (n_rows + from.tokens.size() > embedder_->encoder().max_rows()) return false;
  n_rows += from.tokens.size();
  from.made.vectors.resize(from.inputs.size() * embedder_->dimensions());
  from.made.n_tokens += from.tokens.size();
  pass_.push_back({&from, from.n_taken++, std::exchange(from.tokens, {})});
  return true;
}

void embedding_worker::compute_pass() {
  pass_tokens_.clear();
  for (const taken& text : pass_)
    pass_tokens_.push_back(text.tokens);
  embedder_->encoder().encode(pass_tokens_, pass_vectors_.data());
  const std::size_t n = embedder_->dimensions();
  for (std::size_t i = 0; i < pass_.size(); ++i) {
    job& from = *pass_[i].from;
    if (from.observer) std::copy_n(pass_vectors_.data() + i * n, n, from.made.vectors.data() + pass_[i].input * n);
  }
}

void embedding_worker::answer_finished() {
  for (auto& each : jobs_)
    if (each->observer && !each->inputs.empty() && each->n_taken == each->inputs.size()) {
      embeddings made = std::move(each->made);
      end(*each, std::move(made));
    }
  std::erase_if(jobs_, [&](const auto& each) {
    if (each->observer && !each->inputs.empty()) return false;
    if (each->observer) n_requests_.fetch_sub(1);  // nobody waits for it
    return true;
  });
}

/// The request stays in jobs_, without observer, until the pass at hand has no use of it.
void embedding_worker::end(job& ended, result<embeddings> made) {
  n_requests_.fetch_sub(1);
  ended.inputs.clear();
  std::exchange(ended.observer, nullptr)->on_end(std::move(made));
}

void embedding_worker::refuse_all() {
  for (auto& arrived : queue_.drain())
    jobs_.push_back(std::move(arrived));
  for (auto& each : jobs_)
    if (each->observer) end(*each, make_error(errc::unavailable, "The server is shutting down."));
}

}  // namespace troupe
