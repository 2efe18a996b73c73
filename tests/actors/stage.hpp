// A stage for the cast: gateway, scheduler, supervisor and workers on CAF's deterministic scheduler, with scripted
// engines that are turned by hand. One thread, virtual time, the same run each time; a seed shuffles who acts next.
#pragma once

#include "actors/gateway/gateway.hpp"
#include "actors/scheduler/scheduler.hpp"
#include "actors/supervisor/supervisor.hpp"
#include "actors/worker/worker.hpp"
#include "base/random.hpp"
#include "runtime/observe/log.hpp"
#include "scripted_engine.hpp"

#include <map>
#include <memory>
#include <vector>

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

namespace troupe::testing {

/// Keeps all a client is told.
struct recorded_stream final : generation_observer {
  void on_prompt_logprobs(std::span<const prompt_token_logprob> prompt) override {
    prompt_logprobs.assign(prompt.begin(), prompt.end());
  }
  void on_tokens(std::span<const generated_token> fresh) override {
    for (const auto& token : fresh) {
      in_order = in_order && token.index == first_index + tokens.size() && ends == 0;
      tokens.push_back(token.token);
    }
  }
  void on_end(finish_reason why, const token_usage& used, const std::optional<error>& failed) override {
    ++ends;
    reason = why;
    usage = used;
    failure = failed;
  }

  std::uint32_t first_index = 0;
  std::vector<prompt_token_logprob> prompt_logprobs;
  std::vector<token_id> tokens;
  bool in_order = true;
  int ends = 0;
  finish_reason reason = finish_reason::unfinished;
  token_usage usage;
  std::optional<error> failure;
};

struct deterministic_config : caf::actor_system_config {
  deterministic_config() {
    set("scheduler.policy", caf::atom("testing"));
    set("logger.verbosity", caf::atom("quiet"));
    add_message_types<caf::id_block::troupe>();
  }
};

class stage {
 public:
  struct options {
    std::uint32_t workers = 1;
    std::size_t queue_capacity = 64;
    std::uint32_t worker_backlog = 2;
    std::string dispatch = "least_loaded";
    scripted_engine::options engine{};
    std::uint64_t seed = 0;  // 0: first come, first run
  };

  explicit stage(options opts)
      : options_(opts),
        random_(opts.seed),
        system_(config_),
        coordinator_(dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler())),
        board_(std::make_shared<status_board>()) {
    (void)configure_log({log_format::text, log_level::off, {}});  // workers die by the thousand here
    scheduler_config scheduling;
    scheduling.dispatch = std::move(*policies::make_dispatch_policy(opts.dispatch));
    scheduling.queue_capacity = opts.queue_capacity;
    scheduling.worker_backlog = opts.worker_backlog;
    scheduler_ = system_.spawn(scheduler_actor, scheduling);
    gateway_ = system_.spawn(gateway_actor, gateway_config{scheduler_, board_, nullptr, 4});
    supervisor_config supervising;
    supervising.scheduler = scheduler_;
    supervising.n_workers = opts.workers;
    supervising.on_restart = [this] { ++restarts; };
    supervising.make_driver = [this](worker_id id,
                                     engine_driver::listener report) -> result<std::unique_ptr<engine_driver>> {
      auto runner = std::make_unique<engine_runner>(id, std::make_unique<scripted_engine>(options_.engine),
                                                    std::move(*policies::make_batching_policy("fcfs")),
                                                    engine_runner_options{.interleaved_prefill_tokens = 32});
      auto driver = std::make_unique<handle>(*this, id, std::move(runner), std::move(report));
      return std::unique_ptr<engine_driver>(std::move(driver));
    };
    supervisor_ = system_.spawn(supervisor_actor, supervising);
    service_ = std::make_unique<gateway_service>(gateway_, board_);
    settle();
  }

  ~stage() {
    for (const auto& actor : {supervisor_, gateway_, scheduler_})
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    act();
  }

  generation_service& service() { return *service_; }
  caf::actor_system& system() { return system_; }
  const caf::actor& scheduler() const { return scheduler_; }
  const caf::actor& gateway() const { return gateway_; }
  service_status status() const { return board_->read(); }

  std::shared_ptr<recorded_stream> submit(generation_request request) {
    auto stream = std::make_shared<recorded_stream>();
    stream->first_index = static_cast<std::uint32_t>(request.resumed.size());
    service_->submit(std::move(request), stream);
    return stream;
  }

  /// Lets actors act until no message is left; engines stand still.
  void act() {
    while (coordinator_.has_job())
      act_once();
  }

  /// One message of one actor. False when there is none.
  bool act_once() {
    if (!coordinator_.has_job()) return false;
    if (options_.seed != 0) {
      auto& jobs = coordinator_.jobs;
      std::swap(jobs.front(), jobs[random_.below(jobs.size())]);
    }
    return coordinator_.try_run_once();
  }

  /// One turn of one worker's engine. False when no engine has work.
  bool turn_once() {
    std::vector<turned_engine_driver*> engines;
    for (const auto& [id, driver] : drivers_)
      engines.push_back(driver);
    if (engines.empty()) return false;
    const std::size_t start = options_.seed != 0 ? random_.below(engines.size()) : 0;
    for (std::size_t i = 0; i < engines.size(); ++i)
      if (engines[(start + i) % engines.size()]->turn()) return true;
    return false;
  }

  /// Actors and engines until nothing moves and no timer is near.
  void settle() {
    do {
      act();
    } while (turn_once() || advance_to_timer());
  }

  /// Moves virtual time; due timers fire.
  void advance(std::chrono::milliseconds by) {
    coordinator_.advance_time(by);
    act();
  }

  std::size_t engines() const { return drivers_.size(); }
  random_stream& random() { return random_; }

  int restarts = 0;

 private:
  // A driver that the stage can find while its worker lives.
  struct handle final : engine_driver {
    handle(stage& owner, worker_id id, std::unique_ptr<engine_runner> runner, listener report)
        : owner_(owner), id_(id), driver_(std::move(runner), std::move(report)) {
      owner_.drivers_[id_] = &driver_;
    }
    ~handle() override {
      const auto found = owner_.drivers_.find(id_);
      if (found != owner_.drivers_.end() && found->second == &driver_) owner_.drivers_.erase(found);
    }
    void remove(request_id request) override { driver_.remove(request); }
    bool run(engine_task task) override { return driver_.run(std::move(task)); }

    stage& owner_;
    worker_id id_;
    turned_engine_driver driver_;
  };

  // Restarts and retries wait at most a few seconds; deadlines of tests are minutes and not run into by accident.
  bool advance_to_timer() {
    const auto& schedule = coordinator_.clock().schedule();
    if (schedule.empty()) return false;
    const auto wait = schedule.begin()->first - coordinator_.clock().now();
    if (wait > std::chrono::seconds(10)) return false;
    coordinator_.advance_time(std::max(caf::timespan(wait), caf::timespan(1)));
    return true;
  }

  options options_;
  random_stream random_;
  deterministic_config config_;
  std::map<worker_id, turned_engine_driver*> drivers_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& coordinator_;
  std::shared_ptr<status_board> board_;
  caf::actor scheduler_, gateway_, supervisor_;
  std::unique_ptr<gateway_service> service_;
};

}  // namespace troupe::testing
