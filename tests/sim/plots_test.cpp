#include "simulator/plots.hpp"

#include "catch.hpp"
#include "policies/approximately.hpp"
#include "simulator/svg_canvas.hpp"

#include <cctype>
#include <limits>
#include <string>
#include <vector>

using namespace troupe::simulator;

namespace {

/// A sentence for the first thing that makes it no XML: elements that do not nest, quotes that stay open, what may not
/// be in a text. Enough for what svg_canvas writes.
std::string fault_in(const std::string& xml) {
  std::vector<std::string> open;
  for (std::size_t i = 0; i < xml.size();) {
    if (xml[i] != '<') {
      if (xml[i] == '&') {
        const auto end = xml.find(';', i);
        if (end == std::string::npos || end - i > 6) return "a lone & at " + std::to_string(i);
      }
      ++i;
      continue;
    }
    char quote = 0;
    std::size_t end = i + 1;
    for (; end < xml.size() && (quote != 0 || xml[end] != '>'); ++end) {
      if (xml[end] == '<') return "a < inside an element at " + std::to_string(end);
      if (quote != 0)
        quote = xml[end] == quote ? '\0' : quote;
      else if (xml[end] == '"')
        quote = xml[end];
    }
    if (end >= xml.size()) return "an element stays open";
    const std::string inside = xml.substr(i + 1, end - i - 1);
    i = end + 1;
    if (inside.starts_with("/")) {
      if (open.empty() || open.back() != inside.substr(1)) return "</" + inside.substr(1) + "> closes nothing";
      open.pop_back();
    } else if (!inside.ends_with("/")) {
      open.push_back(inside.substr(0, inside.find(' ')));
    }
  }
  return open.empty() ? "" : open.back() + " stays open";
}

std::size_t count_of(const std::string& what, const std::string& in) {
  std::size_t n = 0;
  for (auto at = in.find(what); at != std::string::npos; at = in.find(what, at + what.size()))
    ++n;
  return n;
}

line_chart a_chart() {
  return {"Attainment & <goodput>",
          "rate (requests/s)",
          "attainment (%)",
          {{"first \"one\"", {1, 2, 3}, {99, 95, 60}, {1, 2, 5}}, {"second", {1, 2, 3}, {98, 90, 40}, {}}}};
}

}  // namespace

TEST_CASE("the checker finds what is no XML", "[plots]") {
  CHECK(fault_in("<a><b/></a>").empty());
  CHECK_FALSE(fault_in("<a><b></a>").empty());
  CHECK_FALSE(fault_in("<a>x & y</a>").empty());
  CHECK_FALSE(fault_in("<a b=\"x>").empty());
}

TEST_CASE("charts are well-formed, labelled and the same each time", "[plots]") {
  const auto svg = draw_lines(a_chart());
  CHECK(fault_in(svg).empty());
  CHECK(svg == draw_lines(a_chart()));
  for (const char* const words : {"Attainment &amp; &lt;goodput&gt;", "rate (requests/s)", "attainment (%)",
                                  "first &quot;one&quot;", ">second<", ">100<", ">1.5<"})
    CHECK(svg.find(words) != std::string::npos);
  CHECK(count_of("fill-opacity", svg) == 1);  // one band
  CHECK(svg.find("stroke-dasharray=\"8 3\"") != std::string::npos);
}

TEST_CASE("distributions go to one, on a logarithmic axis when they are wide", "[plots]") {
  const std::vector<plot_samples> narrow{{"a", {0.1, 0.2, 0.3}}, {"b", {}}}, wide{{"a", {0.001, 0.1, 30}}};
  const auto svg = draw_distributions("Latency", "TTFT (s)", narrow);
  CHECK(fault_in(svg).empty());
  CHECK(svg.find(">0.25<") != std::string::npos);
  const auto logarithmic = draw_distributions("Latency", "TTFT (s)", wide);
  CHECK(fault_in(logarithmic).empty());
  for (const char* const tick : {">0.001<", ">0.01<", ">0.1<", ">1<", ">10<"})
    CHECK(logarithmic.find(tick) != std::string::npos);
}

TEST_CASE("instances are strips from their start to their end", "[plots]") {
  std::vector<instance_outcome> all(2);
  all[0] = {"a<1>", 0, 10, 0, 0, 0, 100, {{1, 1, 0, 10}, {5, 2, 0, 90}}};
  all[1] = {"b", 5, 10, 0, 0, 0, 100, {}};
  const auto svg = draw_instances("Memory", all, 10);
  CHECK(fault_in(svg).empty());
  CHECK(svg.find("a&lt;1&gt;") != std::string::npos);
  CHECK(svg.find("time (s)") != std::string::npos);
  CHECK(svg == draw_instances("Memory", all, 10));
}

TEST_CASE("nothing to draw, one point and no numbers are drawn too", "[plots]") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const auto& series :
       {plot_series{"none", {}, {}, {}}, plot_series{"one", {3}, {0}, {0}},
        plot_series{"bad", {1, nan}, {inf, 2}, {nan}}, plot_series{"flat", {1, 2}, {1e-9, 1e-9}, {}},
        plot_series{"huge", {1, 2}, {1e300, -1e300}, {}}}) {
    const auto svg = draw_lines({"t", "x", "y", {series}});
    INFO(series.name << svg);
    CHECK(fault_in(svg).empty());
    CHECK(count_of("nan", svg) == 0);
    CHECK(count_of("inf", svg) == 0);
    CHECK(svg.size() < 20'000);
  }
  CHECK(fault_in(draw_lines({"t", "x", "y", {}})).empty());
  CHECK(fault_in(draw_distributions("t", "x", {})).empty());
  CHECK(fault_in(draw_instances("t", {}, 0)).empty());
}

TEST_CASE("text is escaped", "[plots]") {
  CHECK(escape_xml("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;");
  CHECK(escape_xml(std::string("\x01\0x", 3)) == "\xef\xbf\xbd\xef\xbf\xbdx");
  CHECK(escape_xml("±ü") == "±ü");
}

TEST_CASE("ticks are round", "[plots]") {
  const plot_scale of(0, 0.97, 0, 100, false, false);
  CHECK(of.most() == approximately(1));
  CHECK(of.label(of.ticks()[1]) == "0.2");
  const plot_scale large(0, 123'456, 0, 100, false, false);
  CHECK(large.label(large.ticks()[1]) == "50000");
  CHECK(to_plot_number(-0.001, 2) == "0");
  CHECK(to_plot_number(100, 0) == "100");
}
