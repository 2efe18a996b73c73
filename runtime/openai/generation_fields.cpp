#include "runtime/openai/generation_fields.hpp"

#include "runtime/openai/objective.hpp"
#include "runtime/openai/output_format.hpp"

#include <charconv>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

constexpr std::int64_t max_token_id = std::numeric_limits<token_id>::max();
constexpr std::int64_t max_count = std::numeric_limits<std::int32_t>::max();

void read_stop(field_reader& reader, const request_limits& limits, std::vector<std::string>& stop) {
  const json* value = reader.find("stop");
  if (value == nullptr) return;
  if (value->is_string()) {
    std::string one;
    reader.read("stop", one, limits.stop_bytes);
    stop = {one};
    return;
  }
  const json* list = reader.read_array("stop", limits.stop_strings);
  if (list == nullptr) return;
  stop.clear();
  for (std::size_t i = 0; i < list->size(); ++i) {
    const json& item = (*list)[i];
    const std::string name = "stop[" + std::to_string(i) + "]";
    if (!item.is_string()) return reader.refuse(name, "stop must be a string or an array of strings.");
    if (item.get_ref<const std::string&>().size() > limits.stop_bytes)
      return reader.refuse(name, "A stop string must have at most " + std::to_string(limits.stop_bytes) + " bytes.");
    stop.push_back(item.get<std::string>());
  }
}

void read_stop_tokens(field_reader& reader, const request_limits& limits, std::vector<token_id>& tokens) {
  const json* list = reader.read_array("stop_token_ids", limits.stop_tokens);
  if (list == nullptr) return;
  tokens.clear();
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto id = integer_of((*list)[i]);
    if (!id || *id < 0 || *id > max_token_id)
      return reader.refuse("stop_token_ids[" + std::to_string(i) + "]", "A stop token must be a token id.");
    tokens.push_back(static_cast<token_id>(*id));
  }
}

void read_logit_bias(field_reader& reader, const request_limits& limits, sampling_params& sampling) {
  const json* map = reader.read_object("logit_bias");
  if (map == nullptr) return;
  if (map->size() > limits.logit_bias)
    return reader.refuse("logit_bias",
                         "logit_bias must have at most " + std::to_string(limits.logit_bias) + " tokens.");
  sampling.logit_bias.clear();
  for (const auto& [key, bias] : map->items()) {
    token_id id = 0;
    const auto [end, status] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (status != std::errc() || end != key.data() + key.size() || id < 0)
      return reader.refuse("logit_bias", "The keys of logit_bias must be token ids, such as \"50256\".");
    if (!bias.is_number()) return reader.refuse("logit_bias." + key, "The values of logit_bias must be numbers.");
    const auto value = bias.get<double>();
    if (!(value >= -100.0 && value <= 100.0))
      return reader.refuse("logit_bias." + key, "The values of logit_bias must be between -100 and 100.");
    sampling.logit_bias.emplace_back(id, static_cast<float>(value));
  }
}

void read_stream_options(field_reader& reader, generation_fields& fields) {
  reader.read("stream", fields.stream);
  const json* options = reader.read_object("stream_options");
  if (options == nullptr) return;
  if (!fields.stream) return reader.refuse("stream_options", "stream_options is only allowed when stream is true.");
  field_reader inner(*options, "stream_options");
  inner.read("include_usage", fields.include_usage);
  if (!inner.ok()) reader.adopt(inner.outcome().error());
}

void read_sampling(field_reader& reader, const request_limits& limits, sampling_params& sampling) {
  reader.read("temperature", sampling.temperature);
  reader.read("top_p", sampling.top_p);
  reader.read("top_k", sampling.top_k, -1, max_count);
  reader.read("min_p", sampling.min_p);
  reader.read("presence_penalty", sampling.presence_penalty);
  reader.read("frequency_penalty", sampling.frequency_penalty);
  reader.read("repetition_penalty", sampling.repetition_penalty);
  reader.read("ignore_eos", sampling.ignore_eos);
  reader.read("include_stop_str_in_output", sampling.include_stop_in_output);
  reader.read("min_tokens", sampling.min_tokens, 0, max_count);
  read_stop(reader, limits, sampling.stop);
  read_stop_tokens(reader, limits, sampling.stop_tokens);
  read_logit_bias(reader, limits, sampling);
  if (!reader.ok()) return;
  sampling_params ranges = sampling;
  ranges.max_tokens = std::numeric_limits<std::uint32_t>::max();  // not known yet; min_tokens is compared when it is
  if (const auto valid = validate(ranges); !valid) reader.adopt(valid.error());
}

// True when the value asks for nothing: absent, false, empty, or the field's neutral number.
bool asks_for_nothing(const json& value, double neutral) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == neutral;
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.empty();
}

struct unsupported_field {
  std::string_view name;
  double neutral = 0.0;
};

constexpr unsupported_field unsupported_fields[] = {
    {"suffix"},
    {"functions"},
    {"function_call"},
    {"audio"},
    {"prediction"},
    {"web_search_options"},
    {"use_beam_search"},
    {"length_penalty", 1.0},
    {"guided_regex"},
    {"prompt_embeds"},
    {"prompt_logprobs", -1.0},
    {"truncate_prompt_tokens", -1.0},
    {"logits_processors"},
    {"chat_template"},
    {"documents"},
    {"bad_words"},
    {"allowed_token_ids"},
};

}  // namespace

void refuse_unsupported_fields(field_reader& reader) {
  for (const auto& field : unsupported_fields) {
    const json* value = reader.find(field.name);
    if (value == nullptr || asks_for_nothing(*value, field.neutral)) continue;
    reader.refuse(field.name, std::string(field.name) + " is not supported by this version.", errc::unsupported);
  }
}

void read_generation_fields(field_reader& reader, const request_limits& limits, generation_fields& fields) {
  reader.read("model", fields.model, limits.name_bytes);
  reader.read("n", fields.n, 1, limits.n);
  reader.read("seed", fields.seed, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
  reader.read("user", fields.user, limits.name_bytes);
  reader.read("cache_salt", fields.cache_salt, limits.name_bytes);
  if (reader.find("cache_salt") != nullptr && fields.cache_salt.empty())
    reader.refuse("cache_salt", "cache_salt must not be empty; leave it out to share the prefix cache.");
  read_sampling(reader, limits, fields.sampling);
  read_stream_options(reader, fields);
  output_format format;
  read_output_format(reader, format);
  fields.sampling.grammar = std::move(format.grammar);
  fields.grammar_field = std::move(format.field);
  read_objective(reader, fields.objective, fields.call);
  refuse_unsupported_fields(reader);
}

}  // namespace troupe::openai
