#include "simulator/svg_canvas.hpp"

#include "simulator/plots.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace troupe::simulator {
namespace {

std::string px(double value) {
  return to_plot_number(value, 2);
}

std::string attribute(std::string_view name, const std::string& value) {
  return " " + std::string(name) + "=\"" + value + "\"";
}

/// 1, 2 or 5 times a power of ten: the next below, or above.
double round_down(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value) + 1e-9));
  const double rest = value / power * (1 + 1e-9);
  return (rest >= 5 ? 5 : rest >= 2 ? 2 : 1) * power;
}

double round_up(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value) + 1e-9));
  const double rest = value / power * (1 - 1e-9);
  return (rest <= 1 ? 1 : rest <= 2 ? 2 : rest <= 5 ? 5 : 10) * power;
}

/// 1, 2 or 5 times a power of ten, so that about `n` fit into the range.
double round_step(double range, int n) {
  const double rough = range / n;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double times : {1.0, 2.0, 5.0})
    if (times * power >= rough) return times * power;
  return 10 * power;
}

}  // namespace

std::string to_plot_number(double value, int decimals) {
  std::array<char, 64> buffer{};
  const auto [end, failed] =
      std::abs(value) < 1e15
          ? std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, decimals)
          : std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific, 2);
  if (failed != std::errc{}) return "0";
  std::string made(buffer.data(), end);
  if (made.find('.') != std::string::npos && made.find('e') == std::string::npos) {
    made.erase(made.find_last_not_of('0') + 1);
    if (made.ends_with('.')) made.pop_back();
  }
  return made == "-0" ? "0" : made;
}

svg_canvas::svg_canvas(double width, double height, const std::string& title) {
  out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" font-family=\"sans-serif\" font-size=\"12\"" +
         attribute("width", px(width)) + attribute("height", px(height)) +
         attribute("viewBox", "0 0 " + px(width) + " " + px(height)) + ">\n<title>" + escape_xml(title) +
         "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
}

void svg_canvas::line(plot_point from, plot_point to, std::string_view style) {
  out_ += "<line" + attribute("x1", px(from.first)) + attribute("y1", px(from.second)) + attribute("x2", px(to.first)) +
          attribute("y2", px(to.second)) + " " + std::string(style) + "/>\n";
}

void svg_canvas::path(const std::vector<plot_point>& points, std::string_view style, bool closed) {
  if (points.empty()) return;
  std::string d;
  for (const auto& [x, y] : points)
    d += (d.empty() ? "M" : "L") + px(x) + " " + px(y);
  out_ += "<path" + attribute("d", d + (closed ? "Z" : "")) + " " + std::string(style) + "/>\n";
}

void svg_canvas::heading(double width, double y, const std::string& words) {
  // A bold letter is about 0.6 of its size wide.
  const double size =
      std::clamp(width / (0.62 * static_cast<double>(std::max<std::size_t>(words.size(), 1))), 8.0, 15.0);
  text({width / 2, y}, words, text_anchor::middle, "font-weight=\"bold\" font-size=\"" + px(size) + "\"");
}

void svg_canvas::box(plot_point corner, double width, double height, std::string_view style) {
  out_ += "<rect" + attribute("x", px(corner.first)) + attribute("y", px(corner.second)) +
          attribute("width", px(width)) + attribute("height", px(height)) + " " + std::string(style) + "/>\n";
}

void svg_canvas::text(plot_point at, const std::string& words, text_anchor anchor, std::string_view style) {
  constexpr std::array<std::string_view, 3> anchors{"start", "middle", "end"};
  out_ += "<text" + attribute("x", px(at.first)) + attribute("y", px(at.second)) +
          attribute("text-anchor", std::string(anchors[static_cast<std::size_t>(anchor)])) +
          (style.empty() ? "" : " " + std::string(style)) + ">" + escape_xml(words) + "</text>\n";
}

void svg_canvas::text_upwards(plot_point at, const std::string& words) {
  const std::string turn = "rotate(-90 " + px(at.first) + " " + px(at.second) + ")";
  text(at, words, text_anchor::middle, "transform=\"" + turn + "\"");
}

void svg_canvas::marker(plot_point at, std::size_t shape, std::string_view colour) {
  const auto [x, y] = at;
  const std::string filled = "fill=\"" + std::string(colour) + "\"";
  const std::string hollow = "fill=\"#ffffff\" stroke=\"" + std::string(colour) + "\" stroke-width=\"1.5\"";
  const double r = 3.5;
  switch (shape % 6) {
    case 0:
      out_ +=
          "<circle" + attribute("cx", px(x)) + attribute("cy", px(y)) + attribute("r", px(r)) + " " + filled + "/>\n";
      break;
    case 1:
      box({x - r, y - r}, 2 * r, 2 * r, filled);
      break;
    case 2:
      path({{x, y - 1.3 * r}, {x + 1.2 * r, y + r}, {x - 1.2 * r, y + r}}, filled, true);
      break;
    case 3:
      path({{x, y - 1.4 * r}, {x + 1.4 * r, y}, {x, y + 1.4 * r}, {x - 1.4 * r, y}}, hollow, true);
      break;
    case 4:
      out_ +=
          "<circle" + attribute("cx", px(x)) + attribute("cy", px(y)) + attribute("r", px(r)) + " " + hollow + "/>\n";
      break;
    default:
      box({x - r, y - r}, 2 * r, 2 * r, hollow);
  }
}

std::string svg_canvas::take() && {
  return std::move(out_) + "</svg>\n";
}

plot_scale::plot_scale(double least, double most, double from_px, double to_px, bool logarithmic, bool exact)
    : least_(least), most_(most), from_px_(from_px), to_px_(to_px), logarithmic_(logarithmic) {
  if (logarithmic_) {
    if (!exact) {
      least_ = round_down(least);
      most_ = round_up(most);
    }
    if (most_ <= least_) most_ = 10 * least_;
    const double first = std::floor(std::log10(least_));
    for (double power = first; power <= std::ceil(std::log10(most_)) + 0.5; ++power) {
      const double tick = std::pow(10.0, power);
      if (tick >= least_ * 0.999 && tick <= most_ * 1.001) ticks_.push_back(tick);
    }
    return;
  }
  if (!(most_ > least_)) most_ = least_ + 1;
  const double step = round_step(most_ - least_, 6);
  if (!exact) {
    least_ = std::floor(least_ / step + 1e-9) * step;
    most_ = std::ceil(most_ / step - 1e-9) * step;
  }
  decimals_ = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  for (double i = std::ceil(least_ / step - 1e-9); i * step <= most_ + 1e-9 * step; ++i)
    ticks_.push_back(i * step);
}

double plot_scale::at(double value) const {
  const double share = logarithmic_ ? std::log(std::max(value, least_) / least_) / std::log(most_ / least_)
                                    : (value - least_) / (most_ - least_);
  return from_px_ + std::clamp(share, 0.0, 1.0) * (to_px_ - from_px_);
}

std::string plot_scale::label(double tick) const {
  return to_plot_number(tick,
                        logarithmic_ ? std::max(0, static_cast<int>(-std::floor(std::log10(tick) + 1e-9))) : decimals_);
}

}  // namespace troupe::simulator
