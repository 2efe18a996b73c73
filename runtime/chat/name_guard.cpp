#include "runtime/chat/name_guard.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe {
namespace {

constexpr std::string_view mark = "\uFDD0";

/// How many marks the text ends with.
std::size_t marks_at_end(std::string_view text) {
  std::size_t n = 0;
  for (; text.ends_with(mark); text.remove_suffix(mark.size()))
    ++n;
  return n;
}

/// Two marks are one that somebody wrote; one alone is ours.
std::string without_marks(std::string_view text) {
  std::string plain;
  for (auto at = text.find(mark); at != std::string_view::npos; at = text.find(mark)) {
    plain += text.substr(0, at);
    text.remove_prefix(at + mark.size());
    if (!text.starts_with(mark)) continue;
    plain += mark;
    text.remove_prefix(mark.size());
  }
  return plain += text;
}

}  // namespace

std::string guard_names(const tokenizer& vocabulary, std::string_view text) {
  std::string guarded;
  for (;;) {
    const auto name = vocabulary.find_control(text);
    const std::size_t written = text.find(mark);
    if (!name && written == std::string_view::npos) break;
    if (!name || written < name->position) {
      guarded.append(text.substr(0, written + mark.size())).append(mark);
      text.remove_prefix(written + mark.size());
    } else {
      guarded.append(text.substr(0, name->position)).append(mark);
      guarded.append(text.substr(name->position, name->length)).append(mark);
      text.remove_prefix(name->position + name->length);
    }
  }
  return guarded += text;
}

void guard_names(const tokenizer& vocabulary, nlohmann::ordered_json& value) {
  if (value.is_string()) {
    auto& text = value.get_ref<std::string&>();
    text = guard_names(vocabulary, std::string_view(text));
  } else if (value.is_array()) {
    for (auto& element : value)
      guard_names(vocabulary, element);
  } else if (value.is_object()) {
    auto guarded = nlohmann::ordered_json::object();
    for (auto& [key, member] : value.items()) {
      guard_names(vocabulary, member);
      guarded[guard_names(vocabulary, std::string_view(key))] = std::move(member);
    }
    value = std::move(guarded);
  }
}

unguarded_text encode_guarded(const tokenizer& vocabulary, std::string_view guarded) {
  unguarded_text made;
  std::string piece;  // text since the last control token
  const auto encode_piece = [&] {
    const auto tokens = vocabulary.encode(piece, special_tokens::as_text);
    made.tokens.insert(made.tokens.end(), tokens.begin(), tokens.end());
    made.text += piece;
    piece.clear();
  };
  while (const auto name = vocabulary.find_control(guarded)) {
    const auto before = guarded.substr(0, name->position);
    const auto after = guarded.substr(name->position + name->length);
    piece += without_marks(before);
    const auto written = guarded.substr(name->position, name->length);
    if (marks_at_end(before) % 2 == 1 && after.starts_with(mark)) {
      piece += written;
      guarded = after.substr(mark.size());
      continue;
    }
    encode_piece();
    made.tokens.push_back(name->token);
    made.text += written;
    guarded = after;
  }
  piece += without_marks(guarded);
  encode_piece();
  return made;
}

}  // namespace troupe
