// An engine and the policy that feeds it, as one thing to turn: requests in, one step at a time, progress out. No
// thread and no actor: the engine thread of a live worker turns it, and so does a test or the simulator.
#pragma once

#include "actors/worker/engine_report.hpp"
#include "policies/batching.hpp"
#include "runtime/engine/engine.hpp"

#include <memory>
#include <unordered_map>
#include <vector>

namespace troupe {

class engine_runner {
 public:
  engine_runner(worker_id worker, std::unique_ptr<engine> engine, std::unique_ptr<policies::batching_policy> policy,
                std::uint32_t interleaved_prefill_tokens);

  /// A request the engine refuses comes out of the next turn as failed.
  void add(generation_request request);
  /// Ends a request with finish_reason::cancelled, reported by the next turn. Unknown ids are ignored.
  void remove(request_id request);

  /// True when a turn has something to do or to report.
  bool has_work() const { return !sequences_.empty() || !report_.progress.empty(); }

  /// One step of the engine, if there is anything to compute, and all that is to be reported since the last turn.
  engine_report turn();

 private:
  struct running {
    request_id request;
    std::int32_t priority = 0;
  };

  step_plan make_plan();
  void collect(std::vector<sequence_output> outputs);
  load_report measure_load() const;

  worker_id worker_;
  std::unique_ptr<engine> engine_;
  std::unique_ptr<policies::batching_policy> policy_;
  std::uint32_t interleaved_prefill_tokens_;
  std::unordered_map<sequence_id, running> sequences_;
  std::unordered_map<request_id, sequence_id> by_request_;
  engine_report report_;
  std::vector<policies::batch_sequence> view_;  // reused by make_plan
};

}  // namespace troupe
