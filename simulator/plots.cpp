#include "simulator/plots.hpp"

#include "simulator/svg_canvas.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <utility>

namespace troupe::simulator {
namespace {

struct line_look {
  std::string_view colour;
  std::string_view dashes;
};

constexpr std::array<line_look, 7> looks{{{"#0072b2", "none"},
                                          {"#d55e00", "8 3"},
                                          {"#009e73", "2 3"},
                                          {"#cc79a7", "10 3 2 3"},
                                          {"#000000", "5 2"},
                                          {"#e69f00", "14 4"},
                                          {"#56b4e9", "4 2 1 2"}}};

constexpr double width = 720, height = 420;
constexpr double left = 70, right = 24, top = 40, bottom = 56;
constexpr double legend_row = 18;

std::string quoted(std::string_view name, std::string_view value) {
  return std::string(name) + "=\"" + std::string(value) + "\"";
}

std::string line_style(std::size_t number) {
  const auto& look = looks[number % looks.size()];
  return "fill=\"none\" stroke-width=\"2\" stroke-linejoin=\"round\" " + quoted("stroke", look.colour) + " " +
         quoted("stroke-dasharray", look.dashes);
}

struct bounds {
  double least = std::numeric_limits<double>::infinity();
  double most = -std::numeric_limits<double>::infinity();

  void take(double value) {
    if (!std::isfinite(value)) return;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  bool empty() const { return least > most; }
};

/// Title, axes, grid and legend around `plot`; the legend takes rows of its own below.
struct frame {
  svg_canvas canvas;
  plot_scale x;
  plot_scale y;
};

frame make_frame(const std::string& title, const std::string& x_label, const std::string& y_label, plot_scale x,
                 plot_scale y, const std::vector<std::string>& names) {
  frame made{svg_canvas(width, height + legend_row * static_cast<double>(names.size()), title), std::move(x),
             std::move(y)};
  auto& canvas = made.canvas;
  canvas.heading(width, 24, title);
  for (const double tick : made.y.ticks()) {
    const double at = made.y.at(tick);
    canvas.line({left, at}, {width - right, at}, "stroke=\"#dddddd\"");
    canvas.text({left - 8, at + 4}, made.y.label(tick), text_anchor::end);
  }
  for (const double tick : made.x.ticks()) {
    const double at = made.x.at(tick);
    canvas.line({at, height - bottom}, {at, height - bottom + 5}, "stroke=\"#000000\"");
    canvas.text({at, height - bottom + 19}, made.x.label(tick), text_anchor::middle);
  }
  canvas.line({left, height - bottom}, {width - right, height - bottom}, "stroke=\"#000000\"");
  canvas.line({left, top}, {left, height - bottom}, "stroke=\"#000000\"");
  canvas.text({(left + width - right) / 2, height - bottom + 40}, x_label, text_anchor::middle);
  canvas.text_upwards({18, (top + height - bottom) / 2}, y_label);
  return made;
}

void draw_legend(svg_canvas& canvas, const std::vector<std::string>& names, bool with_markers) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    const double at = height + legend_row * static_cast<double>(i);
    canvas.line({left, at}, {left + 44, at}, line_style(i));
    if (with_markers) canvas.marker({left + 22, at}, i, looks[i % looks.size()].colour);
    canvas.text({left + 54, at + 4}, names[i], text_anchor::start);
  }
}

struct finite_point {
  double x, y, half_width;
};

std::vector<finite_point> finite_points(const plot_series& of) {
  std::vector<finite_point> made;
  for (std::size_t i = 0; i < std::min(of.x.size(), of.y.size()); ++i) {
    const double half_width = i < of.half_width.size() && std::isfinite(of.half_width[i]) ? of.half_width[i] : 0;
    if (std::isfinite(of.x[i]) && std::isfinite(of.y[i])) made.push_back({of.x[i], of.y[i], half_width});
  }
  return made;
}

/// Cividis at nine places, dark to light.
constexpr std::array<std::array<int, 3>, 9> cividis{{{0, 34, 78},
                                                     {24, 53, 111},
                                                     {64, 77, 107},
                                                     {91, 100, 110},
                                                     {124, 123, 120},
                                                     {148, 142, 119},
                                                     {185, 172, 112},
                                                     {218, 201, 95},
                                                     {254, 232, 56}}};

/// share: 0, dark, to 1.
std::string heat_colour(double share) {
  const double place = std::clamp(share, 0.0, 1.0) * (cividis.size() - 1);
  const auto below = std::min(static_cast<std::size_t>(place), cividis.size() - 2);
  std::array<char, 8> text{};
  std::array<int, 3> mixed{};
  for (std::size_t i = 0; i < 3; ++i)
    mixed[i] = static_cast<int>(std::lround(cividis[below][i] + (place - static_cast<double>(below)) *
                                                                    (cividis[below + 1][i] - cividis[below][i])));
  (void)std::snprintf(text.data(), text.size(), "#%02x%02x%02x", mixed[0] & 0xff, mixed[1] & 0xff, mixed[2] & 0xff);
  return text.data();
}

constexpr std::size_t n_cells = 200;  // of time

/// The mean share of blocks in use in each cell of time; negative where the instance was not there.
std::vector<double> load_by_cell(const instance_outcome& of, double cell_s) {
  std::vector<double> made(n_cells, -1);
  std::size_t next = 0;
  double last = 0;
  for (std::size_t cell = 0; cell < n_cells; ++cell) {
    const double begin = static_cast<double>(cell) * cell_s, end = begin + cell_s;
    double sum = 0;
    std::size_t n = 0;
    for (; next < of.samples.size() && of.samples[next].at_s < end; ++next, ++n) {
      last = of.blocks_total > 0 ? static_cast<double>(of.samples[next].blocks_used) / of.blocks_total : 0;
      sum += last;
    }
    // An idle instance takes no step and so no sample.
    const bool is_idle = n == 0 && (next == of.samples.size() || of.samples[next].at_s - end > 1);
    if (is_idle) last = 0;
    if (end > of.up_since_s && begin < of.up_until_s) made[cell] = n > 0 ? sum / static_cast<double>(n) : last;
  }
  return made;
}

void draw_heat_key(svg_canvas& canvas, double at) {
  constexpr int steps = 50;
  const double cell = 4;
  for (int i = 0; i < steps; ++i)
    canvas.box({left + i * cell, at}, cell + 0.5, 12, quoted("fill", heat_colour(i / (steps - 1.0))));
  canvas.text({left, at + 26}, "0 %", text_anchor::start);
  canvas.text({left + steps * cell, at + 26}, "100 %", text_anchor::end);
  canvas.text({left + steps * cell + 12, at + 11}, "of its blocks in use; blank: not there", text_anchor::start);
}

}  // namespace

