#include "simulator/world_observer.hpp"

#include "actors/messages.hpp"
#include "base/random.hpp"
#include "simulator/simulated_engine.hpp"
#include "transport/bridge/message_codec.hpp"

#include <typeinfo>
#include <unordered_map>
#include <utility>

namespace troupe::simulator {
namespace {

/// "token_chunk"; "" for types that are none of the protocols'.
std::string_view name_of(const caf::type_erased_tuple& content) {
  static const auto names = [] {
    std::unordered_map<const std::type_info*, std::string_view> made;
#define TROUPE_ADD_NAME(type) made.emplace(&typeid(type), #type);
    TROUPE_WIRE_MESSAGES(TROUPE_ADD_NAME)
    TROUPE_LOCAL_MESSAGES(TROUPE_ADD_NAME)
#undef TROUPE_ADD_NAME
    made.emplace(&typeid(local_submit), "local_submit");
    made.emplace(&typeid(engine_report), "engine_report");
    return made;
  }();
  if (content.size() == 0) return "nothing";
  if (content.match_element<caf::down_msg>(0)) return "down";
  if (content.match_element<caf::exit_msg>(0)) return "exit";
  const auto found = names.find(content.type(0).second);
  return found == names.end() ? "task" : found->second;
}

std::pair<std::string, std::uint64_t> place_of(const caf::strong_actor_ptr& actor) {
  if (!actor) return {};
  // Without the process id, which differs from run to run.
  const auto node = transport::to_node_id(actor->node());
  return {transport::to_string(node), actor->id()};
}

}  // namespace

void world_observer::violate(std::string what) {
  if (trace != nullptr) std::fprintf(trace, "VIOLATION %s\n", what.c_str());
  if (violations_.size() < max_violations) violations_.push_back(std::move(what));
}

void world_observer::note(std::uint64_t number) {
  hash_ = random_bits(hash_, number);
}

void world_observer::note(std::string_view text) {
  std::uint64_t sum = 14695981039346656037u;
  for (const char c : text)
    sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211u;
  note(sum);
}

std::string_view world_observer::begin(time_point now, std::size_t node, caf::resumable& job) {
  ++n_messages_;
  if (std::exchange(now_, now) != now) told_.clear();
  note(static_cast<std::uint64_t>(now.time_since_epoch().count()));
  note(node);
  auto* const actor = dynamic_cast<caf::scheduled_actor*>(&job);
  caf::mailbox_element* const letter = actor ? actor->peek_at_next_mailbox_element() : nullptr;
  if (letter == nullptr) return {};
  const std::string_view name = name_of(letter->content());
  note(actor->id());
  note(name);
  see_content(node, *actor, *letter);
  if (trace != nullptr) {
    const std::chrono::duration<double, std::milli> ms = now.time_since_epoch();
    std::fprintf(trace, "%.3f node %zu %s <- %s %s%s\n", ms.count(), node, actor->name(),
                 place_of(letter->sender).first.c_str(), std::string(name).c_str(),
                 letter->content().stringify().substr(0, 400).c_str());
  }
  tell(node, "before", name);
  return name;
}

void world_observer::end(std::size_t node, std::string_view message) {
  if (!message.empty()) tell(node, "after", message);
}

void world_observer::tell(std::size_t node, std::string_view when, std::string_view what) {
  if (trace != nullptr && when != "before" && when != "after")
    std::fprintf(trace, "            node %zu  %.*s %.*s\n", node, static_cast<int>(when.size()), when.data(),
                 static_cast<int>(what.size()), what.data());
  if (on_moment) on_moment({node, when, what});
}

void world_observer::see_content(std::size_t node, const caf::scheduled_actor& receiver,
                                 const caf::mailbox_element& letter) {
  const auto& content = letter.content();
  if (content.match_elements<token_chunk>()) {
    const auto& chunk = content.get_as<token_chunk>(0);
    note(chunk.request.value);
    note(chunk.epoch.value);
    for (const auto& token : chunk.tokens)
      note(token.index);
    const auto ended = ended_.find(chunk.request);
    if (ended != ended_.end() && now_ - ended->second > longest_afterlife)
      violate("I12: a worker still computes request " + std::to_string(chunk.request.value) + " seconds after its end");
    auto& owner = owners_.try_emplace(chunk.request, ownership{chunk.epoch, now_}).first->second;
    if (chunk.epoch > owner.highest) owner = {chunk.epoch, now_};
    if (chunk.epoch < owner.highest && now_ - owner.since > longest_overlap)
      violate("I3: request " + std::to_string(chunk.request.value) + " is still computed by an owner that has lost it");
    const auto who = place_of(letter.sender);
    const auto [at, fresh] = emitters_.try_emplace({chunk.request, chunk.epoch}, who);
    if (!fresh && at->second != who)
      violate("I3: two workers emit for request " + std::to_string(chunk.request.value) + " in epoch " +
              std::to_string(chunk.epoch.value));
  } else if (content.match_elements<request_ended>()) {
    const auto& ended = content.get_as<request_ended>(0);
    note(ended.request.value);
    note(ended.epoch.value);
    note(static_cast<std::uint64_t>(ended.reason));
  } else if (content.match_elements<caf::down_msg>()) {
    const auto of = caf::actor_cast<caf::strong_actor_ptr>(content.get_as<caf::down_msg>(0).source);
    if (of && ++told_[{{node, receiver.id()}, place_of(of)}] == 3)
      violate("I10: the " + std::string(receiver.name()) + " of node " + std::to_string(node) +
              " is told again and again that an actor is gone: monitors pile up");
  }
}

client_stream::client_stream(world_observer& observer, const generation_request& request)
    : id(request.id), observer_(observer), expected_(whole_answer(request)) {
  expected_.erase(expected_.begin(), expected_.begin() + static_cast<std::ptrdiff_t>(request.resumed.size()));
}

void client_stream::on_prompt_logprobs(std::span<const prompt_token_logprob> prompt) {
  if (n_prompt_logprobs != 0 || !tokens.empty()) observer_.violate("prompt logprobs come twice, or late");
  n_prompt_logprobs = prompt.size();
}

void client_stream::on_tokens(std::span<const generated_token> fresh) {
  for (const auto& token : fresh) {
    const std::size_t at = tokens.size();
    const std::string which = "request " + std::to_string(id.value) + ", token " + std::to_string(at);
    if (ends != 0) observer_.violate("I1: a token behind the end: " + which);
    if (at >= expected_.size() || token.token != expected_[at]) observer_.violate("I2, I4: a wrong token: " + which);
    tokens.push_back(token.token);
  }
}

void client_stream::on_end(finish_reason why, const token_usage& used, const std::optional<error>& failed) {
  if (++ends != 1) observer_.violate("I1: request " + std::to_string(id.value) + " ends twice");
  observer_.note_end(id);
  reason = why;
  usage = used;
  failure = failed;
  const bool finished = why == finish_reason::length || why == finish_reason::stop;
  if (finished && tokens.size() != expected_.size())
    observer_.violate("I2: request " + std::to_string(id.value) + " ends as whole with " +
                      std::to_string(tokens.size()) + " of " + std::to_string(expected_.size()) + " tokens");
}

}  // namespace troupe::simulator
