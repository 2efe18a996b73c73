// What a client of `troupe serve` sees above the engine alone. The server is a process of its own with default flags
// but for the prefix cache; the engine alone runs in this process, with the same policy and the same prompts, in turn
// with it.
#include "actors/worker/engine_runner.hpp"
#include "bench/benchmarks.hpp"
#include "bench/clock.hpp"
#include "bench/engine_alone.hpp"
#include "bench/event_stream.hpp"
#include "bench/server_process.hpp"
#include "policies/batching.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>

namespace troupe::bench {
namespace {

constexpr std::uint32_t long_prompt_tokens = 8'000;

/// Milliseconds to the first token, and between each two after it.
struct latencies {
  double first_ms = 0;
  std::vector<double> gaps_ms;
};

latencies latencies_of(clock::time_point asked, const std::vector<clock::time_point>& arrivals) {
  const auto ms = [](clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); };
  latencies made;
  if (!arrivals.empty()) made.first_ms = ms(arrivals.front() - asked);
  for (std::size_t i = 1; i < arrivals.size(); ++i)
    made.gaps_ms.push_back(ms(arrivals[i] - arrivals[i - 1]));
  return made;
}

/// The engine and its policy, turned by hand.
class engine_side {
 public:
  engine_side(std::unique_ptr<cpu_engine> engine)
      : n_vocab_(engine->config().n_vocab),
        runner_(worker_id{1}, std::move(engine), *policies::make_batching_policy("fcfs"), {}) {}

  std::uint32_t n_vocab() const { return n_vocab_; }

  latencies answer(std::span<const token_id> prompt, std::uint32_t n_answer) {
    std::vector<clock::time_point> arrivals;
    const auto asked = clock::now();
    add(1, prompt, n_answer);
    while (runner_.has_work())
      for (const auto& progress : runner_.turn(clock::now()).progress)
        arrivals.insert(arrivals.end(), progress.tokens.size(), clock::now());
    return latencies_of(asked, arrivals);
  }

  /// The longest turn, in ms, while a long prompt is computed beside a stream that decodes.
  double longest_chunk_ms(std::span<const token_id> short_prompt, std::span<const token_id> long_prompt) {
    add(1, short_prompt, long_prompt_tokens);
    runner_.turn(clock::now());
    add(2, long_prompt, 1);
    double longest = 0;
    for (bool computing = true; computing;) {
      const auto start = clock::now();
      for (const auto& progress : runner_.turn(clock::now()).progress)
        computing = computing && progress.request != request_id{2};
      longest = std::max(longest, 1e3 * seconds_since(start));
    }
    runner_.remove(request_id{1});
    runner_.turn(clock::now());
    return longest;
  }

 private:
  void add(std::uint64_t id, std::span<const token_id> prompt, std::uint32_t n_answer) {
    auto request = make_request({prompt.begin(), prompt.end()}, n_answer);
    request.id = request_id{id};
    const auto facts = facts_of(request, clock::now());
    runner_.add(std::move(request), facts);
  }

  std::uint32_t n_vocab_;
  engine_runner runner_;
};

/// The same prompts in turn, alone and through HTTP; claims are of the differences of each pair.
void measure_latency(report& made, engine_side& engine, const server_process& server, bool quick) {
  claim first{"http_adds_to_ttft_p50", "ms", {}, 1.0, goal::at_most};
  claim gap{"http_adds_to_inter_token_latency_p50", "ms", {}, 1.0, goal::at_most};
  claim first_alone{"ttft_2_tokens_engine_alone", "ms", {}, {}, goal::at_most};
  claim gap_alone{"inter_token_latency_engine_alone", "ms", {}, {}, goal::at_most};
  const std::uint64_t rounds = quick ? 5 : 60;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const auto prompt = random_prompt(2, engine.n_vocab(), round);
    const auto alone = engine.answer(prompt, 48);
    event_stream stream(server.port(), prompt, 48);
    stream.read_all();
    const auto seen = latencies_of(stream.asked(), stream.arrivals());
    if (!stream.complete() || seen.gaps_ms.empty()) continue;  // the count of samples tells
    first_alone.samples.push_back(alone.first_ms);
    gap_alone.samples.push_back(median(alone.gaps_ms));
    first.samples.push_back(seen.first_ms - alone.first_ms);
    gap.samples.push_back(median(seen.gaps_ms) - median(alone.gaps_ms));
  }
  for (const auto* c : {&first_alone, &first, &gap_alone, &gap})
    made.add(*c);
}

