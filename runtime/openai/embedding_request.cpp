#include "runtime/openai/embedding_request.hpp"

#include "runtime/openai/completion_request.hpp"

#include <nlohmann/json.hpp>

namespace troupe::openai {

result<embedding_request> parse_embedding_request(const json& body, const request_limits& limits,
                                                  std::uint32_t max_dimensions) {
  embedding_request request;
  field_reader reader(body);
  read_prompts(reader, "input", limits.embedding_inputs, request.inputs);
  reader.read("model", request.model, limits.name_bytes);
  reader.read("user", request.user, limits.name_bytes);
  reader.read("dimensions", request.dimensions, 1, max_dimensions);
  std::string encoding = "float";
  reader.read("encoding_format", encoding, limits.name_bytes);
  if (encoding == "base64") {
    request.encoding = embedding_encoding::base64;
  } else if (encoding != "float") {
    reader.refuse("encoding_format", "encoding_format must be \"float\" or \"base64\".");
  }
  if (const auto outcome = reader.outcome(); !outcome) return outcome.error();
  return request;
}

}  // namespace troupe::openai
