// The border between whoever speaks to clients and whoever turns texts into vectors. Both sides are tested alone
// against a fake of the other.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace troupe {

/// A text, or the tokens that the model shall read, with nothing added to them.
using embedding_input = std::variant<std::string, std::vector<token_id>>;

struct embeddings {
  std::vector<float> vectors;  // (n_inputs, dimensions of the model), each of length 1
  std::uint64_t n_tokens = 0;  // read, those that the model adds to a text among them
};

/// Whoever waits for one request.
class embedding_observer {
 public:
  virtual ~embedding_observer() = default;
  /// False once nobody waits any more; what is left of the request is then not computed, and on_end may be left out.
  virtual bool is_waiting() const = 0;
  /// Called once, from any thread. Must return quickly and must not throw. The param of an error names an input:
  /// "input[3]".
  virtual void on_end(result<embeddings> made) = 0;
};

/// All members may be called from any thread and never block on the model.
class embedding_service {
 public:
  virtual ~embedding_service() = default;
  virtual std::uint32_t dimensions() const = 0;
  virtual std::uint32_t max_tokens() const = 0;  // of one input
  virtual std::uint32_t vocabulary_size() const = 0;
  /// Errors, and then the observer hears nothing: overloaded, the queue is full; unavailable, it has closed.
  virtual result<> submit(std::vector<embedding_input> inputs, std::shared_ptr<embedding_observer> observer) = 0;
};

}  // namespace troupe
