#include "tools/ringc/PlotScale.h"
#include "tools/ringc/SvgText.h"
#include "tools/ringc/Table.h"
#include "tools/ringc/TuneCharts.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ringc::cli {

namespace {

constexpr double leftMargin = 62, millisecondsPerSecond = 1000;

double powerBelow(double value) { return std::pow(10, std::floor(std::log10(value) - 1e-9)); }
double powerAbove(double value) { return std::pow(10, std::ceil(std::log10(value) + 1e-9)); }

/// Between commas.
std::vector<std::string> piecesOf(const std::string &text) {
  std::vector<std::string> pieces;
  size_t begin = 0;
  for (size_t comma = 0; (comma = text.find(", ", begin)) != std::string::npos; begin = comma + 2)
    pieces.push_back(text.substr(begin, comma - begin));
  pieces.push_back(text.substr(begin));
  return pieces;
}

class Roofline {
public:
  Roofline(Svg &into, Point where, double wide, const PlotPanel &of, const MachinePeak &machine)
      : svg(into), at(where), width(wide), panel(of), peak(machine),
        area{where.x + leftMargin, where.y + chartTop, wide - leftMargin - 8, chartHeight},
        intensity(of.work.flops / of.work.bytes) {
    std::vector<double> rates = {peak.flopsPerSecond};
    for (const PlotCandidate &each : panel.candidates)
      if (each.verdict == TuneVerdict::Measured)
        rates.push_back(rateOf(each));
    std::erase_if(rates, [](double rate) { return !(rate > 0); });
    double ridge = hasPeak() && hasMemory() ? peak.flopsPerSecond / peak.bytesPerSecond : intensity;
    x = {powerBelow(std::min(ridge, intensity) / 2), powerAbove(std::max(ridge, intensity) * 2),
         area.x, area.right(), PlotScale::Kind::Log};
    // Until there is room for labels on one side of the points.
    constexpr double room = 180;
    while (x(intensity) - area.x < room && area.right() - x(intensity) < room)
      x.high *= 10;
    y = {powerBelow(*std::ranges::min_element(rates) / 2),
         powerAbove(*std::ranges::max_element(rates) * 1.2), area.bottom(), area.y,
         PlotScale::Kind::Log};
  }

  double draw() {
    drawHeading(svg, at, width, "Roofline",
                withPrefix(panel.work.flops, "FLOP") + " over " +
                    withPrefix(panel.work.bytes, "B") + ": " + plainNumber(intensity) +
                    " FLOP per byte");
    drawAxes();
    drawRoof();
    drawPoints();
    return drawCaptions();
  }

private:
  bool hasPeak() const { return peak.flopsPerSecond > 0; }
  bool hasMemory() const { return peak.bytesPerSecond > 0; }
  double rateOf(const PlotCandidate &candidate) const {
    return panel.work.flops / candidate.milliseconds * millisecondsPerSecond;
  }
  /// What the machine would do at most of this work; 0: not known.
  double roof() const {
    if (!hasPeak() || !hasMemory())
      return hasPeak() ? peak.flopsPerSecond : 0;
    return std::min(peak.flopsPerSecond, peak.bytesPerSecond * intensity);
  }

  void drawAxes() {
    constexpr double gap = 6, letter = 14, labelDrop = 18, apart = 44, baseLine = 4;
    for (double tick : x.ticks(apart)) {
      svg.line({x(tick), area.y}, {x(tick), area.bottom()}, "grid");
      svg.text({x(tick), area.bottom() + labelDrop}, plainNumber(tick), "small",
               Svg::Anchor::Middle);
    }
    for (double tick : y.ticks(letter)) {
      svg.line({area.x, y(tick)}, {area.right(), y(tick)}, "grid");
      svg.text({area.x - gap, y(tick) + baseLine}, withPrefix(tick, ""), "small", Svg::Anchor::End);
    }
    svg.rect(area, {"frame", "none"});
    svg.text({area.x + area.width / 2, area.bottom() + 2 * labelDrop}, "FLOP per byte", "body",
             Svg::Anchor::Middle);
    svg.textUpwards({at.x + letter - 2, area.y + area.height / 2}, "FLOP/s", "body",
                    Svg::Anchor::Middle);
  }

  void drawRoof() {
    std::vector<Point> line;
    if (hasMemory()) {
      // From where the line of the memory enters the area.
      double low = std::max(x.low, y.low / peak.bytesPerSecond);
      double high = hasPeak() ? peak.flopsPerSecond / peak.bytesPerSecond
                              : std::min(x.high, y.high / peak.bytesPerSecond);
      if (low < high) {
        line.push_back({x(low), y(low * peak.bytesPerSecond)});
        line.push_back({x(high), y(high * peak.bytesPerSecond)});
      }
    }
    if (hasPeak()) {
      double from = hasMemory() ? peak.flopsPerSecond / peak.bytesPerSecond : x.low;
      line.push_back({x(std::max(from, x.low)), y(peak.flopsPerSecond)});
      line.push_back({x(x.high), y(peak.flopsPerSecond)});
    }
    if (!line.empty())
      svg.path(line, "roof");
    double end = roof() > 0 ? y(roof()) : area.y;
    svg.line({x(intensity), area.bottom()}, {x(intensity), end}, "guide");
  }

