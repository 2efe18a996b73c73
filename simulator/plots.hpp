// Charts as SVG, without a library: lines with confidence bands, cumulative distributions, and what instances did over
// time. Lines differ in colour (Okabe and Ito's, told apart by the colour-blind), in dashes and in markers, so that
// they also do when printed grey; the scale of the heat strips (cividis) gets lighter throughout. Text is text. Pure:
// the same data gives the same bytes.
#pragma once

#include "simulator/simulation_outcome.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::simulator {

struct plot_series {
  std::string name;
  std::vector<double> x;           // ascending
  std::vector<double> y;           // as many
  std::vector<double> half_width;  // of the band around y; empty: no band
};

struct line_chart {
  std::string title;
  std::string x_label;  // with the unit
  std::string y_label;
  std::vector<plot_series> series;
  // Of the y axis; without: from zero, or the least value, to the greatest.
  std::optional<double> y_least{};
  std::optional<double> y_most{};
};

struct plot_samples {
  std::string name;
  std::vector<double> samples;  // in any order
};

/// Points that are not finite are left out.
std::string draw_lines(const line_chart& of);

/// The share of samples up to x. With a logarithmic x axis when the samples span more than two orders of magnitude.
std::string draw_distributions(const std::string& title, const std::string& x_label, std::span<const plot_samples> of);

/// A row an instance: the share of its blocks in use, over time; where it was not there is blank.
std::string draw_instances(const std::string& title, std::span<const instance_outcome> of, double duration_s);

/// For text and attributes of XML; what XML may not have at all becomes U+FFFD.
std::string escape_xml(std::string_view text);

}  // namespace troupe::simulator
