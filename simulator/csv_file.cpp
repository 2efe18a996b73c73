#include "simulator/csv_file.hpp"

#include "base/assert.hpp"
#include "base/join.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

namespace troupe::simulator {
namespace {

constexpr std::uintmax_t largest_file = std::uintmax_t{1} << 30;

/// The fields of one line; nullopt: a quote stays open, or something follows one that was closed.
std::optional<std::vector<std::string>> split(std::string_view line) {
  std::vector<std::string> fields(1);
  for (std::size_t i = 0; i < line.size();) {
    if (line[i] == ',') {
      fields.emplace_back();
      ++i;
    } else if (line[i] == '"' && fields.back().empty()) {
      for (++i;; ++i) {
        if (i >= line.size()) return std::nullopt;
        if (line[i] != '"')
          fields.back() += line[i];
        else if (i + 1 < line.size() && line[i + 1] == '"')
          fields.back() += line[i++];
        else
          break;
      }
      if (++i < line.size() && line[i] != ',') return std::nullopt;
    } else {
      fields.back() += line[i++];
    }
  }
  return fields;
}

/// Without its line end. Both kinds of line ends are taken.
std::string_view next_line(std::string_view& rest) {
  const auto end = rest.find('\n');
  auto line = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

result<std::string> read_whole_file(const std::filesystem::path& path) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  if (failed)
    return make_error(errc::not_found, "'" + path.string() + "' cannot be read: " + failed.message() + ".", "file");
  if (size > largest_file) return make_error(errc::too_large, "'" + path.string() + "' is larger than 1 GiB.", "file");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (size == 0) return make_error(errc::corrupt, "'" + path.string() + "' is empty.", "file");
  if (!file || text.str().size() != size)
    return make_error(errc::not_found, "'" + path.string() + "' cannot be read to its end.", "file");
  return std::move(text).str();
}

error file_error(const std::filesystem::path& path, std::size_t line, std::string_view field, std::string what) {
  return make_error(
      errc::corrupt,
      path.string() + ":" + std::to_string(line) + ": " + std::string(field) + ": " + std::move(what) + ".",
      std::string(field));
}

result<csv_file> csv_file::read(const std::filesystem::path& path, std::span<const std::string_view> columns) {
  auto made = read_with(path, columns);
  if (made && !std::ranges::equal(made->header_, columns))
    return file_error(path, 1, "header", "the columns are to be " + join(columns, {}, ","));
  return made;
}

result<csv_file> csv_file::read_with(const std::filesystem::path& path, std::span<const std::string_view> columns) {
  const auto text = read_whole_file(path);
  if (!text) return text.error();
  std::string_view rest = *text;
  csv_file made;
  made.path_ = path;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    auto fields = split(next_line(rest));
    if (!fields) return file_error(path, number, number == 1 ? "header" : "row", "a quote is not closed");
    if (number == 1) {
      made.header_ = std::move(*fields);
      for (const auto column : columns)
        if (!made.has(column))
          return file_error(path, 1, "header", "the column " + std::string(column) + " is missing");
    } else if (fields->size() != made.header_.size()) {
      // The column where the line stops being like the header.
      const auto at = std::min(fields->size(), made.header_.size() - 1);
      return file_error(path, number, made.header_[at],
                        "the line has " + std::to_string(fields->size()) + " fields, the header " +
                            std::to_string(made.header_.size()));
    } else {
      made.cells_.push_back(std::move(*fields));
    }
  }
  if (made.cells_.empty()) return file_error(path, 2, "row", "there is nothing below the header");
  return made;
}

bool csv_file::has(std::string_view column) const {
  return std::ranges::find(header_, column) != header_.end();
}

std::size_t csv_file::column(std::string_view name) const {
  const auto found = std::ranges::find(header_, name);
  TROUPE_ASSERT(found != header_.end(), "a column that the reader was not told of");
  return static_cast<std::size_t>(found - header_.begin());
}

error csv_file::wrong(std::size_t row, std::string_view column, std::string what) const {
  return file_error(path_, row + 2, column, std::move(what));
}

result<std::string> csv_file::text(std::size_t row, std::string_view name) const {
  const auto& cell = cells_[row][column(name)];
  if (cell.empty()) return wrong(row, name, "the field is empty");
  return cell;
}

result<double> csv_file::number(std::size_t row, std::string_view name) const {
  const auto cell = text(row, name);
  if (!cell) return cell.error();
  double value = 0;
  const auto [end, failed] = std::from_chars(cell->data(), cell->data() + cell->size(), value);
  if (failed != std::errc{} || end != cell->data() + cell->size() || !std::isfinite(value) || value < 0)
    return wrong(row, name, "'" + *cell + "' is no number of at least 0");
  return value;
}

result<std::uint32_t> csv_file::count(std::size_t row, std::string_view name, std::uint32_t least,
                                      std::uint32_t most) const {
  const auto cell = text(row, name);
  if (!cell) return cell.error();
  std::uint32_t value = 0;
  const auto [end, failed] = std::from_chars(cell->data(), cell->data() + cell->size(), value);
  if (failed != std::errc{} || end != cell->data() + cell->size() || value < least || value > most)
    return wrong(row, name,
                 "'" + *cell + "' is no whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return value;
}

}  // namespace troupe::simulator