  void drawPoints() {
    for (size_t each = 0; each < panel.candidates.size(); ++each) {
      const PlotCandidate &own = panel.candidates[each];
      if (own.verdict == TuneVerdict::Measured && each != panel.base && each != panel.best)
        svg.circle({x(intensity), y(rateOf(own))}, 3,
                   {"dot", {}, dimensionsText(own) + ": " + withPrefix(rateOf(own), "FLOP/s")});
    }
    const PlotCandidate &base = panel.candidates[panel.base], &best = panel.candidates[panel.best];
    double baseY = y(rateOf(base)), bestY = y(rateOf(best));
    drawDefaultMark(svg, {x(intensity), baseY},
                    "default, " + dimensionsText(base) + ": " + withPrefix(rateOf(base), "FLOP/s"));
    // Labels as near to their marks as they can be without covering each other.
    constexpr double apart = 15, beside = 14, baseLine = 4;
    std::string baseLabel = "default " + rateText(base), bestLabel = "best " + rateText(best);
    bool same = panel.base == panel.best;
    if (!same) {
      drawBestMark(svg, {x(intensity), bestY},
                   "best, " + dimensionsText(best) + ": " + withPrefix(rateOf(best), "FLOP/s"));
      bool bestAbove = bestY <= baseY;
      double missing = apart - std::abs(bestY - baseY);
      if (missing > 0) {
        bestY += bestAbove ? -missing / 2 : missing / 2;
        baseY += bestAbove ? missing / 2 : -missing / 2;
      }
    }
    // Not over the line of the roof.
    double highest = same ? baseY : std::min(bestY, baseY), line = y(peak.flopsPerSecond);
    if (hasPeak() && highest > line - apart / 2) {
      double down = std::max(0.0, line + apart - highest);
      bestY += down;
      baseY += down;
    }
    double widest = std::max(textWidth(baseLabel, smallSize), textWidth(bestLabel, smallSize));
    bool right = x(intensity) + beside + widest <= area.right();
    Point place{x(intensity) + (right ? beside : -beside), baseY + baseLine};
    svg.text(place, baseLabel, "small halo", right ? Svg::Anchor::Start : Svg::Anchor::End);
    place.y = bestY + baseLine;
    if (!same)
      svg.text(place, bestLabel, "small halo", right ? Svg::Anchor::Start : Svg::Anchor::End);
  }

  std::string rateText(const PlotCandidate &candidate) const {
    constexpr double hundred = 100;
    std::string text = withPrefix(rateOf(candidate), "FLOP/s");
    if (!(roof() > 0))
      return text;
    double percent = hundred * rateOf(candidate) / roof();
    return text + ", " + (percent < 1 ? number(percent, 1) : plainNumber(std::round(percent))) +
           " %";
  }

  double drawCaptions() {
    constexpr double below = 56;
    double line = area.bottom() + below;
    auto say = [&](const std::string &text) {
      for (const std::string &part : wrapped(piecesOf(text), width, smallSize)) {
        svg.text({at.x, line}, part, "small");
        line += lineHeight;
      }
    };
    if (hasPeak())
      say("Products: " + withPrefix(peak.flopsPerSecond, "FLOP/s") + ", " + peak.products);
    if (hasMemory())
      say("Memory: " + withPrefix(peak.bytesPerSecond, "B/s") + ", " + peak.memory);
    if (!hasPeak() || !hasMemory())
      say(std::string(hasPeak()     ? "Memory"
                      : hasMemory() ? "Products"
                                    : "Peak") +
          " not measured: " + peak.problem);
    if (roof() > 0)
      say("Percentages are of the roof above this work.");
    say("FLOP of visible pairs, as bench counts them; bytes of each tensor once.");
    std::vector<LegendEntry> entries = {
        {[](Svg &to, Point center) { drawDefaultMark(to, center, ""); }, "default"},
        {[](Svg &to, Point center) { drawBestMark(to, center, ""); }, "best"},
        {[](Svg &to, Point center) { to.circle(center, 3, {"dot"}); }, "others"}};
    return drawLegend(svg, {at.x, line + 2}, width, entries);
  }

  Svg &svg;
  Point at;
  double width;
  const PlotPanel &panel;
  const MachinePeak &peak;
  Box area;
  double intensity;
  PlotScale x, y;
};

} // namespace

double drawRoofline(Svg &svg, Point at, double width, const PlotPanel &panel,
                    const MachinePeak &peak) {
  bool measured = !panel.candidates.empty() && panel.candidates[panel.base].milliseconds > 0;
  if (measured && panel.work.flops > 0 && panel.work.bytes > 0)
    return Roofline(svg, at, width, panel, peak).draw();
  drawHeading(svg, at, width, "Roofline", "");
  return drawNothing(svg, at, width,
                     measured ? "It is not known how many FLOP and bytes this takes."
                              : "Nothing was measured.");
}

} // namespace ringc::cli
