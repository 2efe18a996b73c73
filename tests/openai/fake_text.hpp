// A tokenizer and a chat template small enough to foresee: a token for each byte, a few for names and words, and
// ChatML.
#pragma once

#include "runtime/template/chat_template.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <array>
#include <string>

#include <nlohmann/json.hpp>

namespace troupe::testing {

/// Ids 0 to 255 are bytes; the names below are control tokens; the rest are words, which only decode() and tests use.
class byte_tokenizer final : public tokenizer {
 public:
  static constexpr token_id eos_id = 256;
  static constexpr token_id bos_id = 257;
  static constexpr token_id word_id = 260;  // " the"

  explicit byte_tokenizer(bool adds_bos = false) : adds_bos_(adds_bos) {
    for (int byte = 0; byte < 256; ++byte)
      tokens_.emplace_back(1, static_cast<char>(byte));
    for (const char* name : {"<|end|>", "<|begin|>", "<|im_start|>", "<|im_end|>", " the", " of", " and"})
      tokens_.emplace_back(name);
  }

  std::vector<token_id> encode(std::string_view text, special_tokens mode) const override {
    std::vector<token_id> ids;
    while (!text.empty()) {
      token_id id = static_cast<unsigned char>(text[0]);
      for (token_id control = eos_id; mode == special_tokens::parse && text[0] == '<' && control < word_id; ++control)
        if (text.starts_with(token_bytes(control))) id = control;
      ids.push_back(id);
      text.remove_prefix(token_bytes(id).size());
    }
    return ids;
  }
  std::optional<token_place> find_control(std::string_view text) const override {
    for (std::size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at + 1))
      for (token_id control = eos_id; control < word_id; ++control)
        if (text.substr(at).starts_with(token_bytes(control)))
          return token_place{at, token_bytes(control).size(), control};
    return std::nullopt;
  }
  std::string_view token_bytes(token_id id) const override {
    return id >= 0 && static_cast<std::size_t>(id) < tokens_.size()
               ? std::string_view(tokens_[static_cast<std::size_t>(id)])
               : std::string_view();
  }
  std::string decode(const std::vector<token_id>& ids, bool keep_special) const override {
    std::string text;
    for (const token_id id : ids)
      if (keep_special || !is_control(id)) text += token_bytes(id);
    return text;
  }
  std::uint32_t vocabulary_size() const override { return static_cast<std::uint32_t>(tokens_.size()); }
  bool is_control(token_id id) const override { return id >= eos_id && id < word_id; }
  bool is_end(token_id id) const override { return id == eos_id; }
  std::optional<token_id> bos() const override { return bos_id; }
  std::optional<token_id> eos() const override { return eos_id; }
  bool adds_bos() const override { return adds_bos_; }
  std::optional<token_id> find(std::string_view token) const override {
    for (std::size_t id = 0; id < tokens_.size(); ++id)
      if (tokens_[id] == token) return static_cast<token_id>(id);
    return std::nullopt;
  }

 private:
  std::vector<std::string> tokens_;
  bool adds_bos_;
};

/// "<|im_start|>role\ncontent<|im_end|>\n" for each message. A message "raise" makes it fail as raise_exception does.
class chatml_template final : public chat_template {
 public:
  result<std::string> render(const nlohmann::ordered_json& context, std::size_t) const override {
    std::string out;
    if (context.at("tools").is_array()) out += "tools: " + context["tools"].dump() + "\n";
    if (context.contains("note")) out += context["note"].is_string() ? context["note"].get<std::string>() + "\n" : "?";
    for (const auto& message : context.at("messages")) {
      const auto content = message.at("content").get<std::string>();
      if (content == "raise") return make_error(errc::invalid_argument, "The template says no.");
      out += "<|im_start|>" + message.at("role").get<std::string>() + "\n" + content;
      if (message.contains("tool_calls")) out += message["tool_calls"].dump();
      out += "<|im_end|>\n";
    }
    if (context.at("add_generation_prompt").get<bool>()) out += "<|im_start|>assistant\n";
    return out;
  }
};

}  // namespace troupe::testing
