// The worker: answers are the encoder's own, requests take turns, the bound refuses, who has left is not computed for,
// and a worker that goes tells those who wait.
#include "runtime/embedding/embedding_worker.hpp"

#include "catch.hpp"
#include "tiny_bert.hpp"

#include <atomic>
#include <cmath>
#include <future>

using namespace troupe;
using test::tiny_bert;

namespace {

class waiting_observer final : public embedding_observer {
 public:
  bool is_waiting() const override { return waits; }
  void on_end(result<embeddings> made) override {
    order = ++n_ended;
    promise_.set_value(std::move(made));
  }
  result<embeddings> take() {
    REQUIRE(future_.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
    return future_.get();
  }

  std::atomic<bool> waits = true;
  int order = 0;
  static inline std::atomic<int> n_ended = 0;

 private:
  std::promise<result<embeddings>> promise_;
  std::future<result<embeddings>> future_ = promise_.get_future();
};

std::shared_ptr<embedding_worker> start(const tiny_bert& model, std::size_t max_requests = 64) {
  auto worker =
      embedding_worker::start({.folder = model.folder().path(), .isa = {}, .threads = 2, .max_requests = max_requests});
  if (!worker) FAIL(worker.error().message);
  return *std::move(worker);
}

std::vector<embedding_input> texts(std::size_t n) {
  std::vector<embedding_input> inputs;
  for (std::size_t i = 0; i < n; ++i)
    inputs.emplace_back(std::string(1 + i % 3, static_cast<char>('a' + i % 16)) + " b c d");
  return inputs;
}

}  // namespace

TEST_CASE("a worker's vectors are the encoder's, in the order of the inputs", "[embedding]") {
  const tiny_bert model;
  const auto worker = start(model);
  CHECK(worker->dimensions() == tiny_bert::n_embd);
  const auto observer = std::make_shared<waiting_observer>();
  const std::vector<embedding_input> inputs = {std::string("a b"), std::vector<token_id>{2, 7, 3}, std::string("p")};
  REQUIRE(worker->submit(inputs, observer));
  const auto made = observer->take();
  REQUIRE(made);
  CHECK(made->n_tokens == 4 + 3 + 3);
  REQUIRE(made->vectors.size() == 3 * tiny_bert::n_embd);
  const std::vector<std::vector<token_id>> tokens = {{2, 4, 5, 3}, {2, 7, 3}, {2, 19, 3}};
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto expected = model.embed(tokens[i]);
    for (std::size_t d = 0; d < expected.size(); ++d)
      CHECK(std::abs(made->vectors[i * expected.size() + d] - expected[d]) < 2e-6);
  }
}

TEST_CASE("a wrong input ends its request and no other", "[embedding]") {
  const tiny_bert model;
  const auto worker = start(model);
  std::vector<std::shared_ptr<waiting_observer>> observers;
  for (int i = 0; i < 6; ++i) {
    auto inputs = texts(20);
    if (i % 2 == 1) inputs[13] = std::vector<token_id>{99};
    observers.push_back(std::make_shared<waiting_observer>());
    REQUIRE(worker->submit(std::move(inputs), observers.back()));
  }
  for (int i = 0; i < 6; ++i) {
    const auto made = observers[static_cast<std::size_t>(i)]->take();
    CHECK(made.has_value() == (i % 2 == 0));
    if (!made) CHECK(made.error().param == "input[13]");
  }
}

TEST_CASE("a short request does not wait for a long one", "[embedding]") {
  const tiny_bert model;
  const auto worker = start(model);
  const auto lengthy = std::make_shared<waiting_observer>();
  const auto brief = std::make_shared<waiting_observer>();
  REQUIRE(worker->submit(texts(5000), lengthy));
  REQUIRE(worker->submit(texts(1), brief));
  REQUIRE(brief->take());
  REQUIRE(lengthy->take());
  CHECK(brief->order < lengthy->order);
}

TEST_CASE("past the bound requests are refused, and those of clients that left make room", "[embedding]") {
  const tiny_bert model;
  const auto worker = start(model, 2);
  std::vector<std::shared_ptr<waiting_observer>> observers;
  for (int i = 0; i < 2; ++i) {
    observers.push_back(std::make_shared<waiting_observer>());
    REQUIRE(worker->submit(texts(100000), observers.back()));
  }
  const auto refused = worker->submit(texts(1), std::make_shared<waiting_observer>());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::overloaded);
  observers[0]->waits = false;
  const auto later = std::make_shared<waiting_observer>();
  bool taken = false;
  for (int i = 0; i < 30000 && !taken; ++i) {
    taken = worker->submit(texts(1), later).has_value();
    if (!taken) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  REQUIRE(taken);
  CHECK(later->take());
  observers[1]->waits = false;
}

TEST_CASE("a worker that goes tells those who wait", "[embedding]") {
  const tiny_bert model;
  auto worker = start(model);
  std::vector<std::shared_ptr<waiting_observer>> observers;
  for (int i = 0; i < 3; ++i) {
    observers.push_back(std::make_shared<waiting_observer>());
    REQUIRE(worker->submit(texts(100000), observers.back()));
  }
  worker.reset();
  for (const auto& observer : observers) {
    const auto made = observer->take();
    REQUIRE_FALSE(made);
    CHECK(made.error().code == errc::unavailable);
  }
}

TEST_CASE("a worker whose model is wrong does not start", "[embedding]") {
  const tiny_bert model;
  model.folder().write("vocab.txt", "a\n");
  CHECK_FALSE(embedding_worker::start({.folder = model.folder().path(), .isa = {}, .threads = 1}));
  CHECK_FALSE(embedding_worker::start({.folder = model.folder().path(), .isa = "none", .threads = 1}));
}
