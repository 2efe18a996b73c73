// A node of workers: what `troupe node --join` starts. It finds the head, joins the cluster and serves what the head's
// scheduler assigns, until it is told to stop. No CAF in this header.
#pragma once

#include "actors/cluster_options.hpp"
#include "actors/worker/worker_options.hpp"
#include "base/result.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace troupe {

struct worker_node_options {
  worker_options worker;
  cluster_options cluster;  // with `join`
};

class worker_node {
 public:
  /// Loads the model and begins to look for the head. Errors: an unreadable or unsupported model, unknown names,
  /// impossible sizes, an address or a secret that cannot be used.
  static result<std::unique_ptr<worker_node>> start(const worker_node_options& options);
  ~worker_node();
  worker_node(const worker_node&) = delete;
  worker_node& operator=(const worker_node&) = delete;

  /// Waits until there is nothing left to do, at most so long. Then why: refused for good, or told to stop.
  std::optional<std::string> wait_for_end(std::chrono::milliseconds longest) const;
  const std::string& name() const;

 private:
  struct implementation;
  explicit worker_node(std::unique_ptr<implementation> made);
  std::unique_ptr<implementation> implementation_;
};

}  // namespace troupe
