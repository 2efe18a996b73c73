// A scheduler by itself: its workers and its gateway only write down what they are told, and report what a test says.
// One thread, virtual time.
#pragma once

#include "actors/scheduler/scheduler.hpp"
#include "runtime/observe/log.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

namespace troupe::testing {

/// What a worker was told.
struct probed_worker {
  struct assignment {
    generation_request request;
    troupe::epoch epoch;
    std::uint64_t number = 0;
    caf::actor decodes;  // not set: this one
  };
  struct relocation {
    request_id request;  // 0: of its choice
    caf::actor to;
  };

  worker_id id;
  caf::actor handle;
  std::uint32_t max_sequences = 4;
  std::uint32_t blocks = 100;
  std::vector<assignment> assigned;
  std::vector<relocation> relocations;
  std::vector<request_id> cancelled;
  std::vector<std::string> local_orders;
};

class probed_scheduler {
 public:
  explicit probed_scheduler(scheduler_config config, const std::string& dispatch = "least_loaded")
      : system_(system_config_), coordinator_(dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler())) {
    (void)configure_log({log_format::text, log_level::off, {}});
    config.dispatch = std::move(*policies::make_dispatch_policy(dispatch, config.dispatching));
    scheduler_ = system_.spawn(scheduler_actor, std::move(config));
    gateway_ = system_.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const request_ended& end) { ends[end.request].push_back(end); },
              [this](const request_lost& loss) { lost.push_back(loss.request); }};
    });
    act();
  }
  ~probed_scheduler() {
    for (auto& [id, worker] : workers_)
      caf::anon_send_exit(worker->handle, caf::exit_reason::user_shutdown);
    for (const auto& actor : {gateway_, scheduler_})
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    act();
  }

  /// A worker comes; it has not reported yet.
  probed_worker& join(std::uint32_t id, std::uint8_t roles = worker_role::both) {
    auto made = std::make_unique<probed_worker>();
    probed_worker* const worker = made.get();
    worker->id = worker_id{id};
    worker->handle = system_.spawn([worker](caf::event_based_actor*) -> caf::behavior {
      return {
          [worker](assign_request& given, const caf::actor&) {
            worker->assigned.push_back({std::move(given.request), given.epoch, given.number, {}});
          },
          [worker](assign_request& given, const caf::actor&, const caf::actor& decodes) {
            worker->assigned.push_back({std::move(given.request), given.epoch, given.number, decodes});
          },
          [worker](const cancel_request& cancel) { worker->cancelled.push_back(cancel.request); },
          [worker](const relocate_request& move, const caf::actor& to) {
            worker->relocations.push_back({move.request, to});
          },
          [worker](relocate_some, const caf::actor& to) {
            worker->relocations.push_back({{}, to});
          },
          [worker](const set_local_order& order) { worker->local_orders.push_back(order.name); },
      };
    });
    workers_[id] = std::move(made);
    caf::anon_send(scheduler_, worker_started{worker_id{id}, roles}, worker->handle);
    act();
    return *worker;
  }

  /// What an idle worker of this size says. `assigned`: it has seen all its assignments.
  load_report report_of(const probed_worker& worker) const {
    load_report report;
    report.worker = worker.id;
    report.max_sequences = worker.max_sequences;
    report.blocks_total = worker.blocks;
    report.step_us = 20'000;
    report.token_ns = 1'000'000;
    report.assigned = worker.assigned.empty() ? 0 : worker.assigned.back().number;
    return report;
  }
  void report(const load_report& report) { tell(report); }
  void report(const probed_worker& worker) { tell(report_of(worker)); }

  request_id submit(generation_request request) {
    request.id = request_id{++n_submitted_};
    const request_id id = request.id;
    post(submit_request{std::move(request), epoch{1u << 16}});
    act();
    return id;
  }
  /// As its worker says it, and by itself.
  void end(request_id request, std::uint32_t completion_tokens = 1) {
    request_ended ended;
    ended.request = request;
    ended.epoch = epoch{1u << 16};
    ended.reason = finish_reason::stop;
    ended.usage.completion_tokens = completion_tokens;
    tell(ended);
  }
  void crash(std::uint32_t id) {
    caf::anon_send_exit(workers_.at(id)->handle, caf::exit_reason::kill);
    act();
  }

  template <class Message>
  void tell(Message message) {
    caf::anon_send(scheduler_, std::move(message));
    act();
  }
  template <class Answer, class Question>
  Answer ask(Question question) {
    caf::scoped_actor self(system_);
    auto pending = self->request(scheduler_, caf::infinite, std::move(question));
    act();
    Answer answer{};
    pending.receive([&](Answer& got) { answer = std::move(got); }, [](const caf::error&) {});
    return answer;
  }
  command_done set(const std::string& kind, const std::string& name) {
    return ask<command_done>(set_policy{kind, name});
  }
  void pass(caf::timespan time) {
    coordinator_.advance_time(time);
    act();
  }
  void act() {
    while (coordinator_.has_job())
      coordinator_.try_run_once();
  }

  probed_worker& worker(std::uint32_t id) { return *workers_.at(id); }
  scheduler_state& state() {
    return dynamic_cast<caf::stateful_actor<scheduler_state>*>(caf::actor_cast<caf::abstract_actor*>(scheduler_))
        ->state;
  }

  std::map<request_id, std::vector<request_ended>> ends;  // that the gateway was told
  std::vector<request_id> lost;

 private:
  struct deterministic : caf::actor_system_config {
    deterministic() {
      set("scheduler.policy", caf::atom("testing"));
      set("logger.verbosity", caf::atom("quiet"));
      add_message_types<caf::id_block::troupe>();
    }
  };

  /// As from the gateway.
  template <class Message>
  void post(Message message) {
    caf::send_as(gateway_, scheduler_, std::move(message));
  }

  deterministic system_config_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& coordinator_;
  caf::actor scheduler_, gateway_;
  std::map<std::uint32_t, std::unique_ptr<probed_worker>> workers_;
  std::uint64_t n_submitted_ = 0;
};

/// So many prompt tokens that no other prompt begins with, unless it has the same `first`.
inline generation_request make_request(std::uint32_t prompt_tokens, std::uint32_t max_tokens, token_id first = 0) {
  generation_request request;
  for (std::uint32_t i = 0; i < prompt_tokens; ++i)
    request.prompt.push_back(first + static_cast<token_id>(i));
  request.sampling.max_tokens = max_tokens;
  return request;
}

}  // namespace troupe::testing
