// What `troupe bench transport` measures: rows, each a pair of processes or a run of ucx_perftest, known by name.
#pragma once

#include "base/result.hpp"
#include "bench/benchmarks.hpp"
#include "bench/transport/measurement.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace troupe::bench {

struct lane {
  const char* name;
  const char* transports;      // UCX_TLS for Troupe
  const char* raw_transports;  // and for UCX alone
  // Targets for 64 bytes; nullopt: by comparison.
  std::optional<double> most_us_64_bytes;
  std::optional<double> least_per_second_64_bytes;
};
inline constexpr lane lanes[] = {{"shared memory", "", "posix,cma", 3.0, 500'000.0}, {"tcp", "tcp", "tcp", {}, {}}};

struct message_size {
  const char* name;
  std::size_t bytes;
  std::size_t n_spinning;  // round trips; of UCX alone as well
  std::size_t n_asleep;
  std::size_t n_basp;
  std::size_t n_one_way;
  std::size_t n_one_way_basp;  // it queues what it cannot send: not more than fits
  bool is_bulk() const { return bytes >= (std::size_t{1} << 20); }
};
inline constexpr message_size sizes[] = {{"64 B", 64, 50'000, 1'000, 10'000, 1'000'000, 200'000},
                                         {"4 KiB", std::size_t{4} << 10, 20'000, 1'000, 5'000, 200'000, 50'000},
                                         {"1 MiB", std::size_t{1} << 20, 500, 200, 200, 2'000, 0},
                                         {"64 MiB", std::size_t{64} << 20, 16, 10, 6, 24, 0}};
// A larger message than this does not fit into a frame of Troupe's; such things are bulk memory.
inline constexpr std::size_t largest_message = std::size_t{8} << 20;

struct row {
  std::string name;
  std::function<result<measurement>()> measure;
};

std::string name_of(const message_size& size, const std::string& how);
std::string name_of(const message_size& size, const lane& over, const std::string& how);

/// All rows, what is compared next to each other. Prints what is pinned, and what this machine lacks.
std::vector<row> rows_of(const options& wanted);

}  // namespace troupe::bench
