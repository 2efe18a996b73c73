#include "runtime/chat/chat_encoder.hpp"

#include "runtime/chat/name_guard.hpp"

#include <utility>

#include <nlohmann/json.hpp>

namespace troupe {

result<encoded_chat> encode_chat(const chat_template& chat, const tokenizer& vocabulary, nlohmann::ordered_json context,
                                 const std::optional<std::string>& continued) {
  for (auto& [name, value] : context.items())
    guard_names(vocabulary, value);
  const auto name_of = [&](std::optional<token_id> id) {
    return id ? std::string(vocabulary.token_bytes(*id)) : std::string();
  };
  context["bos_token"] = name_of(vocabulary.bos());
  context["eos_token"] = name_of(vocabulary.eos());
  if (!context.contains("tools"))
    context["tools"] = nullptr;  // templates test for None, which an undefined name is not

  auto rendered = chat.render(context);
  if (!rendered) return rendered.error();
  if (continued) {
    const std::string last = guard_names(vocabulary, std::string_view(*continued));
    const auto at = rendered->rfind(last);
    if (at == std::string::npos)
      return make_error(errc::invalid_argument,
                        "continue_final_message needs a chat template that writes the last message as it is.",
                        "continue_final_message");
    rendered->resize(at + last.size());
  }
  auto encoded = encode_guarded(vocabulary, *rendered);
  return encoded_chat{std::move(encoded.tokens), std::move(encoded.text)};
}

}  // namespace troupe
