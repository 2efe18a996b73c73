// A model file, read once, and the engines that are made on it: at the start of a worker and at each restart.
#pragma once

#include "actors/protocols/membership.hpp"
#include "actors/worker/engine_driver.hpp"
#include "actors/worker/worker_options.hpp"
#include "base/result.hpp"
#include "runtime/engine/cpu_engine_options.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace troupe {

class gguf_file;
class tokenizer;
class vocabulary_grammars;

class engine_factory : public std::enable_shared_from_this<engine_factory> {
 public:
  /// Errors: an unreadable or unsupported model, unknown names, impossible sizes.
  static result<std::shared_ptr<engine_factory>> load(const worker_options& options);

  /// Makes the first engine before it is asked for, so that what is wrong is an error here and not a dead worker.
  result<> prepare();
  /// An engine with a thread of its own. Thread-safe.
  result<std::unique_ptr<engine_driver>> make_driver(worker_id worker, engine_driver::listener report);

  const std::shared_ptr<const gguf_file>& file() const { return file_; }
  const std::shared_ptr<const tokenizer>& vocabulary() const { return vocabulary_; }
  const std::shared_ptr<vocabulary_grammars>& grammars() const { return grammars_; }
  /// general.name of the model file, or its stem.
  const std::string& model_name() const { return name_; }
  /// Tokens of a sequence of the engines made here.
  std::uint32_t max_context() const { return max_context_; }
  served_content content() const;

 private:
  explicit engine_factory(const worker_options& options) : options_(options) {}
  result<std::unique_ptr<engine>> make_engine();

  worker_options options_;
  cpu_engine_options engine_options_;
  std::shared_ptr<const gguf_file> file_;
  std::shared_ptr<const tokenizer> vocabulary_;
  std::shared_ptr<vocabulary_grammars> grammars_;
  std::string name_;
  std::uint32_t max_context_ = 0;
  std::mutex mutex_;
  std::unique_ptr<engine> prepared_;
};

}  // namespace troupe
