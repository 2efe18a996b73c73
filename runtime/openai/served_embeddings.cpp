#include "runtime/openai/served_embeddings.hpp"

#include <algorithm>

namespace troupe::openai {

error no_embeddings() {
  return make_error(errc::unsupported,
                    "This server makes no embeddings. Start it with --embedding-model minilm, after troupe model pull "
                    "minilm.",
                    "model");
}

result<> check_embedding_model(const served_embeddings& served, const served_model& generates, std::string_view name) {
  if (name.empty() || std::ranges::find(served.names, name) != served.names.end()) return {};
  const bool is_other = std::ranges::find(generates.names, name) != generates.names.end();
  return make_error(is_other ? errc::unsupported : errc::not_found,
                    "The model " + std::string(name) + (is_other ? " makes no embeddings" : " does not exist here") +
                        "; the model for embeddings is " + served.names.front() + ".",
                    "model");
}

}  // namespace troupe::openai
