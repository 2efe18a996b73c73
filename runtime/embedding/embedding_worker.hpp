// A thread that owns an embedding model and answers requests in passes of a few hundred tokens. Each pass takes one
// text of each request in turn, so that a request of one sentence does not wait for one of two thousand.
//
// It yields to the engine: its threads run at a lower priority (nice 10), so that streams go on at nearly full speed
// while embeddings take what is left.
//
// Bounded: at most max_requests wait or are being computed; past it submit() refuses. What a request holds is bounded
// by the body it came in.
#pragma once

#include "base/bounded_queue.hpp"
#include "base/embedding_service.hpp"
#include "runtime/embedding/sentence_embedder.hpp"
#include "runtime/parallel/thread_pool.hpp"

#include <atomic>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace troupe {

struct embedding_worker_options {
  std::filesystem::path folder;
  std::string isa;            // of the kernels; empty: the best
  std::uint32_t threads = 0;  // 0: one for each processor
  std::size_t max_requests = 64;
};

class embedding_worker final : public embedding_service {
 public:
  /// Returns when the model is loaded. Errors: what kernels::choose and sentence_embedder::load say.
  static result<std::shared_ptr<embedding_worker>> start(const embedding_worker_options& options);
  /// Requests that wait end as unavailable.
  ~embedding_worker() override;

  std::uint32_t dimensions() const override { return embedder_->dimensions(); }
  std::uint32_t max_tokens() const override { return embedder_->max_tokens(); }
  std::uint32_t vocabulary_size() const override { return embedder_->vocabulary_size(); }
  result<> submit(std::vector<embedding_input> inputs, std::shared_ptr<embedding_observer> observer) override;

 private:
  struct job {
    std::vector<embedding_input> inputs;
    std::shared_ptr<embedding_observer> observer;
    std::vector<token_id> tokens;  // of the next input, when they did not fit the last pass
    std::size_t n_taken = 0;       // inputs that are computed or in the pass at hand
    embeddings made;
  };
  /// One text of the pass at hand.
  struct taken {
    job* from;
    std::size_t input;
    std::vector<token_id> tokens;
  };

  explicit embedding_worker(const embedding_worker_options& options)
      : options_(options), queue_(options.max_requests) {}

  void run(std::promise<result<>> started);
  result<> load();
  void take_requests();
  void fill_pass();
  bool take_text(job& from, std::size_t& n_rows);
  void compute_pass();
  void answer_finished();
  void end(job& ended, result<embeddings> made);
  void refuse_all();

  const embedding_worker_options options_;
  std::atomic<std::size_t> n_requests_{0};
  bounded_queue<std::unique_ptr<job>> queue_;

  // The thread's own.
  std::unique_ptr<thread_pool> pool_;
  std::unique_ptr<sentence_embedder> embedder_;  // its numbers are read by others too, once it is there
  std::deque<std::unique_ptr<job>> jobs_;        // in the order of their turns
  std::vector<taken> pass_;
  std::vector<std::span<const token_id>> pass_tokens_;
  std::vector<float> pass_vectors_;

  std::thread thread_;
};

}  // namespace troupe
