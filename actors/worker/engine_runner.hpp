// An engine and the policy that feeds it, as one thing to turn: requests in, one step at a time, progress out. No
// thread and no actor: the engine thread of a live worker turns it, and so does a test or the simulator.
#pragma once

#include "actors/worker/engine_report.hpp"
#include "actors/worker/kv_parts.hpp"
#include "actors/worker/request_facts.hpp"
#include "base/clock.hpp"
#include "policies/batching.hpp"
#include "policies/length_prediction.hpp"
#include "policies/step_pace.hpp"
#include "runtime/engine/engine.hpp"
#include "runtime/engine/kv_transfer.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace troupe {

struct engine_runner_options {
  std::uint32_t interleaved_prefill_tokens = 128;
  std::uint32_t max_running = 0;  // sequences that one step computes; 0: as many as are admitted
  double length_quantile = 0.5;   // of the tokens a sequence will still draw
  std::shared_ptr<policies::length_predictor> lengths{};  // nullptr: as many as it may draw
};

class engine_runner {
 public:
  engine_runner(worker_id worker, std::unique_ptr<engine> engine, std::unique_ptr<policies::batching_policy> policy,
                engine_runner_options options);

  /// A request the engine refuses comes out of the next turn as failed. Takes the place of an older run of the same
  /// request; `run` comes back with all that is reported. `number`: of the assignment.
  void add(generation_request request, const request_facts& facts, std::uint64_t run = 0, std::uint64_t number = 0);
  /// Ends a request with finish_reason::cancelled, reported by the next turn. Unknown ids are ignored.
  void remove(request_id request);

  // For relocation. The engine's transfer(), or nullptr; the sequences it knows are named by find().
  kv_transfer* transfer() { return engine_->transfer(); }
  std::optional<kv_identity> identify_kv();
  /// Tells a listener of the request's K and V from the next step on and keeps it while the request is here; nullptr:
  /// nobody.
  void listen(request_id request, std::shared_ptr<kv_listener> listener);
  std::optional<sequence_id> find(request_id request) const;
  /// Runs a task once, where the engine is and before its next step, when the request has its first token and goes on.
  void when_prefilled(request_id request, std::function<void(engine_runner&)> task);
  /// Takes a sequence out of the steps, and back in.
  result<> pause(request_id request);
  result<> resume(request_id request);
  /// A sequence that arrived and was committed: it is a request like the others from now on.
  void adopt(const request_facts& facts, sequence_id sequence, std::uint64_t run);
  /// Ends a request without a word: somebody else has it.
  void forget(request_id request);
  /// Gives up a sequence that is arriving.
  void abandon(sequence_id arriving) { engine_->remove(arriving); }

  /// True when a turn has something to do or to report.
  bool has_work() const { return can_step() || !report_.progress.empty(); }

  /// A running request that may go to another worker, the one that policies/llumnix_rescheduling picks.
  std::optional<request_id> choose_victim();

  /// The local order from the next step on.
  void set_policy(std::unique_ptr<policies::batching_policy> policy) { policy_ = std::move(policy); }

  /// There is something to do, but the last turn could do none of it: blocks are held by sequences that come or go.
  bool stands_still() const { return has_work() && n_granted_ == 0; }

  /// One step of the engine, if there is anything to compute, and all that is to be reported since the last turn.
  engine_report turn(time_point now);
  /// What the last turn's step took.
  void note_step(duration took);
  /// The tasks of when_prefilled() that the last turn made due, when it is over and reported.
  void run_due();

 private:
  struct running {
    request_facts facts;
    std::uint64_t run = 0;
    bool paused = false;
    bool in_last_step = false;
    std::size_t in_view = 0;  // where it is in view_
    struct {
      std::uint64_t step = 0;  // when it was made; 0: never
      std::uint32_t n_drawn = 0;
      std::uint32_t left = 0;
    } prediction{};
    time_point served{};  // the last time it was granted something
    std::shared_ptr<kv_listener> listener{};
    std::function<void(engine_runner&)> at_first_token{};
  };

  bool can_step() const { return sequences_.size() > n_paused_; }
  void erase(sequence_id sequence);

  step_plan make_plan(time_point now);
  policies::batch_sequence view(const sequence_status& s, running& of);
  std::uint32_t predict_left(running& of, std::uint32_t n_drawn);
  std::uint32_t predict_left(const request_facts& facts, std::uint32_t n_drawn) const;
  void note_plan(const policies::batch_plan& plan, time_point now);
  void collect(std::vector<sequence_output> outputs);
  load_report measure_load() const;

  worker_id worker_;
  std::unique_ptr<engine> engine_;
  std::unique_ptr<policies::batching_policy> policy_;
  engine_runner_options options_;
  policies::step_pace pace_;
  policies::step_shape shape_;  // of the last step
  std::uint64_t assigned_ = 0;  // the last assignment's number
  std::uint64_t n_steps_ = 0;
  std::size_t n_granted_ = 0;  // sequences, in the last step
  std::unordered_map<sequence_id, running> sequences_;
  std::unordered_map<request_id, sequence_id> by_request_;
  std::size_t n_paused_ = 0;
  engine_report report_;
  std::vector<std::function<void(engine_runner&)>> due_;
  std::vector<policies::batch_sequence> view_;  // reused by make_plan
};

}  // namespace troupe
