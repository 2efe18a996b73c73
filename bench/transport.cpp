// Troupe's messages and bulk memory between two processes of one host: against CAF's own network (BASP), since that is
// what Troupe's actors would use otherwise, and against UCX alone, since nothing over UCX can be faster. All sides in
// turn, round by round.
//
//   spinning  the thread that turns the mesh polls for 50 us before it sleeps; each process is pinned to a core of its
//             own, and so are UCX's. CAF's network, which has several threads, is measured both ways; the better
//             counts.
//   asleep    it never polls, and a request leaves 1 ms after the last answer: what an idle cluster sees
//   bulk      from small pages into small pages, as ucx_perftest has them, where nothing else is said
#include "bench/benchmarks.hpp"
#include "bench/transport/rows.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe::bench {
namespace {

constexpr const char* basp = "CAF's BASP";
constexpr const char* raw_ucx = "UCX alone";

using results = std::map<std::string, std::vector<measurement>>;

using field = std::function<double(const measurement&)>;

class claim_list {
 public:
  claim_list(report& made, const results& all) : made_(made), all_(all) {}

  std::vector<double> samples(const std::string& row, const field& of) const {
    std::vector<double> found;
    if (const auto at = all_.find(row); at != all_.end())
      std::ranges::transform(at->second, std::back_inserter(found), of);
    return found;
  }

  /// Against a peer, of whose rows the best counts; it is to be reached `factor` times. nullopt: a mere comparison, or
  /// one with a limit of its own.
  void compare(claim c, const std::string& row, const field& of, const char* peer,
               const std::vector<std::string>& peer_rows, std::optional<double> factor = {}) {
    c.samples = samples(row, of);
    if (c.samples.empty()) {
      std::printf("%s: not measured\n", c.name.c_str());
      return;
    }
    for (const auto& peer_row : peer_rows) {
      auto theirs = samples(peer_row, of);
      if (theirs.empty()) continue;
      const bool better =
          c.peer_samples.empty() || (c.direction == goal::at_least ? median(theirs) > median(c.peer_samples)
                                                                   : median(theirs) < median(c.peer_samples));
      if (better) c.peer_samples = std::move(theirs);
    }
    if (!c.peer_samples.empty()) {
      c.peer = peer;
      if (factor) c.target = *factor * median(c.peer_samples);
    }
    made_.add(c);
  }

