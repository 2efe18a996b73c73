// Tables of numbers and words in files, read strictly: UTF-8, one header line, commas, quotes as in RFC 4180 (within
// one line). Every error names the file, the line and the column.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::simulator {

/// A whole file. Errors: it is not there, cannot be read, is empty, or is larger than a trace has any reason to be.
result<std::string> read_whole_file(const std::filesystem::path& path);

/// "conv.csv:17: arrival_s: ..." with the field as param.
error file_error(const std::filesystem::path& path, std::size_t line, std::string_view field, std::string what);

class csv_file {
 public:
  /// `columns`: the header has to be exactly these. Errors: besides those of read_whole_file() another header, a line
  /// with more or fewer fields, an open quote, no line besides the header.
  static result<csv_file> read(const std::filesystem::path& path, std::span<const std::string_view> columns);
  /// Any header that has at least these.
  static result<csv_file> read_with(const std::filesystem::path& path, std::span<const std::string_view> columns);

  std::size_t rows() const { return cells_.size(); }
  const std::vector<std::string>& header() const { return header_; }
  bool has(std::string_view column) const;

  /// Errors: a hole.
  result<std::string> text(std::size_t row, std::string_view column) const;
  /// A finite number of at least 0.
  result<double> number(std::size_t row, std::string_view column) const;
  /// A whole number within [least, most].
  result<std::uint32_t> count(std::size_t row, std::string_view column, std::uint32_t least, std::uint32_t most) const;
  /// About a cell.
  error wrong(std::size_t row, std::string_view column, std::string what) const;

 private:
  std::size_t column(std::string_view name) const;

  std::filesystem::path path_;
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> cells_;
};

}  // namespace troupe::simulator