/// The longest wait of a decoding stream while a long prompt is computed, in units of the longest chunk.
void measure_gap(report& made, engine_side& engine, const server_process& server, bool quick) {
  claim chunk{"longest_chunk_of_8000_token_prompt", "ms", {}, {}, goal::at_most};
  claim gap{"longest_gap_of_a_stream_beside_it", "chunks", {}, 2.0, goal::at_most};
  for (std::uint64_t round = 0; round < (quick ? 1u : 3u); ++round) {
    const auto short_prompt = random_prompt(32, engine.n_vocab(), 1'000 + round);
    const auto long_prompt = random_prompt(long_prompt_tokens, engine.n_vocab(), 2'000 + round);
    chunk.samples.push_back(engine.longest_chunk_ms(short_prompt, long_prompt));

    event_stream stream(server.port(), short_prompt, long_prompt_tokens);
    while (stream.arrivals().size() < 16 && stream.read_some()) {
    }
    event_stream prompt(server.port(), long_prompt, 1);
    const std::size_t begun = stream.arrivals().size();
    pollfd prompt_done{prompt.socket(), POLLIN, 0};
    while (::poll(&prompt_done, 1, 0) == 0 && stream.read_some()) {
    }
    prompt.read_all();
    std::vector<clock::time_point> beside(stream.arrivals().begin() + static_cast<std::ptrdiff_t>(begun) - 1,
                                          stream.arrivals().end());
    const auto gaps = latencies_of(beside.front(), beside).gaps_ms;
    if (!prompt.complete() || gaps.empty()) continue;
    gap.samples.push_back(std::ranges::max(gaps) / chunk.samples.back());
  }
  made.add(chunk);
  made.add(gap);
}

/// Many streams, all open from the beginning; the server computes as many at once as it admits and queues the others.
void measure_many_streams(report& made, const server_process& server, std::uint32_t n_vocab, bool quick) {
  const std::size_t n_streams = quick ? 100 : 1'000;
  constexpr std::uint32_t n_answer = 16;
  const auto start = clock::now();
  std::vector<event_stream> streams;
  for (std::size_t i = 0; i < n_streams; ++i)
    streams.emplace_back(server.port(), random_prompt(8, n_vocab, 3'000 + i), n_answer);
  claim health{"health_answer_beside_them", "ms", {}, {}, goal::at_most};
  auto next_probe = clock::now();
  std::vector<pollfd> waiting;
  for (auto& stream : streams)
    waiting.push_back({stream.socket(), POLLIN, 0});
  for (std::size_t open = n_streams; open > 0;) {
    if (::poll(waiting.data(), waiting.size(), 10'000) <= 0) break;  // ten silent seconds: something is lost
    for (std::size_t i = 0; i < n_streams; ++i)
      if (waiting[i].revents != 0 && !streams[i].read_some()) {
        waiting[i].fd = -1;
        --open;
      }
    if (clock::now() < next_probe) continue;
    const auto asked = clock::now();
    if (http_status(server.port(), "/health") == 200) health.samples.push_back(1e3 * seconds_since(asked));
    next_probe = clock::now() + std::chrono::milliseconds(50);
  }
  const double taken = seconds_since(start);
  const auto n_complete = std::ranges::count_if(streams, [](const event_stream& s) { return s.complete(); });
  made.add(
      {"streams_open_at_once_and_completed", "", {static_cast<double>(n_complete)}, static_cast<double>(n_streams)});
  made.add({"tokens_of_all_streams", "tokens/s", {static_cast<double>(n_complete) * n_answer / taken}, {}});
  if (!health.samples.empty()) made.add(health);
}

void measure_idle(report& made, const server_process& server) {
  std::this_thread::sleep_for(std::chrono::seconds(10));
  const double before = server.cpu_seconds();
  const auto start = clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(10));
  const double share = 100 * (server.cpu_seconds() - before) / seconds_since(start);
  made.add({"idle_processor_use", "%", {share}, 1.0, goal::at_most});
}

}  // namespace

result<report> serving(const options& wanted) {
  report made("serving");
  const std::vector<std::string> flags{"--no-enable-prefix-caching", "--num-speculative-tokens", "0", "--threads",
                                       std::to_string(wanted.threads)};

  claim start{"ready_to_serve", "s", {}, 1.0, goal::at_most};
  for (std::uint32_t i = 0; i < (wanted.quick ? 1 : wanted.repeats); ++i) {
    const auto once = server_process::start(wanted.troupe, wanted.model, flags);
    if (!once) return once.error();
    start.samples.push_back(once->seconds_to_ready());
  }
  made.add(start);

  auto loaded = load_engine(wanted.model, wanted.isa, wanted.threads);
  if (!loaded) return loaded.error();
  const double kv_mib = static_cast<double>((*loaded)->kv_bytes()) / (1 << 20);
  const double model_mib = static_cast<double>(std::filesystem::file_size(wanted.model)) / (1 << 20);
  engine_side engine(*std::move(loaded));
  const auto server = server_process::start(wanted.troupe, wanted.model, flags);
  if (!server) return server.error();
  measure_latency(made, engine, *server, wanted.quick);
  measure_gap(made, engine, *server, wanted.quick);
  measure_many_streams(made, *server, engine.n_vocab(), wanted.quick);
  measure_idle(made, *server);
  made.add({"peak_resident_memory", "MiB", {server->peak_resident_mib()}, model_mib + kv_mib + 150, goal::at_most});
  return made;
}

}  // namespace troupe::bench