 private:
  report& made_;
  const results& all_;
};

claim less_is_better(std::string name, std::string unit, std::optional<double> most = {}) {
  return {std::move(name), std::move(unit), {}, most, goal::at_most};
}
claim more_is_better(std::string name, std::string unit, std::optional<double> least = {}) {
  return {std::move(name), std::move(unit), {}, least, goal::at_least};
}

double p50(const measurement& m) {
  return m.p50_us;
}
double p99(const measurement& m) {
  return m.p99_us;
}
double cpu(const measurement& m) {
  return m.cpu_us;
}
double rate(const measurement& m) {
  return m.per_second;
}
field gigabytes(const message_size& size) {
  return [bytes = static_cast<double>(size.bytes)](const measurement& m) { return m.per_second * bytes / 1e9; };
}

std::vector<std::string> basp_rows(const message_size& size, const std::string& what = "") {
  return {name_of(size, "BASP" + what), name_of(size, "BASP, pinned" + what)};
}

void claim_small_latencies(claim_list& claims, const lane& over, const message_size& size) {
  const bool targeted = size.bytes == 64;
  const auto spinning = name_of(size, over, "spinning");
  const auto asleep = name_of(size, over, "asleep");
  const std::vector<std::string> raw{name_of(size, over, "raw")};
  const std::vector<std::string> basp_asleep{name_of(size, "BASP, asleep")};
  const auto five_times = [&](const std::string& row) {
    const auto medians = claims.samples(row, p50);
    return targeted && !medians.empty() ? std::optional(5 * median(medians)) : std::nullopt;
  };
  const auto limit = targeted ? over.most_us_64_bytes : std::nullopt;
  const auto of_raw = targeted && !limit ? std::optional(1.5) : std::nullopt;
  const auto of_basp = targeted ? std::optional(1.0 / 8) : std::nullopt;
  const auto of_basp_asleep = targeted ? std::optional(0.6) : std::nullopt;
  claims.compare(less_is_better(spinning + ": one way p50", "us", limit), spinning, p50, raw_ucx, raw, of_raw);
  claims.compare(less_is_better(spinning + ": one way p50 against BASP", "us"), spinning, p50, basp, basp_rows(size),
                 of_basp);
  claims.compare(less_is_better(spinning + ": one way p99", "us", five_times(spinning)), spinning, p99, raw_ucx, raw);
  claims.compare(less_is_better(asleep + ": one way p50", "us"), asleep, p50, basp, basp_asleep, of_basp_asleep);
  claims.compare(less_is_better(asleep + ": one way p99", "us", five_times(asleep)), asleep, p99, basp, basp_asleep);
  if (!targeted) return;
  const std::string processor_time = ": processor time of a round trip";
  claims.compare(less_is_better(spinning + processor_time, "us"), spinning, cpu, basp, basp_rows(size));
  claims.compare(less_is_better(asleep + processor_time, "us"), asleep, cpu, basp, basp_asleep);
}

void claim_large_latencies(claim_list& claims, const lane& over, const message_size& size) {
  for (const std::string how : {"spinning", "asleep"}) {
    const auto as_message = name_of(size, over, how);
    const auto as_bulk = name_of(size, over, "bulk, " + how);
    const auto of_basp = how == "asleep" ? std::vector{name_of(size, "BASP, asleep")} : basp_rows(size);
    if (size.bytes <= largest_message)
      claims.compare(less_is_better(as_message + ": one way p50", "us"), as_message, p50, basp, of_basp);
    claims.compare(less_is_better(as_bulk + ": one way p50 against BASP's message", "us"), as_bulk, p50, basp, of_basp);
    if (how == "spinning")
      claims.compare(less_is_better(as_bulk + ": one way p50", "us"), as_bulk, p50, raw_ucx,
                     {name_of(size, over, "raw")});
  }
}

void claim_rates(claim_list& claims, const lane& over, const message_size& size) {
  const auto one_way = name_of(size, over, "one way");
  const auto raw = name_of(size, over, "raw, one way");
  if (size.is_bulk()) {
    const auto bulk = name_of(size, over, "bulk one way");
    claims.compare(more_is_better(bulk, "GB/s"), one_way, gigabytes(size), raw_ucx, {raw}, 0.9);
    claims.compare(more_is_better(bulk + " against UCX with error handling", "GB/s"), one_way, gigabytes(size), raw_ucx,
                   {name_of(size, over, "raw, error handling, one way")});
    return claims.compare(more_is_better(bulk + ", on huge pages as K and V are", "GB/s"),
                          name_of(size, over, "huge pages, one way"), gigabytes(size), "small pages", {one_way});
  }
  const auto limit = size.bytes == 64 ? over.least_per_second_64_bytes : std::nullopt;
  const auto of_basp = size.bytes == 64 && !limit ? std::optional(5.0) : std::nullopt;
  claims.compare(more_is_better(one_way, "messages/s", limit), one_way, rate, raw_ucx, {raw});
  claims.compare(more_is_better(one_way + " against BASP", "messages/s"), one_way, rate, basp,
                 basp_rows(size, ", one way"), of_basp);
}

void claim_all(report& made, const results& all) {
  claim_list claims(made, all);
  for (const auto& size : sizes)
    for (const auto& over : lanes) {
      if (size.is_bulk())
        claim_large_latencies(claims, over, size);
      else
        claim_small_latencies(claims, over, size);
      claim_rates(claims, over, size);
    }
  for (const auto& size : sizes)
    if (size.is_bulk())
      claims.compare(more_is_better(name_of(size, "tcp, bulk one way, sealed"), "GB/s"), name_of(size, "sealed"),
                     gigabytes(size), "not sealed", {name_of(size, lanes[1], "one way")});
  const field percent = [](const measurement& m) { return 100 * m.idle_cpu; };
  for (const auto& over : lanes)
    claims.compare(less_is_better("idle pair, " + std::string(over.name) + ": the busier process", "%", 1.0),
                   "idle, " + std::string(over.name), percent, basp, {"idle, BASP"});
}

std::string load() {
  std::ifstream file("/proc/loadavg");
  std::string minute;
  file >> minute;
  return minute;
}

}  // namespace

result<report> transporting(const options& wanted) {
  report made("transport");
  results all;
  const auto rows = rows_of(wanted);
  const std::uint32_t rounds = wanted.quick ? 1 : wanted.repeats;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    std::printf("round %u of %u, load %s\n", round + 1, rounds, load().c_str());
    std::fflush(stdout);
    for (const auto& [name, measure] : rows) {
      if (name.find(wanted.only) == std::string::npos) continue;
      const auto measured = measure();
      if (measured)
        all[name].push_back(*measured);
      else
        std::fprintf(stderr, "%s: %s\n", name.c_str(), measured.error().message.c_str());
    }
  }
  claim_all(made, all);
  return made;
}

}  // namespace troupe::bench
