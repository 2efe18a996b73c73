// One process's cast: actor system, scheduler, supervisor, workers and gateway around one model. What `troupe serve`,
// the in-process client and the tests start. No CAF in this header.
#pragma once

#include "base/generation_service.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace troupe {

class chat_template;
class metrics;
class tokenizer;
class vocabulary_grammars;

struct node_options {
  std::filesystem::path model;      // a GGUF file
  std::string isa;                  // of the kernels; empty: the best this processor has
  std::uint32_t threads = 0;        // that compute; 0: one for each processor
  std::uint32_t max_model_len = 0;  // tokens of prompt and answer; 0: the model's own
  std::uint32_t max_num_seqs = 64;  // sequences a step computes
  std::uint32_t max_num_batched_tokens = 512;
  std::uint32_t interleaved_prefill_tokens = 128;  // prompt tokens of a step while other streams are decoding
  std::uint64_t kv_cache_bytes = 0;                // 0: what max_num_seqs full contexts need, at most 512 MiB
  std::string kv_cache_type = "f16";               // or f32, q8_0
  bool enable_prefix_caching = true;
  std::uint32_t num_speculative_tokens = 8;  // guessed ahead by prompt lookup where that pays; 0: none
  std::string scheduler = "fcfs";            // local order
  std::string dispatch = "least_loaded";     // global order
  std::uint32_t max_queue = 1024;            // requests waiting for a worker
  std::string chat_template;                 // source text; empty: the model's own
  std::string metrics_model_name;            // the label of metrics under vLLM's names; empty: the model's own
};

class node {
 public:
  /// Loads the model and starts the actors. Errors: an unreadable or unsupported model, unknown names, impossible
  /// sizes.
  static result<std::unique_ptr<node>> start(const node_options& options);
  /// Ends the actors; running requests end as cancelled.
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  generation_service& service();
  std::shared_ptr<generation_service> shared_service();
  std::shared_ptr<const tokenizer> shared_tokenizer() const;
  /// Where the workers' grammars are compiled, so that others may find out before what is wrong with one.
  std::shared_ptr<vocabulary_grammars> shared_grammars() const;
  /// nullptr when neither the model nor the options have one.
  std::shared_ptr<const chat_template> shared_chat_template() const;
  /// Whether the chat template speaks of a variable, say "tools".
  bool chat_template_uses(std::string_view variable) const;
  std::shared_ptr<metrics> shared_metrics() const;
  std::uint32_t max_context() const;
  /// general.name of the model file, or its stem.
  const std::string& model_name() const;

 private:
  struct implementation;
  explicit node(std::unique_ptr<implementation> made);
  std::unique_ptr<implementation> implementation_;
};

}  // namespace troupe