std::string escape_xml(std::string_view text) {
  std::string made;
  for (const char c : text) {
    switch (c) {
      case '&':
        made += "&amp;";
        break;
      case '<':
        made += "&lt;";
        break;
      case '>':
        made += "&gt;";
        break;
      case '"':
        made += "&quot;";
        break;
      case '\'':
        made += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n')
          made += "\xef\xbf\xbd";
        else
          made += c;
    }
  }
  return made;
}

std::string draw_lines(const line_chart& of) {
  bounds xs, ys;
  std::vector<std::string> names;
  for (const auto& series : of.series) {
    names.push_back(series.name);
    for (const auto& p : finite_points(series)) {
      xs.take(p.x);
      ys.take(p.y - p.half_width);
      ys.take(p.y + p.half_width);
    }
  }
  if (xs.empty()) xs = {0, 1};
  if (ys.empty()) ys = {0, 1};
  const double y_least = of.y_least.value_or(std::min(ys.least, 0.0)), y_most = of.y_most.value_or(ys.most);
  auto made =
      make_frame(of.title, of.x_label, of.y_label, plot_scale(xs.least, xs.most, left, width - right, false, false),
                 plot_scale(y_least, y_most, height - bottom, top, false, false), names);
  const auto at = [&](double x, double y) { return plot_point(made.x.at(x), made.y.at(y)); };
  for (std::size_t i = 0; i < of.series.size(); ++i) {
    const auto points = finite_points(of.series[i]);
    std::vector<plot_point> band;
    for (const auto& p : points)
      band.push_back(at(p.x, p.y + p.half_width));
    for (auto p = points.rbegin(); p != points.rend(); ++p)
      band.push_back(at(p->x, p->y - p->half_width));
    if (!of.series[i].half_width.empty())
      made.canvas.path(band, "stroke=\"none\" fill-opacity=\"0.15\" " + quoted("fill", looks[i % looks.size()].colour),
                       true);
  }
  for (std::size_t i = 0; i < of.series.size(); ++i) {
    std::vector<plot_point> line;
    for (const auto& p : finite_points(of.series[i]))
      line.push_back(at(p.x, p.y));
    made.canvas.path(line, line_style(i));
    for (const auto& point : line)
      made.canvas.marker(point, i, looks[i % looks.size()].colour);
  }
  draw_legend(made.canvas, names, true);
  return std::move(made.canvas).take();
}

