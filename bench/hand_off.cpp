#include "bench/hand_off.hpp"

#include "bench/engine_alone.hpp"
#include "bench/small_cluster.hpp"
#include "bench/transport/pair.hpp"

#include <algorithm>
#include <span>

namespace troupe::bench {
namespace {

// Until it is handed off, the prefill worker goes on with a stream: somewhere among its first tokens it stands still.
constexpr std::size_t first_tokens = 8;
constexpr std::uint32_t prompt_lengths[] = {128, 512, 2048};
constexpr const char* lanes_of_hand_off[] = {"", "tcp"};

/// How much later than undisturbed streams are, in ms.
struct lateness {
  std::vector<double> first_token;   // the first that is decoded
  std::vector<double> first_tokens;  // so many together
};

void add_lateness(lateness& to, const std::vector<clock::time_point>& times) {
  const auto all = gaps(times, 1);
  const double step = median({all.begin() + first_tokens, all.end()});
  to.first_token.push_back(all.front() - step);
  double together = 0;
  for (const double gap : std::span(all).first(first_tokens))
    together += gap - step;
  to.first_tokens.push_back(together);
}

/// Of as many streams, without the first: it wakes threads and caches up.
result<lateness> run_streams(small_cluster& cluster, std::uint32_t prompt_tokens, std::uint32_t n_streams) {
  lateness late;
  for (std::uint32_t i = 0; i < n_streams; ++i) {
    request_id id;
    const auto stream = cluster.begin(prompt_tokens, 40, id);
    if (!stream->wait_for_tokens(40)) return make_error(errc::internal, "A stream was not handed off.");
    if (i > 0) add_lateness(late, stream->times());
  }
  return late;
}

result<> measure_over(report& made, const options& wanted, const std::string& transports,
                      const transfer_times& transfers) {
  auto cluster = small_cluster::start(wanted, {"prefill", "decode"}, 3, transports);
  auto undivided = small_cluster::start(wanted, {"worker"}, 3, transports);
  if (!cluster) return cluster.error();
  if (!undivided) return undivided.error();
  for (const std::uint32_t n : prompt_lengths) {
    const double transfer = transfers.at({transports, n});
    const auto handed = run_streams(**cluster, n, wanted.quick ? 4 : 16);
    const auto stayed = run_streams(**undivided, n, wanted.quick ? 4 : 16);
    if (!handed) return handed.error();
    if (!stayed) return stayed.error();
    const std::string at = std::string(transports.empty() ? "" : "_over_") + transports + "_at_" + std::to_string(n);
    // Against a stream that stays where it is, whose first tokens are not as fast as its others either.
    const auto add = [&](const std::string& name, std::vector<double> lateness::*of) {
      const double added = median((*handed).*of) - median((*stayed).*of);
      made.add({name + at,
                "ms",
                {added},
                n == 512 ? std::optional<double>(transfer / 4) : std::nullopt,
                goal::at_most,
                {},
                "the plain transfer",
                {transfer}});
    };
    add("hand_off_added_to_first_decoded_token", &lateness::first_token);
    add("hand_off_added_to_first_8_tokens", &lateness::first_tokens);
  }
  return {};
}

}  // namespace

result<transfer_times> measure_transfers(const options& wanted) {
  const auto engine = load_engine(wanted.model, "", 1);
  if (!engine) return engine.error();
  const auto kv = (*engine)->geometry();
  transfer_times times;
  for (const char* transports : lanes_of_hand_off) {
    for (const std::uint32_t n : prompt_lengths) {
      endpoint_task task{.system = "troupe", .work = "bulk_latency"};
      task.transports = transports;
      task.spin_us = 50;
      task.bytes = n / kv.block_tokens * kv.n_layers * kv.layer_bytes;
      task.huge_pages = true;
      task.count = 20;
      const auto measured = measure_pair(wanted.troupe, task, -1);
      if (!measured) return measured.error();
      times[{transports, n}] = measured->p50_us / 1000;
    }
  }
  return times;
}

result<> measure_hand_off(report& made, const options& wanted, const transfer_times& transfers) {
  for (const char* transports : lanes_of_hand_off)
    if (auto measured = measure_over(made, wanted, transports, transfers); !measured) return measured;
  return {};
}

}  // namespace troupe::bench
