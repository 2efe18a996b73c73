#include "runtime/openai/generation_plan.hpp"

#include "base/random.hpp"
#include "runtime/openai/prompt.hpp"

#include <algorithm>

namespace troupe::openai {
namespace {

error too_long(const served_model& model, std::size_t prompt_tokens, std::uint32_t answer_tokens,
               std::string_view field) {
  return make_error(errc::context_length_exceeded,
                    "This model's maximum context length is " + std::to_string(model.context_length) +
                        " tokens. However, you requested " + std::to_string(prompt_tokens + answer_tokens) +
                        " tokens (" + std::to_string(prompt_tokens) + " in the " + std::string(field) + ", " +
                        std::to_string(answer_tokens) + " in the completion). Please reduce the length of either.",
                    std::string(field));
}

error empty_prompt(std::string_view field) {
  return make_error(errc::invalid_argument, std::string(field) + " must come to at least one token.",
                    std::string(field));
}

// How many tokens the answer may have: what was asked for, or the default cut to the room that the prompt leaves.
result<std::uint32_t> settle_max_tokens(const served_model& model, std::size_t prompt_tokens,
                                        std::optional<std::uint32_t> asked, std::uint32_t fallback,
                                        std::string_view field) {
  if (prompt_tokens == 0) return empty_prompt(field);
  const std::uint32_t least = asked.value_or(1);
  if (prompt_tokens > model.context_length || least > model.context_length - prompt_tokens)
    return too_long(model, prompt_tokens, least, field);
  return asked.value_or(std::min(fallback, static_cast<std::uint32_t>(model.context_length - prompt_tokens)));
}

result<> check_tokens_exist(const sampling_params& sampling, const served_model& model) {
  const auto exists = [size = model.vocabulary->vocabulary_size()](token_id id) {
    return static_cast<std::uint32_t>(id) < size;
  };
  const auto refuse = [&](const char* param) {
    return make_error(errc::invalid_argument,
                      std::string(param) + " names a token outside the vocabulary of " +
                          std::to_string(model.vocabulary->vocabulary_size()) + " tokens.",
                      param);
  };
  for (const auto& [id, bias] : sampling.logit_bias)
    if (!exists(id)) return refuse("logit_bias");
  for (const token_id id : sampling.stop_tokens)
    if (!exists(id)) return refuse("stop_token_ids");
  return {};
}

// Compiles it, so that a bad grammar is told with the field that it came in.
result<> check_grammar(const generation_fields& fields, const served_model& model) {
  if (!model.grammars || fields.sampling.grammar.kind == grammar_kind::none) return {};
  const auto found = model.grammars->find(fields.sampling.grammar);
  if (found) return {};
  const error& failure = found.error();
  const std::string place = failure.param.empty() ? "" : " (at " + failure.param + ")";
  return make_error(failure.code == errc::unsupported ? errc::unsupported : errc::invalid_argument,
                    fields.grammar_field + " cannot be used: " + failure.message + place + ".", fields.grammar_field);
}

generation_plan start_plan(const generation_fields& fields, const served_model& model, plan_context& context,
                           answer_kind kind) {
  generation_plan plan;
  plan.n = fields.n;
  answer_format& format = plan.format;
  format.kind = kind;
  format.id = (kind == answer_kind::chat ? "chatcmpl-" : "cmpl-") + context.answer_id;
  format.created = context.created;
  format.model = fields.model.empty() ? model.names.front() : fields.model;
  format.fingerprint = std::move(context.fingerprint);
  format.stream = fields.stream;
  format.include_usage = fields.include_usage;
  format.logprobs = fields.sampling.logprobs >= 0;
  format.alternatives = std::max(0, fields.sampling.logprobs);
  return plan;
}

// Appends the n submissions of one prompt.
result<> add_prompt(generation_plan& plan, const generation_fields& fields, const served_model& model,
                    generation_service& service, const plan_context& context, std::vector<token_id> tokens) {
  if (const auto valid = validate(fields.sampling); !valid) return valid.error();
  const std::uint64_t seed = fields.seed ? static_cast<std::uint64_t>(*fields.seed) : context.fresh_seed;
  for (std::uint32_t choice = 0; choice < fields.n; ++choice) {
    generation_request request;
    request.id = service.next_request_id();
    request.model = model.names.front();
    request.prompt = choice + 1 == fields.n ? std::move(tokens) : tokens;
    request.sampling = fields.sampling;
    request.sampling.seed = seed_of_choice(seed, choice);
    request.objective = fields.objective;
    request.call = fields.call;
    request.tenant = context.tenant;
    plan.submissions.push_back(std::move(request));
  }
  return {};
}

}  // namespace

std::uint64_t seed_of_choice(std::uint64_t seed, std::uint32_t choice) {
  return choice == 0 ? seed : random_bits(seed, choice);
}

result<generation_plan> plan_chat(chat_request request, const served_model& model, generation_service& service,
                                  plan_context context) {
  generation_fields& fields = request.common;
  if (const auto known = check_model_name(model, fields.model); !known) return known.error();
  if (const auto exist = check_tokens_exist(fields.sampling, model); !exist) return exist.error();
  if (const auto good = check_grammar(fields, model); !good) return good.error();
  auto prompt = encode_chat(model, request.prompt);
  if (!prompt) return prompt.error();
  const auto max_tokens =
      settle_max_tokens(model, prompt->tokens.size(), fields.max_tokens, model.context_length, "messages");
  if (!max_tokens) return max_tokens.error();
  fields.sampling.max_tokens = *max_tokens;
  generation_plan plan = start_plan(fields, model, context, answer_kind::chat);
  plan.format.calls_tools = request.prompt.tools.mode != tool_mode::none;
  if (const auto added = add_prompt(plan, fields, model, service, context, std::move(prompt->tokens)); !added)
    return added.error();
  return plan;
}

result<generation_plan> plan_completion(completion_request request, const served_model& model,
                                        generation_service& service, plan_context context) {
  generation_fields& fields = request.common;
  if (const auto known = check_model_name(model, fields.model); !known) return known.error();
  if (const auto exist = check_tokens_exist(fields.sampling, model); !exist) return exist.error();
  if (const auto good = check_grammar(fields, model); !good) return good.error();
  generation_plan plan = start_plan(fields, model, context, answer_kind::completion);
  for (const prompt_input& input : request.prompts) {
    if (std::visit([](const auto& given) { return given.empty(); }, input)) return empty_prompt("prompt");
    auto prompt = encode_prompt(model, input, request.add_special_tokens);
    if (!prompt) return prompt.error();
    const auto max_tokens =
        settle_max_tokens(model, prompt->tokens.size(), fields.max_tokens, default_completion_tokens, "prompt");
    if (!max_tokens) return max_tokens.error();
    fields.sampling.max_tokens = *max_tokens;
    if (request.echo) plan.echoes.push_back({std::move(prompt->text), prompt->begin_added});
    if (const auto added = add_prompt(plan, fields, model, service, context, std::move(prompt->tokens)); !added)
      return added.error();
  }
  return plan;
}

}  // namespace troupe::openai
