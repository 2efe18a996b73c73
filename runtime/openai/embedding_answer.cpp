#include "runtime/openai/embedding_answer.hpp"

#include "runtime/openai/json_text.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

namespace troupe::openai {
namespace {

static_assert(std::endian::native == std::endian::little, "base64 holds little-endian floats");

void append_numbers(std::string& out, std::span<const float> values) {
  out += '[';
  for (const float value : values) {
    char digits[32];
    if (out.back() != '[') out += ',';
    out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  }
  out += ']';
}

// RFC 4648, with padding.
void append_base64(std::string& out, std::span<const float> values) {
  constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto bytes = std::as_bytes(values);
  out += '"';
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < n ? std::to_integer<std::uint32_t>(bytes[i + j]) : 0);
    for (std::size_t j = 0; j < 4; ++j)
      out += j <= n ? alphabet[group >> (18 - 6 * j) & 63] : '=';
  }
  out += '"';
}

/// The first dimensions of a vector, brought to length 1 again.
std::vector<float> shorten(std::span<const float> vector, std::uint32_t dimensions) {
  std::vector<float> shorter(vector.begin(), vector.begin() + dimensions);
  if (dimensions == vector.size()) return shorter;
  double squares = 0;
  for (const float value : shorter)
    squares += double{value} * double{value};
  for (float& value : shorter)
    value = squares > 0 ? static_cast<float>(value / std::sqrt(squares)) : 0.0f;
  return shorter;
}

}  // namespace

std::string embeddings_body(const embeddings& made, std::uint32_t model_dimensions, std::uint32_t dimensions,
                            embedding_encoding encoding, std::string_view model) {
  std::string out = "{\"object\":\"list\",\"data\":[";
  const std::size_t n = made.vectors.size() / model_dimensions;
  for (std::size_t i = 0; i < n; ++i) {
    out.append(i > 0 ? "," : "").append("{\"object\":\"embedding\",\"index\":");
    append_json_integer(out, static_cast<std::int64_t>(i));
    out += ",\"embedding\":";
    const auto vector = shorten(std::span(made.vectors).subspan(i * model_dimensions, model_dimensions), dimensions);
    if (encoding == embedding_encoding::base64) {
      append_base64(out, vector);
    } else {
      append_numbers(out, vector);
    }
    out += '}';
  }
  out += "],\"model\":";
  append_json_string(out, model);
  out += ",\"usage\":{\"prompt_tokens\":";
  append_json_integer(out, static_cast<std::int64_t>(made.n_tokens));
  out += ",\"total_tokens\":";
  append_json_integer(out, static_cast<std::int64_t>(made.n_tokens));
  return out += "}}";
}

embedding_answer::embedding_answer(const embedding_request& request, std::string model, std::uint32_t model_dimensions,
                                   std::shared_ptr<reply> out)
    : encoding_(request.encoding),
      model_dimensions_(model_dimensions),
      dimensions_(request.dimensions == 0 ? model_dimensions : request.dimensions),
      model_(std::move(model)),
      out_(std::move(out)),
      client_gone_(std::make_shared<std::atomic<bool>>(false)) {}

embedding_answer::~embedding_answer() {
  if (!ended_) out_->abandon();
}

void embedding_answer::begin(embedding_request request, std::string model, embedding_service& service,
                             std::shared_ptr<reply> out) {
  const auto made = std::make_shared<embedding_answer>(request, std::move(model), service.dimensions(), std::move(out));
  made->out_->on_disconnect([gone = made->client_gone_] { *gone = true; });
  const auto submitted = service.submit(std::move(request.inputs), made);
  if (!submitted) made->on_end(submitted.error());
}

void embedding_answer::on_end(result<embeddings> made) {
  ended_ = true;
  if (!is_waiting()) return out_->abandon();
  if (!made) return out_->refuse(made.error());
  out_->note_usage({.prompt_tokens = static_cast<std::uint32_t>(made->n_tokens)});
  http::response response;
  response.body = embeddings_body(*made, model_dimensions_, dimensions_, encoding_, model_);
  out_->send(std::move(response));
}

}  // namespace troupe::openai
