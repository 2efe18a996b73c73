// The elements of an SVG file, with numbers of two decimals, and axes: scales with round ticks. Used by plots.cpp.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::simulator {

using plot_point = std::pair<double, double>;  // x to the right, y down, in pixels

enum class text_anchor : unsigned char { start, middle, end };

class svg_canvas {
 public:
  svg_canvas(double width, double height, const std::string& title);
  void line(plot_point from, plot_point to, std::string_view style);
  void path(const std::vector<plot_point>& points, std::string_view style, bool closed = false);
  void box(plot_point corner, double width, double height, std::string_view style);
  void text(plot_point at, const std::string& words, text_anchor anchor, std::string_view style = "");
  /// Bold, in the middle; smaller when it is long.
  void heading(double width, double y, const std::string& words);
  /// Upwards, centred there.
  void text_upwards(plot_point at, const std::string& words);
  /// One of six shapes.
  void marker(plot_point at, std::size_t shape, std::string_view colour);
  std::string take() &&;

 private:
  std::string out_;
};

/// With at most `decimals` of them, none that is zero at the end.
std::string to_plot_number(double value, int decimals);

/// From data to pixels along one axis.
class plot_scale {
 public:
  /// least < most, and least > 0 when it is logarithmic. Both are widened to round numbers unless `exact`.
  plot_scale(double least, double most, double from_px, double to_px, bool logarithmic, bool exact);
  double at(double value) const;
  const std::vector<double>& ticks() const { return ticks_; }
  std::string label(double tick) const;
  double least() const { return least_; }
  double most() const { return most_; }

 private:
  double least_, most_, from_px_, to_px_;
  bool logarithmic_;
  int decimals_ = 0;
  std::vector<double> ticks_;
};

}  // namespace troupe::simulator
