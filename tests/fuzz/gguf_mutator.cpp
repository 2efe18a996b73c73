#include "gguf_mutator.hpp"

#include "base/random.hpp"
#include "runtime/gguf/format.hpp"
#include "runtime/gguf/gguf_writer.hpp"
#include "runtime/gguf/tiny_model.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <string>

namespace troupe::test {
namespace {

using gguf::value_type;

struct field {
  std::size_t at = 0;
  std::size_t width = 0;  // 4 or 8
};

// Walks a file as far as it makes sense and notes where the structure's numbers are.
class field_finder {
 public:
  explicit field_finder(std::span<const std::byte> file) : file_(file) {}

  std::vector<field> find() {
    at_ = gguf::magic.size();
    const auto version = take(4);
    const auto n_tensors = take(8);
    const auto n_keys = take(8);
    if (!version || !n_tensors || !n_keys) return fields_;
    for (std::uint64_t i = 0; i < *n_keys && more(); ++i)
      if (!entry()) return fields_;
    for (std::uint64_t i = 0; i < *n_tensors && more(); ++i)
      if (!tensor()) return fields_;
    return fields_;
  }

 private:
  static constexpr std::size_t max_fields = 4096;
  bool more() const { return fields_.size() < max_fields; }

  std::optional<std::uint64_t> take(std::size_t width) {
    if (file_.size() < width || at_ > file_.size() - width) return std::nullopt;
    std::uint64_t value = 0;
    std::memcpy(&value, file_.data() + at_, width);
    fields_.push_back({at_, width});
    at_ += width;
    return value;
  }

  bool skip(std::uint64_t n) {
    if (n > file_.size() - at_) return false;
    at_ += n;
    return true;
  }

  bool string() {
    const auto length = take(8);
    return length && skip(*length);
  }

  bool value(value_type type) {
    if (type == value_type::string) return string();
    const std::size_t size = gguf::scalar_bytes(type);
    if (size >= 4) return take(size).has_value();
    return size > 0 && skip(size);
  }

  bool entry() {
    if (!string()) return false;
    const auto type = take(4);
    if (!type) return false;
    if (static_cast<value_type>(*type) != value_type::array) return value(static_cast<value_type>(*type));
    const auto element = take(4);
    const auto count = take(8);
    if (!element || !count) return false;
    for (std::uint64_t i = 0; i < *count && more(); ++i)
      if (!value(static_cast<value_type>(*element))) return false;
    return true;
  }

  bool tensor() {
    if (!string()) return false;
    const auto n_dims = take(4);
    if (!n_dims) return false;
    for (std::uint64_t i = 0; i < *n_dims && more(); ++i)
      if (!take(8)) return false;
    return take(4) && take(8);
  }

  std::span<const std::byte> file_;
  std::size_t at_ = 0;
  std::vector<field> fields_;
};

std::uint64_t hostile_number(random_stream& random, std::uint64_t old, std::size_t file_bytes) {
  switch (random.below(9)) {
    case 0:
      return random.below(48);  // types, counts of dimensions
    case 1:
      return std::uint64_t{1} << random.below(64);
    case 2:
      return (std::uint64_t{1} << random.below(64)) - 1;
    case 3:
      return old + random.below(65) - 32;
    case 4:
      return file_bytes + random.below(65) - 32;
    case 5:
      return random.below(file_bytes + 1);
    case 6:
      return old * (2 + random.below(3));
    case 7:
      return 0 - 32 * (1 + random.below(file_bytes / 32 + 1));  // aligned, and a sum with it wraps around
    default:
      return random();
  }
}

tiny_model_options small_options(random_stream& random) {
  using kernels::weight_type;
  constexpr std::array types = {weight_type::f16, weight_type::bf16, weight_type::q8_0, weight_type::q4_0,
                                weight_type::q4_1};
  tiny_model_options options;
  options.seed = random();
  options.n_layers = 1;
  options.n_embd = 32;
  options.n_heads = 2;
  options.n_kv_heads = 1;
  options.n_ff = 32;
  options.n_vocab = min_tiny_vocab;
  options.weights = types[random.below(types.size())];
  options.embeddings = weight_type::q4_0;
  return options;
}

gguf_value random_value(random_stream& random) {
  const std::uint64_t bits = random();
  const std::size_t n = random.below(5);
  switch (random.below(18)) {
    case 0:
      return static_cast<std::uint8_t>(bits);
    case 1:
      return static_cast<std::int8_t>(bits);
    case 2:
      return static_cast<std::uint16_t>(bits);
    case 3:
      return static_cast<std::int16_t>(bits);
    case 4:
      return static_cast<std::uint32_t>(bits);
    case 5:
      return static_cast<std::int32_t>(bits);
    case 6:
      return static_cast<float>(random.unit());
    case 7:
      return (bits & 1) != 0;
    case 8:
      return std::string(n, 's');
    case 9:
      return bits;
    case 10:
      return static_cast<std::int64_t>(bits);
    case 11:
      return random.unit() * 1e300;
    case 12:
      return std::vector<std::uint8_t>(n, 7);
    case 13:
      return std::vector<std::int8_t>(n, -7);
    case 14:
      return std::vector<std::uint32_t>(n, static_cast<std::uint32_t>(bits));
    case 15:
      return std::vector<std::int32_t>(n, static_cast<std::int32_t>(bits));
    case 16:
      return std::vector<float>(n, 0.5f);
    default:
      return std::vector<std::string>(n, std::string(n, 'v'));
  }
}

}  // namespace

std::vector<std::byte> random_gguf(std::uint64_t seed) {
  random_stream random(seed);
  if (random.below(8) == 0) return build_tiny_model(small_options(random));
  gguf_writer writer(8U << random.below(5));
  for (std::uint64_t i = random.below(12); i > 0; --i)
    writer.add("key." + std::to_string(i), random_value(random));
  for (std::uint64_t i = random.below(6); i > 0; --i) {
    const kernels::weight_type type = gguf::weight_type_ids[random.below(gguf::weight_type_ids.size())].type;
    std::vector<std::uint64_t> dims = {std::max(32u, kernels::block_of(type).weights) * (1 + random.below(2))};
    std::uint64_t rows = 1;
    while (dims.size() < gguf::max_dims && random.below(2) == 0)
      rows *= dims.emplace_back(1 + random.below(3));
    writer.add_tensor("tensor." + std::to_string(i), type, dims,
                      std::vector<std::byte>(rows * kernels::row_bytes(type, dims[0])));
  }
  return writer.build();
}

bool mutate_fields(std::span<std::byte> file, std::uint64_t seed) {
  const std::vector<field> fields = field_finder(file).find();
  if (fields.empty()) return false;
  random_stream random(seed);
  for (std::uint64_t n = 1 + random.below(2); n > 0; --n) {
    // The tensors come last and are few: they get half of the changes.
    const std::size_t back = std::min<std::size_t>(fields.size(), 32);
    const field& chosen =
        random.below(2) == 0 ? fields[random.below(fields.size())] : fields[fields.size() - 1 - random.below(back)];
    std::uint64_t value = 0;
    std::memcpy(&value, file.data() + chosen.at, chosen.width);
    value = hostile_number(random, value, file.size());
    std::memcpy(file.data() + chosen.at, &value, chosen.width);
  }
  return true;
}

}  // namespace troupe::test
