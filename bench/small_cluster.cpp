#include "bench/small_cluster.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace troupe::bench {
namespace {

constexpr std::chrono::seconds patience{60};

}  // namespace

void timed_stream::on_tokens(std::span<const generated_token> tokens) {
  std::lock_guard lock(mutex_);
  // Guessed tokens come together; what a reader waits for is the group.
  times_.push_back(clock::now());
  n_tokens_ += tokens.size();
  changed_.notify_all();
}

void timed_stream::on_end(finish_reason, const token_usage&, const std::optional<error>&) {
  std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

bool timed_stream::wait_for_tokens(std::size_t n) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return n_tokens_ >= n || ended_; }) && n_tokens_ >= n;
}

std::size_t timed_stream::n_tokens() const {
  std::lock_guard lock(mutex_);
  return n_tokens_;
}

std::vector<clock::time_point> timed_stream::times() const {
  std::lock_guard lock(mutex_);
  return times_;
}

double milliseconds(clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

std::vector<double> gaps(const std::vector<clock::time_point>& times, std::size_t begin) {
  std::vector<double> all;
  for (std::size_t i = std::max<std::size_t>(begin, 1); i < times.size(); ++i)
    all.push_back(milliseconds(times[i] - times[i - 1]));
  return all;
}

result<std::unique_ptr<small_cluster>> small_cluster::start(const options& wanted,
                                                            const std::vector<std::string>& roles, std::uint32_t stages,
                                                            const std::string& transports) {
  return start(wanted, {.roles = roles, .relocation_stages = stages, .transports = transports});
}

result<std::unique_ptr<small_cluster>> small_cluster::start(const options& wanted, const small_cluster_options& of) {
  std::unique_ptr<small_cluster> made(new small_cluster());
  node_options head;
  head.model = wanted.model;
  head.local_worker = false;
  head.cluster.listen = "127.0.0.1:0";
  head.cluster.transports = of.transports;
  head.dispatch = of.dispatch;
  head.scheduler = of.scheduler;
  auto started = node::start(head);
  if (!started) return started.error();
  made->head_ = *std::move(started);
  for (std::size_t i = 0; i < of.roles.size(); ++i) {
    worker_node_options worker;
    worker.worker.model = wanted.model;
    worker.worker.threads = 1;
    worker.worker.max_num_seqs = of.max_num_seqs;
    worker.worker.scheduler = of.scheduler;
    worker.worker.num_speculative_tokens = 0;  // a token a step, so that gaps are steps
    worker.worker.enable_prefix_caching = false;
    worker.worker.relocation_stages = of.relocation_stages;
    worker.cluster.join = made->head_->cluster_address();
    worker.cluster.node_name = "worker-" + std::to_string(i + 1);
    worker.cluster.roles = of.roles[i];
    worker.cluster.transports = of.transports;
    auto node = worker_node::start(worker);
    if (!node) return node.error();
    made->workers_.push_back(*std::move(node));
  }
  cluster_options operating;
  operating.join = made->head_->cluster_address();
  operating.transports = of.transports;
  auto client = cluster_client::connect(operating);
  if (!client) return client.error();
  made->client_ = *std::move(client);
  const auto end = clock::now() + patience;
  while (made->head_->service().status().workers < of.roles.size() || !made->head_->service().status().ready) {
    if (clock::now() > end) return make_error(errc::unavailable, "The workers did not join.");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // every worker's first report
  return made;
}

std::shared_ptr<timed_stream> small_cluster::begin(std::uint32_t prompt_tokens, std::uint32_t answer_tokens,
                                                   request_id& id) {
  generation_request request;
  id = request.id = head_->service().next_request_id();
  random_stream random(id.value);
  for (std::uint32_t i = 0; i < prompt_tokens; ++i)
    request.prompt.push_back(static_cast<token_id>(1000 + random.below(40'000)));
  request.sampling.temperature = 0;
  request.sampling.max_tokens = answer_tokens;
  request.sampling.ignore_eos = true;
  auto stream = std::make_shared<timed_stream>();
  head_->service().submit(std::move(request), stream);
  return stream;
}

bool small_cluster::migrate(request_id id) {
  const auto seen = client_->overview();
  if (!seen) return false;
  const auto running =
      std::ranges::find_if(seen->requests, [&](const request_info& of) { return of.request == id && !of.queued; });
  if (running == seen->requests.end()) return false;
  for (const auto& of : seen->members)
    if (of.number != running->worker.value) return client_->migrate(id, of.name).has_value();
  return false;
}

relocation_counts small_cluster::count_relocations() {
  relocation_counts all;
  if (const auto seen = client_->overview()) {
    for (const auto& worker : seen->workers) {
      all.moved += worker.relocations.moved;
      all.pause_us += worker.relocations.pause_us;
    }
  }
  return all;
}

std::optional<move_times> small_cluster::move(request_id id) {
  const auto before = count_relocations();
  const auto ordered = clock::now();
  if (!migrate(id)) return std::nullopt;
  relocation_counts after = before;
  while (after.moved == before.moved) {
    if (clock::now() - ordered > std::chrono::seconds(5)) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // seldom: it asks all members
    after = count_relocations();
  }
  return move_times{milliseconds(clock::now() - ordered), static_cast<double>(after.pause_us - before.pause_us) / 1000};
}

}  // namespace troupe::bench
