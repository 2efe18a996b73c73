#include "runtime/openai/completion_request.hpp"

#include <limits>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

// best_of = n is what the client gets anyway; more would need scores that nobody sees.
void read_best_of(field_reader& reader, std::uint32_t n) {
  std::optional<std::uint32_t> best_of;
  reader.read("best_of", best_of, 0, std::numeric_limits<std::int32_t>::max());
  if (best_of && *best_of != n)
    reader.refuse("best_of", "best_of must equal n; picking from more than n is not supported.", errc::unsupported);
}

}  // namespace

std::vector<token_id> read_token_ids(field_reader& reader, const json& list, const std::string& name) {
  std::vector<token_id> tokens;
  tokens.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto id = integer_of(list[i]);
    if (!id || *id < 0 || *id > std::numeric_limits<token_id>::max()) {
      reader.refuse(name + "[" + std::to_string(i) + "]", "A token id must be an integer of 0 or more.");
      return {};
    }
    tokens.push_back(static_cast<token_id>(*id));
  }
  return tokens;
}

void read_prompts(field_reader& reader, const std::string& field, std::size_t most,
                  std::vector<prompt_input>& prompts) {
  const std::string forms =
      field + " must be a string, an array of strings, an array of token ids or an array of arrays of token ids.";
  const json* prompt = reader.find(field);
  if (prompt == nullptr) return reader.refuse(field, forms);
  if (prompt->is_string()) {
    prompts.emplace_back(prompt->get<std::string>());
    return;
  }
  if (!prompt->is_array() || prompt->empty()) return reader.refuse(field, forms);
  if (prompt->front().is_number()) {
    prompts.emplace_back(read_token_ids(reader, *prompt, field));
    return;
  }
  if (prompt->size() > most)
    return reader.refuse(field, field + " must have at most " + std::to_string(most) + " " + field + "s, but it has " +
                                    std::to_string(prompt->size()) + ".");
  for (std::size_t i = 0; i < prompt->size() && reader.ok(); ++i) {
    const json& item = (*prompt)[i];
    const std::string name = field + "[" + std::to_string(i) + "]";
    if (item.type() != prompt->front().type() || !(item.is_string() || item.is_array())) {
      reader.refuse(name, forms);
    } else if (item.is_string()) {
      prompts.emplace_back(item.get<std::string>());
    } else {
      prompts.emplace_back(read_token_ids(reader, item, name));
    }
  }
}

result<completion_request> parse_completion_request(const json& body, const request_limits& limits,
                                                    generation_fields defaults) {
  completion_request request;
  request.common = std::move(defaults);
  sampling_params& sampling = request.common.sampling;
  field_reader reader(body);
  read_prompts(reader, "prompt", limits.prompts, request.prompts);
  read_generation_fields(reader, limits, request.common);
  reader.read("max_tokens", request.common.max_tokens, 0, std::numeric_limits<std::int32_t>::max());
  reader.read("echo", request.echo);
  reader.read("logprobs", sampling.logprobs, 0, limits.logprobs);
  reader.read("add_special_tokens", request.add_special_tokens);
  read_best_of(reader, request.common.n);
  if (request.prompts.size() * request.common.n > limits.choices)
    reader.refuse("n", "A request must have at most " + std::to_string(limits.choices) + " choices (prompts times n).");
  if (request.common.max_tokens == 0u && !request.echo)
    reader.refuse("max_tokens", "max_tokens must be at least 1; 0 is only allowed when echo is true.");
  if (request.echo) sampling.prompt_logprobs = sampling.logprobs;
  if (const auto outcome = reader.outcome(); !outcome) return outcome.error();
  return request;
}

}  // namespace troupe::openai