std::string draw_distributions(const std::string& title, const std::string& x_label, std::span<const plot_samples> of) {
  bounds xs;
  double least_positive = std::numeric_limits<double>::infinity();
  std::vector<std::string> names;
  std::vector<std::vector<double>> sorted;
  for (const auto& each : of) {
    names.push_back(each.name);
    auto& samples = sorted.emplace_back();
    std::ranges::copy_if(each.samples, std::back_inserter(samples), [](double s) { return std::isfinite(s); });
    std::ranges::sort(samples);
    for (const double sample : samples) {
      xs.take(sample);
      if (sample > 0) least_positive = std::min(least_positive, sample);
    }
  }
  if (xs.empty()) xs = {0, 1};
  const bool logarithmic = std::isfinite(least_positive) && xs.most > 100 * least_positive && xs.least > 0;
  auto made = make_frame(title, x_label, "share of calls up to it",
                         logarithmic ? plot_scale(xs.least, xs.most, left, width - right, true, false)
                                     : plot_scale(std::min(xs.least, 0.0), xs.most, left, width - right, false, false),
                         plot_scale(0, 1, height - bottom, top, false, true), names);
  constexpr std::size_t most_points = 400;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const auto& samples = sorted[i];
    std::vector<plot_point> line;
    const std::size_t n = std::min(samples.size(), most_points);
    for (std::size_t k = 0; k < n; ++k) {
      const std::size_t rank = n == 1 ? 0 : k * (samples.size() - 1) / (n - 1);
      const double share = static_cast<double>(rank + 1) / static_cast<double>(samples.size());
      if (k == 0) line.emplace_back(made.x.at(samples[rank]), made.y.at(0));
      line.emplace_back(made.x.at(samples[rank]), made.y.at(share));
    }
    made.canvas.path(line, line_style(i));
  }
  draw_legend(made.canvas, names, false);
  return std::move(made.canvas).take();
}

std::string draw_instances(const std::string& title, std::span<const instance_outcome> of, double duration_s) {
  const double strip_left = left + 60, row = 16;
  const double end = top + row * static_cast<double>(of.size());
  svg_canvas canvas(width, end + 104, title);
  canvas.heading(width, 24, title);
  const plot_scale time(0, std::max(duration_s, 1e-3), strip_left, width - right, false, true);
  const double cell_s = time.most() / n_cells;
  for (std::size_t i = 0; i < of.size(); ++i) {
    const double y = top + row * static_cast<double>(i);
    canvas.text({strip_left - 8, y + row - 4}, of[i].name, text_anchor::end);
    const auto load = load_by_cell(of[i], cell_s);
    for (std::size_t cell = 0; cell < n_cells;) {
      // Neighbours of one colour are one box.
      std::size_t last = cell + 1;
      const auto colour = load[cell] < 0 ? std::string() : heat_colour(std::round(load[cell] * 32) / 32);
      while (last < n_cells &&
             (load[last] < 0 ? std::string() : heat_colour(std::round(load[last] * 32) / 32)) == colour)
        ++last;
      const double from = time.at(static_cast<double>(cell) * cell_s), to = time.at(static_cast<double>(last) * cell_s);
      if (!colour.empty())
        canvas.box({from, y + 1}, to - from, row - 2, "shape-rendering=\"crispEdges\" " + quoted("fill", colour));
      cell = last;
    }
  }
  canvas.line({strip_left, end}, {width - right, end}, "stroke=\"#000000\"");
  for (const double tick : time.ticks()) {
    canvas.line({time.at(tick), end}, {time.at(tick), end + 5}, "stroke=\"#000000\"");
    canvas.text({time.at(tick), end + 19}, time.label(tick), text_anchor::middle);
  }
  canvas.text({(strip_left + width - right) / 2, end + 38}, "time (s)", text_anchor::middle);
  draw_heat_key(canvas, end + 58);
  return std::move(canvas).take();
}

}  // namespace troupe::simulator
