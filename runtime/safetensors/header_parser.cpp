#include "runtime/safetensors/header_parser.hpp"

#include "base/utf8.hpp"

#include <array>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe::safetensors {
namespace {

struct dtype_row {
  std::string_view name;  // in the file
  tensor_dtype dtype;
  std::uint64_t bytes;
};

constexpr dtype_row dtypes[] = {
    {"BOOL", tensor_dtype::boolean, 1}, {"U8", tensor_dtype::u8, 1},      {"I8", tensor_dtype::i8, 1},
    {"F8_E4M3", tensor_dtype::f8, 1},   {"F8_E5M2", tensor_dtype::f8, 1}, {"U16", tensor_dtype::u16, 2},
    {"I16", tensor_dtype::i16, 2},      {"F16", tensor_dtype::f16, 2},    {"BF16", tensor_dtype::bf16, 2},
    {"U32", tensor_dtype::u32, 4},      {"I32", tensor_dtype::i32, 4},    {"F32", tensor_dtype::f32, 4},
    {"U64", tensor_dtype::u64, 8},      {"I64", tensor_dtype::i64, 8},    {"F64", tensor_dtype::f64, 8},
};

const dtype_row* find_dtype(std::string_view name) {
  for (const dtype_row& row : dtypes)
    if (row.name == name) return &row;
  return nullptr;
}

/// What nlohmann's parser calls. Every function answers whether to go on.
class header_handler {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  bool null() { return misplaced("null"); }
  bool boolean(bool) { return misplaced("a truth value"); }
  bool number_integer(number_integer_t) { return misplaced("a negative number"); }
  bool number_float(number_float_t, const string_t&) { return misplaced("a fraction"); }
  bool binary(binary_t&) { return misplaced("bytes"); }

  bool number_unsigned(number_unsigned_t value) {
    if (at_ == place::shape) {
      if (tensor_.shape.size() == max_dimensions)
        return fail("has more than " + std::to_string(max_dimensions) + " dimensions");
      tensor_.shape.push_back(value);
      return true;
    }
    if (at_ != place::offsets) return misplaced("a number");
    if (n_offsets_ == offsets_.size()) return fail("has more than two data_offsets");
    offsets_[n_offsets_++] = value;
    return true;
  }

  bool string(string_t& text) {
    if (at_ == place::metadata) return true;
    if (at_ != place::tensor || field_ != "dtype") return misplaced("a text");
    const dtype_row* row = find_dtype(text);
    if (row == nullptr) {
      fail("has the unknown dtype \"" + shown(text) + "\"");
      failure_->code = errc::unsupported;
      return false;
    }
    tensor_.dtype = row->dtype;
    return true;
  }

  bool start_object(std::size_t) {
    if (at_ == place::outside) {
      at_ = place::header;
      return true;
    }
    if (at_ != place::named) return misplaced("an object");
    at_ = tensor_.name == "__metadata__" ? place::metadata : place::tensor;
    return true;
  }

  bool key(string_t& name) {
    if (at_ == place::metadata) return true;
    if (at_ == place::header) return begin_tensor(name);
    const auto known = std::find(fields.begin(), fields.end(), name);
    if (known == fields.end()) return fail("has the unknown field \"" + shown(name) + "\"");
    field_ = *known;
    if (std::exchange(seen_[static_cast<std::size_t>(known - fields.begin())], true))
      return fail("has the field " + std::string(field_) + " twice");
    return true;
  }

  bool start_array(std::size_t) {
    if (at_ != place::tensor || field_ == "dtype") return misplaced("an array");
    at_ = field_ == "shape" ? place::shape : place::offsets;
    return true;
  }
  bool end_array() {
    at_ = place::tensor;
    return true;
  }

  bool end_object() {
    if (at_ == place::header) {
      at_ = place::outside;
      return true;
    }
    const bool was_tensor = std::exchange(at_, place::header) == place::tensor;
    return !was_tensor || end_tensor();
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) {
    failure_ = make_error(errc::corrupt, "The header is no JSON at byte " + std::to_string(position) + ".");
    return false;
  }

  result<std::vector<safetensor>> take() {
    if (failure_) return *failure_;
    return std::move(tensors_);
  }

 private:
  // named: after a name in the header, before its object.
  enum class place : std::uint8_t { outside, header, named, metadata, tensor, shape, offsets };
  static constexpr std::array<std::string_view, 3> fields = {"dtype", "shape", "data_offsets"};

  bool begin_tensor(const std::string& name) {
    tensor_ = safetensor{};
    tensor_.name = name;
    if (name.size() > max_name_bytes)
      return fail("has a name of more than " + std::to_string(max_name_bytes) + " bytes");
    if (tensors_.size() == max_tensors)
      return fail("is past the " + std::to_string(max_tensors) + " tensors that a file may have");
    seen_ = {};
    n_offsets_ = 0;
    at_ = place::named;
    return true;
  }

  bool end_tensor() {
    for (std::size_t i = 0; i < fields.size(); ++i)
      if (!seen_[i]) return fail("lacks the field " + std::string(fields[i]));
    if (n_offsets_ != offsets_.size()) return fail("has fewer than two data_offsets");
    tensor_.begin = offsets_[0];
    tensor_.end = offsets_[1];
    tensors_.push_back(std::move(tensor_));
    return true;
  }

  static std::string shown(std::string_view text) { return repair_utf8(text.substr(0, 64)); }

  bool fail(const std::string& what) {
    if (!failure_)
      failure_ = make_error(errc::corrupt, "The tensor \"" + shown(tensor_.name) + "\" in the header " + what + ".");
    return false;
  }
  bool misplaced(std::string_view what) {
    if (at_ == place::outside || at_ == place::header || at_ == place::metadata) {
      if (!failure_)
        failure_ = make_error(errc::corrupt, "The header has " + std::string(what) + " where it should not.");
      return false;
    }
    return fail("has " + std::string(what) + " where it should not");
  }

  place at_ = place::outside;
  safetensor tensor_;
  std::string_view field_;
  std::array<bool, 3> seen_{};
  std::array<std::uint64_t, 2> offsets_{};
  std::size_t n_offsets_ = 0;
  std::vector<safetensor> tensors_;
  std::optional<error> failure_;
};

}  // namespace

std::uint64_t element_bytes(tensor_dtype dtype) {
  for (const dtype_row& row : dtypes)
    if (row.dtype == dtype) return row.bytes;
  return 0;
}

result<std::vector<safetensor>> parse_header(std::string_view json) {
  header_handler handler;
  nlohmann::json::sax_parse(json.begin(), json.end(), &handler);
  return handler.take();
}

}  // namespace troupe::safetensors
