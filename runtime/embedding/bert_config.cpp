#include "runtime/embedding/bert_config.hpp"

#include "kernels/ops/attention.hpp"
#include "runtime/gguf/mapped_file.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe {
namespace {

using nlohmann::json;

constexpr std::size_t max_file_bytes = std::size_t{1} << 20;
constexpr std::size_t max_depth = 16;

// Far above any model of this kind, far below what overflows a product of two of them.
constexpr std::uint32_t max_layers = 1'024;
constexpr std::uint32_t max_width = 1 << 16;
constexpr std::uint32_t max_vocabulary = 1 << 21;
constexpr std::uint32_t max_positions = 1 << 14;

/// The members of one of the folder's files. Keeps the first error, so that the list of fields reads as a list.
class config_file {
 public:
  config_file(const std::filesystem::path& folder, std::string name) : name_(std::move(name)) { read(folder / name_); }

  bool is_absent() const { return failure_ && failure_->code == errc::not_found; }
  result<> outcome() const {
    if (failure_) return *failure_;
    return {};
  }

  std::uint32_t number(const std::string& key, std::uint32_t largest,
                       std::optional<std::uint32_t> otherwise = std::nullopt) {
    const json* value = find(key, otherwise.has_value());
    if (value == nullptr) return otherwise.value_or(0);
    if (value->is_number_unsigned() && value->get<std::uint64_t>() >= 1 && value->get<std::uint64_t>() <= largest)
      return value->get<std::uint32_t>();
    fail(errc::corrupt, key, "is " + shown(*value) + ", expected a whole number from 1 to " + std::to_string(largest));
    return 0;
  }

  float fraction(const std::string& key, double smallest, double largest) {
    const json* value = find(key, false);
    if (value == nullptr) return 0;
    if (value->is_number() && value->get<double>() >= smallest && value->get<double>() <= largest)
      return value->get<float>();
    fail(errc::corrupt, key, "is " + shown(*value) + ", expected a number above 0");
    return 0;
  }

  /// The one value that is supported; an absent key means it.
  void must_be(const std::string& key, const json& wanted) {
    const json* value = find(key, true);
    if (value != nullptr && *value != wanted)
      fail(errc::unsupported, key, "is " + shown(*value) + "; only " + shown(wanted) + " is supported");
  }

 private:
  void read(const std::filesystem::path& path) {
    const auto file = mapped_file::open(path);
    if (!file) {
      failure_ = file.error();
      return;
    }
    const auto bytes = file->bytes();
    const auto refuse_depth = [](int depth, json::parse_event_t, json&) {
      return depth <= static_cast<int>(max_depth);
    };
    if (bytes.size() <= max_file_bytes) {
      const auto* text = reinterpret_cast<const char*>(bytes.data());
      object_ = json::parse(text, text + bytes.size(), refuse_depth, false);
    }
    if (!object_.is_object())
      failure_ = make_error(errc::corrupt, path.string() + ": this is no JSON object of at most " +
                                               std::to_string(max_file_bytes) + " bytes.");
  }

  const json* find(const std::string& key, bool may_be_absent) {
    if (failure_) return nullptr;
    const auto found = object_.find(key);
    if (found != object_.end() && !found->is_null()) return &*found;
    if (!may_be_absent) fail(errc::corrupt, key, "is missing");
    return nullptr;
  }

  void fail(errc code, const std::string& key, const std::string& what) {
    if (!failure_) failure_ = make_error(code, name_ + ": the key " + key + " " + what + ".", key);
  }

  static std::string shown(const json& value) {
    return value.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 64);
  }

  std::string name_;
  json object_;
  std::optional<error> failure_;
};

result<bert_config> read_encoder(const std::filesystem::path& folder) {
  config_file file(folder, "config.json");
  file.must_be("model_type", "bert");
  file.must_be("hidden_act", "gelu");
  file.must_be("position_embedding_type", "absolute");
  bert_config config;
  config.n_layers = file.number("num_hidden_layers", max_layers);
  config.n_embd = file.number("hidden_size", max_width);
  config.n_heads = file.number("num_attention_heads", max_width);
  config.n_ff = file.number("intermediate_size", max_width);
  config.n_vocab = file.number("vocab_size", max_vocabulary);
  config.n_positions = file.number("max_position_embeddings", max_positions);
  config.n_types = file.number("type_vocab_size", max_width);
  config.norm_epsilon = file.fraction("layer_norm_eps", 1e-20, 1.0);
  if (const auto read = file.outcome(); !read) return read.error();
  const std::uint32_t heads = config.n_heads;
  if (config.n_embd % heads != 0 || config.head_dim() % 8 != 0 || config.head_dim() > kernels::max_head_dim)
    return make_error(errc::unsupported,
                      "config.json: " + std::to_string(heads) + " heads in " + std::to_string(config.n_embd) +
                          " dimensions are not supported; heads of 8, 16, … " + std::to_string(kernels::max_head_dim) +
                          " dimensions are.",
                      "num_attention_heads");
  return config;
}

}  // namespace

result<bert_config> read_bert_config(const std::filesystem::path& folder) {
  auto config = read_encoder(folder);
  if (!config) return config;
  config->max_tokens = config->n_positions;
  config_file sentence(folder, "sentence_bert_config.json");
  if (!sentence.is_absent()) {
    config->max_tokens =
        std::min(config->n_positions,
                 sentence.number("max_seq_length", std::numeric_limits<std::int32_t>::max(), config->n_positions));
    if (const auto read = sentence.outcome(); !read) return read.error();
  }
  config_file pooling(folder, "1_Pooling/config.json");
  if (!pooling.is_absent()) {
    pooling.must_be("pooling_mode_mean_tokens", true);
    for (const char* other : {"pooling_mode_cls_token", "pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens"})
      pooling.must_be(other, false);
    if (const auto read = pooling.outcome(); !read) return read.error();
  }
  config_file tokenizer(folder, "tokenizer_config.json");
  if (!tokenizer.is_absent()) {
    tokenizer.must_be("do_lower_case", true);
    tokenizer.must_be("tokenize_chinese_chars", true);
    tokenizer.must_be("strip_accents", true);
    if (const auto read = tokenizer.outcome(); !read) return read.error();
  }
  if (config->max_tokens < 3)
    return make_error(errc::unsupported, "A model that reads fewer than 3 tokens has no room for a text.",
                      "max_seq_length");
  return config;
}

}  // namespace troupe
