// An embedding model that needs none: a vector of eight numbers from a text's bytes, given at once on the caller's
// thread.
#pragma once

#include "base/embedding_service.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace troupe::testing {

class byte_embeddings final : public embedding_service {
 public:
  static constexpr std::uint32_t n = 8;

  std::uint32_t dimensions() const override { return n; }
  std::uint32_t max_tokens() const override { return 64; }
  std::uint32_t vocabulary_size() const override { return 256; }

  result<> submit(std::vector<embedding_input> inputs, std::shared_ptr<embedding_observer> observer) override {
    if (is_full) return make_error(errc::overloaded, "Too many.");
    if (holds) {
      held = std::move(observer);
      return {};
    }
    embeddings made;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const auto tokens = tokens_of(inputs[i]);
      const std::string name = "input[" + std::to_string(i) + "]";
      if (tokens.empty()) {
        observer->on_end(make_error(errc::invalid_argument, name + " is empty.", name));
        return {};
      }
      if (tokens.size() > max_tokens()) {
        observer->on_end(make_error(errc::context_length_exceeded, name + " is too long.", name));
        return {};
      }
      const auto unknown = [](token_id id) { return id < 0 || id >= token_id{256}; };
      if (std::any_of(tokens.begin(), tokens.end(), unknown)) {
        observer->on_end(make_error(errc::invalid_argument, name + " has a token outside the vocabulary.", name));
        return {};
      }
      append_vector(tokens, made.vectors);
      made.n_tokens += tokens.size();
    }
    observer->on_end(std::move(made));
    return {};
  }

  bool is_full = false;
  bool holds = false;  // answers nothing and keeps who waits
  std::shared_ptr<embedding_observer> held;

 private:
  static std::vector<token_id> tokens_of(const embedding_input& input) {
    if (const auto* tokens = std::get_if<std::vector<token_id>>(&input)) return *tokens;
    std::vector<token_id> tokens;
    for (const char c : std::get<std::string>(input))
      tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
  }

  static void append_vector(const std::vector<token_id>& tokens, std::vector<float>& out) {
    double values[n] = {1};
    for (std::size_t i = 0; i < tokens.size(); ++i)
      values[i % n] += tokens[i];
    double squares = 0;
    for (const double value : values)
      squares += value * value;
    for (const double value : values)
      out.push_back(static_cast<float>(value / std::sqrt(squares)));
  }
};

}  // namespace troupe::testing
