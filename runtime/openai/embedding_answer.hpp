// The answer to one request for embeddings: waits for the service and writes OpenAI's list, on the service's thread. A
// client that leaves is not waited for.
#pragma once

#include "base/embedding_service.hpp"
#include "runtime/openai/embedding_request.hpp"
#include "runtime/openai/reply.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace troupe::openai {

class embedding_answer final : public embedding_observer {
 public:
  /// Submits the request; `model` is the name that the answer shows.
  static void begin(embedding_request request, std::string model, embedding_service& service,
                    std::shared_ptr<reply> out);

  embedding_answer(const embedding_request& request, std::string model, std::uint32_t model_dimensions,
                   std::shared_ptr<reply> out);
  ~embedding_answer() override;  // writes the record of a request that nobody waited for

  bool is_waiting() const override { return !*client_gone_; }
  void on_end(result<embeddings> made) override;

 private:
  const embedding_encoding encoding_;
  const std::uint32_t model_dimensions_;
  const std::uint32_t dimensions_;  // that the client gets
  const std::string model_;
  const std::shared_ptr<reply> out_;
  const std::shared_ptr<std::atomic<bool>> client_gone_;  // the connection keeps it too
  bool ended_ = false;
};

/// {"object":"list","data":[{"object":"embedding","index":0,"embedding":[…] or text}, …],"model":…,"usage":{…}}
/// Numbers are written with the fewest digits that read back as the same float; base64 holds little-endian floats.
std::string embeddings_body(const embeddings& made, std::uint32_t model_dimensions, std::uint32_t dimensions,
                            embedding_encoding encoding, std::string_view model);

}  // namespace troupe::openai
